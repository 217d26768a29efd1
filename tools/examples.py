"""Fill docs/reports.md, or the page that is named, with what the commands say: `make docs-examples`.

It records examples/reports/job.py and runs what stands in the page between

    <!-- begin: pymemtrace table job.pmt -->
    <!-- end -->

by a shell, with job.pmt and what earlier parts left behind in the current directory; `pymemtrace` is short for
`python -m pymemtrace`. `--terminal` at the end of the line (it is not passed on) gives the command a terminal; without
it, the output goes to a pipe. What was there before is replaced; folders of this machine become /job and /usr.
`machine` in the place of a command is the machine and the date. Of docs/reports.md the picture of the page of
`flamegraph` is made, too.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import platform
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reports.md"
EXAMPLE = ROOT / "examples" / "reports" / "job.py"
PART = re.compile(r"(<!-- begin: (?P<what>[^>\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
COLUMNS = 120
WINDOW = "1200,680"  # pixels, of a picture
TIMEOUT = 60  # seconds
PYMEMTRACE = (sys.executable, "-m", "pymemtrace")
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # `python` is the one that runs this


def machine() -> str:
    processors = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    name = processors[1] if processors else platform.machine()
    system = f"Linux {platform.release()}; Python {platform.python_version()}"
    return f"Made on {datetime.date.today().isoformat()}: {os.cpu_count()} x {name}; {system}.\n"


def in_pipe(command: list[str], folder: str) -> str:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": PATH}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT, check=True,
    ).stdout  # fmt: skip


def in_terminal(command: list[str], folder: str) -> str:
    """What it shows in a terminal of COLUMNS, without its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    environment.update(PATH=PATH, TERM="xterm", PYTHONIOENCODING="utf-8")
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, env=environment)
    os.close(theirs)
    found = b""
    try:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
            if not piece:
                break
            found += piece
        if child.wait(TIMEOUT):
            raise subprocess.CalledProcessError(child.returncode, command)
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    return STYLE.sub("", found.decode("utf-8")).replace("\r\n", "\n")


def picture(folder: str, target: Path) -> None:
    """What Chromium shows of the page of `flamegraph`."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print(f"no chromium here: {target.name} stays as it is", file=sys.stderr)
        return
    in_pipe([*PYMEMTRACE, "flamegraph", "job.pmt"], folder)
    page = Path(folder, "job.html")
    text = page.read_text("utf-8").replace(f"{os.path.realpath(folder)}/", "/job/")
    page.write_text(text.replace(sys.executable, "/usr/bin/python3"), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WINDOW}"]
    subprocess.run(
        [chromium, *options, f"--screenshot={target}", page.as_uri()],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=True,
    )  # fmt: skip


def shown(what: str, folder: str) -> str:
    """The part of the page for what stands in its first line. Raises: CalledProcessError when a command fails."""
    if what == "machine":
        return machine()
    command = what.removesuffix(" --terminal")
    command = re.sub(r"^pymemtrace\b", "python -m pymemtrace", command)
    text = (in_terminal if what.endswith(" --terminal") else in_pipe)(["sh", "-c", command], folder)
    text = "\n".join(line.rstrip() for line in text.splitlines())
    text = text.replace(os.path.realpath(folder), "/job").replace(sys.base_prefix, "/usr")
    return f"\n```console\n$ {command}\n{text}\n```\n\n"


def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, EXAMPLE.name).write_bytes(EXAMPLE.read_bytes())
        in_pipe([*PYMEMTRACE, "run", "-q", "-o", "job.pmt", EXAMPLE.name], folder)
        page = path.read_text("utf-8")
        path.write_text(PART.sub(lambda part: part[1] + shown(part["what"], folder) + part[3], page), "utf-8")
        if path == PAGE:
            picture(folder, PAGE.with_name("flamegraph.png"))


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else PAGE)
