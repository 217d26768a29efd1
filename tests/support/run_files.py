"""Files of processes that never ran: logs and captures whose two ends are written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import capture_builder as build

HOST = "vm"
REGULAR = ""
OS_EXIT = "the process left by os._exit or os.abort"
EXEC = "the process called exec"
RECOVERED = "recovered"
CUT = None

_ROW = "%-12d %-12.6f %-8s %-120s#%4d %-32s %12d %12d\n"
_DEFINITIONS = b"".join(
    [
        build.define_code(1, 3, "/job/job.py", "grow"),
        build.define_site(16, 1, build.CALL, 3),
        build.define_site(17, 1, build.RETURN, 4),
        build.define_thread(0, 7, "MainThread"),
    ]
)


def at(second: float) -> str:
    """A time as headers have it, so many seconds after noon."""
    whole = int(second)
    micro = round((second - whole) * 1e6)
    return f"2026-11-22T{12 + whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{micro:06}+00:00"


def row(event: int, clock: float, what: str, rss: int, drss: int) -> str:
    """Of a text log: sizes in bytes."""
    return _ROW % (event, clock, what, "/job/job.py", 3 if what == "CALL" else 4, "grow", rss, drss)


def write(
    path: Path,
    pid: int,
    parent: int,
    start: float,
    seconds: float = 1.0,
    *,
    end: str | None = REGULAR,
    host: str = HOST,
    grown: int = 10,
    not_recorded: Sequence[str] = (),
) -> Path:
    """A file of two events, between which RSS grew by so many pages from 1,000 on. start: for `at`. CUT: without an
    end.
    """
    keys = {
        "pymemtrace": "0.1.0", "command": f"python job.py {pid}", "python": "3.11.7", "pid": str(pid),
        "parent": str(parent), "host": host, "start": at(start), "log": "all", "threshold": "4096",
        "granularity": "4096", "peak granularity": "4096", "gate": "off",
    }  # fmt: skip
    foot = "".join(f"# not recorded: {line}\n" for line in not_recorded)
    last = 4096 * (1000 + grown)
    if end != RECOVERED:
        foot += f"# events: 2\n# logged: 2\n# seconds: {seconds:.6f}\n"
        foot += f"# RSS first: 4096000\n# RSS peak: {max(last, 4096000)}\n# RSS last: {last}\n"
    else:
        foot += "# logged: 2\n"
    foot += f"# end {end}\n" if end else "# end\n"
    if path.suffix == ".pmt":
        builder = build.Builder(definitions=_DEFINITIONS, keys=keys, end=None if end is CUT else foot)
        path.write_bytes(builder.build([build.Step(16, 1, 1000), build.Step(17, 1, grown)]))
        return path
    rows = "# thread 7 MainThread\n"
    rows += row(0, 1, "CALL", 4096000, 4096000)
    rows += row(1, 1 + seconds, "RETURN", last, 4096 * grown)
    head = "".join(f"# {key}: {value}\n" for key, value in keys.items()) + build.COLUMNS.decode()
    path.write_text(head + rows + ("" if end is CUT else foot), "utf-8")
    return path
