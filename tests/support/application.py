"""The web application of the tests' services, for WSGI (`wsgi`) and ASGI (`asgi`).

/N answers with the process and N. /slow answers likewise, but first makes the file PROCESS.slow in the folder
PMT_TEST_FOLDER and waits until the file `go` is there: the test knows that a request is under way.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["PMT_TEST_FOLDER"])


def answer(path: str) -> bytes:
    """One call a request: what the recording is compared with."""
    table = [str(n) for n in range(20)]
    return f"{os.getpid()} {path} {len(table)}".encode()


def wait_for_go() -> bool:
    return (FOLDER / "go").exists()


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/slow":
        (FOLDER / f"{os.getpid()}.slow").touch()
        while not wait_for_go():
            time.sleep(0.01)
    body = answer(path)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/slow":
        (FOLDER / f"{os.getpid()}.slow").touch()
        while not wait_for_go():
            await asyncio.sleep(0.01)
    body = answer(path)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
