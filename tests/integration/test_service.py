"""Real services with workers, under load, ended by SIGTERM: no request fails, each process has a file of its own."""

from __future__ import annotations

import http.client
import importlib.util
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import child

import pymemtrace

WORKERS = 3
APPLICATION = Path(child.TESTS, "support", "application.py")
CLIENTS = 6  # at the same time
REQUESTS = 50  # of each client
LATE = 60  # seconds
GUNICORN = ["-w", WORKERS, "-b", "127.0.0.1:0", "support.application:wsgi"]
SERVICES = {
    "gunicorn": GUNICORN,
    "gunicorn with threads": ["--threads", 4, *GUNICORN],
    "uvicorn": ["--workers", WORKERS, "--port", 0, "--timeout-worker-healthcheck", LATE, "support.application:asgi"],
}
LISTENING = re.compile(r"http://127\.0\.0\.1:([0-9]+)")

pytestmark = [pytest.mark.not_sanitized, pytest.mark.usefixtures("each_engine")]


class Service:
    """A service under the launcher."""

    def __init__(self, name: str, folder: Path) -> None:
        module = name.partition(" ")[0]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        # Its later versions make a socket in the home directory otherwise; the earlier pass over what they do not know.
        (folder / "gunicorn.conf.py").write_text("control_socket_disable = True\n")
        self.folder, self.files = folder, folder / "files"
        command = ["run", "--log", "all", "--format", "binary", "-o", f"{self.files}/", "-m", module, *SERVICES[name]]
        with open(folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pymemtrace", *map(str, command)],
                cwd=folder,
                env=child.environment({"PMT_TEST_FOLDER": str(folder)}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def said(self) -> str:
        return (self.folder / "output").read_text("utf-8", "replace")

    def wait_for(self, condition: object) -> object:
        until = time.monotonic() + LATE
        while True:
            value = condition()  # type: ignore[operator]
            if value:
                return value
            assert time.monotonic() < until and self.process.poll() is None, self.said()[-4000:]
            time.sleep(0.02)

    def wait_for_the_rest(self) -> None:
        """multiprocessing's resource tracker ends when it sees that nobody is left."""
        until = time.monotonic() + LATE
        while child.session(self.process.pid):
            assert time.monotonic() < until, self.said()[-4000:]
            time.sleep(0.02)

    def port(self) -> int:
        port = int(self.wait_for(lambda: LISTENING.search(self.said()))[1])  # type: ignore[index]
        self.wait_for(lambda: listens(port))  # uvicorn says so before
        return port

    def end(self) -> None:
        child.end_group(self.process)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LATE).close()
    except ConnectionRefusedError:
        return False
    return True


def ask(port: int, path: str) -> int:
    """The process that answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        process, asked, size = answer.read().decode().split()
    finally:
        connection.close()
    assert (answer.status, asked, size) == (200, path, "20")
    return int(process)


@pytest.mark.parametrize("name", SERVICES)
def test_service(tmp_path: Path, name: str) -> None:
    # GIVEN a service with workers that records
    service = Service(name, tmp_path)
    answered: Counter[int] = Counter()
    try:
        port = service.port()
        with ThreadPoolExecutor(CLIENTS) as clients:
            # WHEN it is loaded from all sides, and ended by SIGTERM while a request is under way
            paths = [f"/{n}" for n in range(CLIENTS * REQUESTS)]
            answered.update(clients.map(lambda path: ask(port, path), paths))
            slow = clients.submit(ask, port, "/slow")
            service.wait_for(lambda: list(tmp_path.glob("*.slow")))
            service.process.send_signal(signal.SIGTERM)
            (tmp_path / "go").touch()
            answered[slow.result()] += 1
        status = service.process.wait(LATE)
        service.wait_for_the_rest()
    finally:
        service.end()
    said = service.said()
    # THEN no request has failed, and it ended as it does without us
    assert status == 0, said[-4000:]
    assert sum(answered.values()) == len(paths) + 1
    # THEN each process has one file, which is whole, and the requests are in those of who answered them
    recorded, handled = {}, Counter()
    for path in service.files.iterdir():
        capture = pymemtrace.read(path)
        assert capture.why is None, f"{path}: {capture.why}"
        process = int(capture.header["pid"])
        assert process not in recorded, path
        recorded[process] = capture
        calls = (event for event in capture.events() if event.what == "CALL" and event.function == "answer")
        handled[process] = sum(1 for event in calls if event.file == str(APPLICATION))
    assert +handled == answered, said[-4000:]
    root = service.process.pid
    assert root in recorded and root not in answered
    assert {recorded[process].header["parent"] for process in answered} == {str(root)}
    assert len(recorded) >= 1 + WORKERS
