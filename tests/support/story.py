"""Recordings of programs that never ran: a test tells who calls whom and what grows, and has a file of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from . import capture_builder as build

PAGE = 4096
JOB = "/job/job.py"
_KINDS = ("CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT")
_ROW = "%-12d %-12.6f %-8s %-120s#%4d %-32s %12d %12d\n"


class Row(NamedTuple):
    """An event as the story has it."""

    clock: float  # seconds
    what: str
    file: str  # where the Python frame is
    line: int
    function: str  # Python function, or C function
    frame: str  # the Python function
    rss: int
    thread: int
    peak: int  # bytes of a temporary seen before it; 0: none


@dataclass
class Story:
    """Every event comes a millisecond after the one before. Growth is told before the event that sees it."""

    pages: int = 1000  # RSS now
    clock: float = 1.0
    rows: list[Row] = field(default_factory=list)
    thread: int = 7
    threads: dict[int, str] = field(default_factory=lambda: {7: "MainThread"})
    _stacks: dict[int, list[tuple[str, str, int, bool]]] = field(default_factory=dict)
    _peak: int = 0

    def on(self, thread: int, name: str = "") -> Story:
        """What follows happens on this thread."""
        self.thread = thread
        self.threads.setdefault(thread, name)
        return self

    def grow(self, pages: int) -> Story:
        self.pages += pages
        return self

    def peak(self, pages: int) -> Story:
        """A temporary above what is there, seen at the next event."""
        self._peak = (self.pages + pages) * PAGE
        return self

    def call(self, function: str, file: str = JOB, line: int = 1) -> Story:
        self._stack.append((function, file, line, False))
        return self._event("CALL", function)

    def c_call(self, function: str) -> Story:
        _, file, line, _ = self._stack[-1]
        self._stack.append((function, file, line, True))
        return self._event("C_CALL", function)

    def back(self, times: int = 1) -> Story:
        """The innermost call ends."""
        for _ in range(times):
            function, _, _, is_c = self._stack[-1]
            self._event("C_RETURN" if is_c else "RETURN", function)
            self._stack.pop()
        return self

    def stray(self, what: str, function: str, file: str = JOB, line: int = 1) -> Story:
        """An event that belongs to no call of the story."""
        self._stack.append((function, file, line, what.startswith("C_")))
        self._event(what, function)
        self._stack.pop()
        return self

    def lose(self) -> Story:
        """The innermost call ends without an event."""
        self._stack.pop()
        return self

    @property
    def _stack(self) -> list[tuple[str, str, int, bool]]:
        return self._stacks.setdefault(self.thread, [])

    def _event(self, what: str, function: str) -> Story:
        self.clock += 0.001
        frame = next((one for one in reversed(self._stack) if not one[3]), ("", JOB, 0, False))
        self.rows.append(
            Row(self.clock, what, frame[1], frame[2], function, frame[0], self.pages * PAGE, self.thread, self._peak)
        )
        self._peak = 0
        return self

    # --- files --------------------------------------------------------------------------------------------------------

    @property
    def change(self) -> int:
        """RSS last less RSS first."""
        return self.rows[-1].rss - self.rows[0].rss if self.rows else 0

    def write(self, path: Path, keys: Mapping[str, str] | None = None, *, cut: bool = False) -> Path:
        """A capture where the path ends in .pmt, else a log. keys: more of the header. cut: without an end."""
        whole = {
            "pymemtrace": "0.1.0", "command": "python job.py", "pid": "7", "parent": "1", "host": "vm",
            "start": "2026-11-22T12:00:00.000000+00:00", "log": "all", "threshold": str(PAGE), "page size": str(PAGE),
            "granularity": str(PAGE), **(keys or {}),
        }  # fmt: skip
        if path.suffix == ".pmt":
            path.write_bytes(self._capture(whole, cut))
        else:
            path.write_text(self._log(whole, cut), "utf-8", "surrogatepass")
        return path

    def _end(self) -> str:
        first, last = (self.rows[0], self.rows[-1]) if self.rows else (None, None)
        figures = {
            "events": len(self.rows),
            "logged": len(self.rows),
            "seconds": f"{last.clock - first.clock if first and last else 0:.6f}",
            "RSS first": first.rss if first else 0,
            "RSS peak": max([row.peak or row.rss for row in self.rows], default=0),
            "RSS last": last.rss if last else 0,
        }
        return "".join(f"# {key}: {value}\n" for key, value in figures.items()) + "# end\n"

    def _log(self, keys: Mapping[str, str], cut: bool) -> str:
        text = "".join(f"# {key}: {value}\n" for key, value in keys.items()) + build.COLUMNS.decode()
        thread, rss = 0, 0
        for number, row in enumerate(self.rows):
            if row.thread != thread:
                thread = row.thread
                text += f"# thread {thread} {self.threads[thread] or '-'}\n"
            if row.peak:
                text += (
                    f"# peak {row.peak} between events {number - 1} and {number} in {row.file}#{row.line} {row.frame}\n"
                )
            function = row.function.replace(" ", "\\x20").replace("#", "\\x23").replace("\n", "\\n")
            text += _ROW % (number, row.clock, row.what, row.file, row.line, function, row.rss, row.rss - rss)
            rss = row.rss
        return text + ("" if cut else self._end())

    def _capture(self, keys: dict[str, str], cut: bool) -> bytes:
        codes: dict[tuple[str, str, int], int] = {}
        sites: dict[tuple[int, int, str], int] = {}
        definitions = b""
        steps = []
        threads = {tid: number for number, tid in enumerate(self.threads)}
        for tid, number in threads.items():
            definitions += build.define_thread(number, tid, self.threads[tid])

        def site_of(code: int, kind: int, line: int, c_name: str) -> int:
            nonlocal definitions
            key = (code, kind, c_name)
            if key not in sites:
                sites[key] = 16 + len(sites)
                definitions += build.define_site(sites[key], code, kind, line, c_name)
            return sites[key]

        clock, pages = 1.0, 0
        for number, row in enumerate(self.rows):
            code_key = (row.frame, row.file, row.line)
            if code_key not in codes:
                codes[code_key] = 1 + len(codes)
                definitions += build.define_code(codes[code_key], row.line, row.file, row.frame)
            kind = _KINDS.index(row.what)
            site = site_of(codes[code_key], kind, row.line, row.function if kind >= build.C_CALL else "")
            before = b""
            if row.peak:
                before = build.peak_item(site_of(codes[code_key], build.CHARGED, row.line, ""), row.peak, number)
            time = round((row.clock - clock) * 1e7)
            now = row.rss // PAGE
            steps.append(build.Step(site, time, now - pages, threads[row.thread], before))
            clock, pages = row.clock, now
        end = None if cut else self._end()
        return build.Builder(definitions=definitions, keys=keys, end=end).build(steps)
