"""A file of samples (docs/samples.md). It may be written still, cut, or by somebody who means harm."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, BinaryIO, NamedTuple, Union

VERSION = 1
MAX_LINE = 1 << 16  # bytes of a line; the longest of ours has a command line of 4 KiB, escaped
_BIGGEST = 2**63  # no size, count or time is as large
_SECONDS = ("user", "system", "children_user", "children_system")


class Sample(NamedTuple):
    """What the kernel said of a process at one moment. Bytes, seconds. None: the file does not say."""

    time: float  # seconds since the file's process started: the clock of its log
    pid: int
    rss: int
    peak_rss: int | None
    anon: int | None
    file: int | None
    shmem: int | None
    vms: int | None
    pss: int | None
    uss: int | None
    minor_faults: int | None
    major_faults: int | None
    user: float | None
    system: float | None
    children_user: float | None  # CPU of children that have ended and were waited for
    children_system: float | None
    threads: int | None
    missed: int  # ticks before this one that were not made


class Total(NamedTuple):
    """The processes of a tree together, at one moment."""

    time: float
    processes: int
    rss: int  # memory that processes share counts in each of them
    pss: int | None  # it counts once
    uss: int | None
    user: float | None  # CPU with children that have ended
    system: float | None
    missed: int


class Marker(NamedTuple):
    time: float
    pid: int | None
    text: str


class Began(NamedTuple):
    """A process of a tree was seen for the first time, or has another command line since."""

    time: float
    pid: int
    parent: int | None
    command: tuple[str, ...]


class Ended(NamedTuple):
    """It was seen that it had ended."""

    time: float
    pid: int


class Note(NamedTuple):
    """What could not be read."""

    time: float
    pid: int | None
    text: str


Record = Union[Sample, Total, Marker, Began, Ended, Note]


class Samples:
    """A file of samples. What is in it is read when it is asked for.

    path: as given. header: its first line. The rest of the attributes are of that: None where it does not say.
    """

    def __init__(self, path: str, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header = header
        self.scope = header.get("scope") if header.get("scope") in ("pid", "tree") else "self"
        self.pid = _whole(header, "pid")
        self.host = header["host"] if isinstance(header.get("host"), str) else None
        self.command = _words(header.get("command"))
        self.interval = _number(header, "interval")
        self.time = _number(header, "time")
        self._note: str | None = None

    @property
    def start(self) -> datetime | None:
        """When sampling began, at `time` of the file's clock."""
        try:
            start = datetime.fromisoformat(self.header["start"])
        except (KeyError, TypeError, ValueError):
            return None
        return start if start.tzinfo is not None else start.replace(tzinfo=timezone.utc)

    @property
    def note(self) -> str | None:
        """Of the last pass over the file: what of it was passed over, a sentence without a full stop. None: nothing."""
        return self._note

    def records(self) -> Iterator[Record]:
        """All that is in the file, in its order. Lines of other kinds, and damaged ones, are passed over.

        Raises: OSError with the path.
        """
        damaged, first, torn = 0, 0, False
        with open(self.path, "rb") as file:
            for number, line in enumerate(_lines(file), 1):
                if number == 1:
                    continue
                if not line.endswith(b"\n"):
                    torn = len(line) < MAX_LINE
                    damaged, first = damaged + (not torn), first or (0 if torn else number)
                    continue
                values = _object(line)
                record = None if values is None else _record(values)
                if record is not None:
                    yield record
                elif values is None or not _is_other(values):
                    damaged, first = damaged + 1, first or number
        self._note = _said(self.path, damaged, first, torn)

    def samples(self) -> Iterator[Sample]:
        return (record for record in self.records() if isinstance(record, Sample))

    def markers(self) -> Iterator[Marker]:
        return (record for record in self.records() if isinstance(record, Marker))

    def __iter__(self) -> Iterator[Sample]:
        return self.samples()


def read_samples(path: str | os.PathLike[str] | bytes | os.PathLike[bytes]) -> Samples:
    """Open a file of samples, also one that is being written.

    Raises: FileNotFoundError and other OSErrors with the path; ValueError, one sentence that names the file, when it is
    none, or of a later version.
    """
    name = os.fsdecode(path)
    mode = os.stat(name).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for
        raise ValueError(f"{name!r} is no regular file: it is no file of samples")
    with open(name, "rb") as file:
        line = file.readline(MAX_LINE)
    if not line:
        raise ValueError(f"{name!r} is empty: it is no file of samples")
    header = _object(line)
    if header is None or header.get("format") != "samples" or not isinstance(header.get("pymemtrace"), str):
        raise ValueError(f"{name!r} is no file of samples: its first line is not the header of one")
    version = header.get("version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{name!r} is a damaged file of samples: its header has no version")
    if version > VERSION:
        raise ValueError(f"{name!r} is a file of samples of version {version}: this pymemtrace reads version {VERSION}")
    return Samples(name, header)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """One that is too long comes as its first MAX_LINE bytes, without a line end."""
    while line := file.readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)


def _object(line: bytes) -> dict[str, Any] | None:
    """None: it is no JSON object."""
    try:
        values = json.loads(line.decode("utf-8", "replace"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _no_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _is_other(values: Mapping[str, Any]) -> bool:
    """A line of a kind that a later version may have."""
    return not values.keys() & {"rss", "tree", "marker", "process", "note"}


def _record(values: Mapping[str, Any]) -> Record | None:
    time, pid = _number(values, "time"), _whole(values, "pid")
    if time is None:
        return None
    if "rss" in values:
        return None if pid is None else _sample(time, pid, values)
    if "tree" in values:
        return _total(time, values)
    for key, kind in (("marker", Marker), ("note", Note)):
        if isinstance(values.get(key), str):
            return kind(time, pid, values[key])
    if pid is not None and values.get("process") == "ended":
        return Ended(time, pid)
    if pid is not None and values.get("process") == "began":
        return Began(time, pid, _whole(values, "parent"), _words(values.get("command")))
    return None


def _sample(time: float, pid: int, values: Mapping[str, Any]) -> Sample | None:
    rss = _whole(values, "rss")
    if rss is None:
        return None
    each = [_number(values, key) if key in _SECONDS else _whole(values, key) for key in Sample._fields[3:-1]]
    return Sample._make([time, pid, rss, *each, _whole(values, "missed") or 0])


def _total(time: float, values: Mapping[str, Any]) -> Total | None:
    tree = values["tree"]
    rss = _whole(tree, "rss") if isinstance(tree, dict) else None
    if rss is None:
        return None
    return Total(
        time,
        _whole(tree, "processes") or 0,
        rss,
        _whole(tree, "pss"),
        _whole(tree, "uss"),
        _number(tree, "user"),
        _number(tree, "system"),
        _whole(values, "missed") or 0,
    )


def _whole(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    return value if type(value) is int and 0 <= value < _BIGGEST else None


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _BIGGEST else None


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _said(path: str, damaged: int, first: int, torn: bool) -> str | None:
    said = []
    if damaged:
        lines = f"{damaged:,} damaged lines were" if damaged > 1 else "a damaged line was"
        said.append(f"{lines} passed over, {'the first is ' if damaged > 1 else ''}line {first:,}")
    if torn:
        said.append("its last line has no end and was passed over: it was cut, or is being written")
    return f"{path!r}: {'; '.join(said)}" if said else None
