"""One run, many files: the recordings of processes that belong together, and which of them started which."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import NamedTuple

from . import tail
from .lines import pairs
from .model import Capture, NotRecorded, not_recorded

SUFFIXES = (".log", ".pmt")
_BESIDE = re.compile(r"(?P<name>.+)\.(?:ring|sites|[0-9]+)", re.DOTALL)  # of a recording: its ring, names, segments
_SAMPLES = ".rss"  # of a recording: it stands for its suffix
_SNIFF = 1 << 16
_NEVER = datetime.max.replace(tzinfo=timezone.utc)

# A child can begin its recording a little after its parent's has ended: it was started before, and had to load.
_LATE = timedelta(seconds=5)

_ENDED = {
    "": "regularly",
    "the process left by os._exit or os.abort": "by os._exit or os.abort",
    "the process called exec": "by exec",
}


class Problem(NamedTuple):
    """A file or directory that cannot be read."""

    path: str
    why: str  # a sentence with the path in it
    error: OSError | ValueError


@dataclass(eq=False)
class Process:
    """A process of a run, as its file's two ends have it; what is between them is read when it is asked for.

    A process that is recorded several times, or goes on after exec, has a file, and an object of this type, for each.
    """

    path: str
    binary: bool
    header: Mapping[str, str]  # Capture.header
    children: list[Process] = field(default_factory=list, repr=False)  # in order of start
    _open: Callable[[str], Capture] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """None, as all that follows from the header: the file was written without comments."""
        return _number(self.header.get("pid"))

    @property
    def parent(self) -> int | None:
        return _number(self.header.get("parent"))

    @property
    def host(self) -> str | None:
        return self.header.get("host")

    @property
    def command(self) -> str | None:
        """The command line, as the header has it: escaped, cut after 4,096 bytes."""
        return self.header.get("command")

    @cached_property
    def start(self) -> datetime | None:
        """When its recording began."""
        try:
            start = datetime.fromisoformat(self.header["start"])
        except (KeyError, ValueError):
            return None
        return start if start.tzinfo is not None else start.replace(tzinfo=timezone.utc)

    @property
    def ended(self) -> str:
        """`regularly`, `by os._exit or os.abort`, `by exec`, `recovered`, or another reason that its file gives; `cut`:
        its file has no end; `unknown`: it was written without comments.
        """
        if not self.header:
            return "unknown"
        reason = self._end.get("end")
        return "cut" if reason is None else _ENDED.get(reason, reason)

    @property
    def not_recorded(self) -> list[NotRecorded]:
        """Capture.not_recorded"""
        return not_recorded(self._end_lines)

    @cached_property
    def recording(self) -> Capture:
        """What `read` returns. Raises: OSError, ValueError."""
        assert self._open is not None
        return self._open(self.path)

    @cached_property
    def _end_lines(self) -> list[str]:
        return tail.lines_of(self.path, self.binary)

    @property
    def _end(self) -> dict[str, str]:
        return pairs(self._end_lines)

    @property
    def stop(self) -> datetime | None:
        """When its recording ended. None: its file does not say."""
        try:
            return None if self.start is None else self.start + timedelta(seconds=float(self._end["seconds"]))
        except (KeyError, ValueError, OverflowError):
            return None

    def _lived(self, when: datetime) -> bool:
        """Could it have had a child that began to record then? It began before."""
        if self.ended == "by exec":  # what it became may have
            return True
        stop = self.stop
        return stop is None or when <= stop + _LATE


@dataclass
class Run:
    """Processes that belong together.

    processes: in order of start. skipped: paths of the other files in the directories. problems: what could not be
    read.
    """

    processes: list[Process] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def roots(self) -> list[Process]:
        """Processes whose parent is not in the run, in order of start."""
        below = {id(child) for process in self.processes for child in process.children}
        return [process for process in self.processes if id(process) not in below]

    @property
    def not_recorded(self) -> list[NotRecorded]:
        """Child processes that were not recorded, with the reason, as the files of their roots say."""
        return [child for process in self.processes for child in process.not_recorded]

    def walk(self) -> Iterator[tuple[int, Process]]:
        """Every process with its depth in the tree, a root's being 0: parents before their children."""
        waiting = [(0, process) for process in reversed(self.roots)]
        while waiting:
            depth, process = waiting.pop()
            yield depth, process
            waiting.extend((depth + 1, child) for child in reversed(process.children))


def find(paths: Iterable[str], open_one: Callable[[str], Capture]) -> Run:
    """What is in these files and directories; a file that is named twice counts once. Never raises for one of them.

    open_one: `read`.
    """
    run = Run()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        try:
            if os.path.isdir(path):
                _add_directory(run, path, seen, open_one)
            else:
                _add(run, path, seen, open_one)
        except (OSError, ValueError) as error:
            _add_problem(run, path, error)
    run.processes.sort(key=lambda process: (process.start or _NEVER, process.path))
    _link(run.processes)
    return run


def sentence(error: OSError | ValueError) -> str:
    """What went wrong, with the file in it."""
    if not isinstance(error, OSError):
        return f"{error}"
    where = f"{os.fsdecode(error.filename)!r}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}"


def _add_problem(run: Run, path: str, error: OSError | ValueError) -> None:
    run.problems.append(Problem(path, sentence(error), error))


def _add_directory(run: Run, path: str, seen: set[tuple[int, int]], open_one: Callable[[str], Capture]) -> None:
    """Raises: OSError; ValueError when nothing in it is ours."""
    names = sorted(os.listdir(path))
    ours, problems = set(), len(run.problems)
    for name in names:
        full = os.path.join(path, name)
        if not name.endswith(SUFFIXES) or os.path.isdir(full):
            continue
        try:
            _add(run, full, seen, open_one)
        except OSError as error:
            _add_problem(run, full, error)
        except ValueError as error:
            if not (name.endswith(".pmt") and os.path.isfile(full)) and not _begins_as_ours(full):
                continue
            _add_problem(run, full, error)
        ours.add(name)
    for name in names:
        full = os.path.join(path, name)
        if name not in ours and not _is_beside(name, ours) and not os.path.isdir(full):
            run.skipped.append(full)
    if not ours and len(run.problems) == problems:
        raise ValueError(f"{path!r} has no recordings: nothing in it is a capture (*.pmt) or a text log (*.log)")


def _is_beside(name: str, recordings: set[str]) -> bool:
    """Does it belong to one of these?"""
    stem, suffix = os.path.splitext(name)
    if suffix == _SAMPLES:
        return any(stem + one in recordings for one in SUFFIXES)
    beside = _BESIDE.fullmatch(name)
    return beside is not None and beside["name"] in recordings


def _begins_as_ours(path: str) -> bool:
    """Is it a log of ours, though it cannot be read?"""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with open(path, "rb") as file:
            return b"\n# pymemtrace: " in b"\n" + file.read(_SNIFF)
    except OSError:  # gone meanwhile
        return False


def _add(run: Run, path: str, seen: set[tuple[int, int]], open_one: Callable[[str], Capture]) -> None:
    """Raises: OSError, ValueError."""
    status = os.stat(path)
    if (status.st_dev, status.st_ino) in seen:
        return
    recording = open_one(path)
    process = Process(path, recording.binary, recording.header, _open=open_one)
    _ = process.ended  # an error of reading is to come now, not when nobody expects it
    seen.add((status.st_dev, status.st_ino))
    run.processes.append(process)


def _link(processes: list[Process]) -> None:
    """Give each to its parent. PIDs come again in long runs: a parent is the last that began before, and lived.

    What a process became by exec has its PID and its parent; it is put below what it was.
    """
    by_pid: dict[tuple[str | None, int], list[Process]] = {}
    for process in processes:
        if process.start is None or process.pid is None:
            continue
        before = by_pid.setdefault((process.host, process.pid), [])
        if before and before[-1].ended == "by exec" and before[-1].parent == process.parent:
            before[-1].children.append(process)
        else:
            for parent in reversed(by_pid.get((process.host, process.parent or 0), [])):
                if parent._lived(process.start):
                    parent.children.append(process)
                    break
        before.append(process)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
