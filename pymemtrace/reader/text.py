"""A text log: its rows, and the calling-context tree of one that has every event."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .calls import OpenCalls
from .lines import end_lines, layout
from .model import (
    BEFORE,
    FIGURES,
    SUSPENDED,
    TRACER,
    Capture,
    Event,
    Moment,
    Node,
    Peak,
    SiteTotal,
    is_used,
    merged,
    rows_of,
)
from .timeline import MOMENTS, AtPeak, Timeline

# A name has 65,536 bytes at most, a byte becomes at most 6, and there are two in a row.
_MAX_LINE = 1 << 20
_MAX_HEAD = 16 << 20  # no opening message is longer; what else is called *.log may be, and is not read to its end
_ROW = re.compile(
    r"(?P<event>[0-9]+) +(?P<clock>[0-9]+\.[0-9]{6}) +(?P<what>CALL|RETURN|C_CALL|C_RETURN|C_EXCEPT) "
    r"(?P<file>.*)#(?P<line> *-?[0-9]+) (?P<function>[^ #]+) +(?P<rss>-?[0-9]+) +(?P<drss>-?[0-9]+)",
    re.DOTALL,
)
_PAIR_ROW = re.compile(r"(?:PREV|NEXT): (?P<event>[0-9]+) +\+(?P<devent>-?[0-9]+) +(?P<rest>[0-9].*)", re.DOTALL)
_WIDTHS = {"plain": 120, "previous": 80}
_THREAD = re.compile(r"# thread (?P<tid>[0-9]+) (?P<name>.+)", re.DOTALL)
_PEAK = re.compile(
    r"# peak (?P<bytes>[0-9]+) between events (?P<before>-?[0-9]+) and (?P<after>[0-9]+)"
    r" in (?P<file>.*)# *(?P<line>-?[0-9]+) (?P<function>[^ #]+)",
    re.DOTALL,
)
_TRACER = re.compile(r"# tracer (?P<bytes>[+-][0-9]+)")
_ESCAPE = re.compile(r"\\(?:[nrt\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
_PLAIN_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_unescape_one, text) if "\\" in text else text


def _unescape_one(match: re.Match[str]) -> str:
    plain = _PLAIN_ESCAPES.get(match[0])
    return plain if plain is not None else chr(int(match[0][2:], 16))


class _Cut(NamedTuple):
    """The file ends here, within a line."""

    number: int


@dataclass
class _Scan:
    """What is known when a log was read to its end."""

    threads: dict[int, str] = field(default_factory=dict)
    peaks: list[Peak] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)  # lines after the last row
    first: Event | None = None
    last: Event | None = None
    largest: int = 0  # RSS of a row, bytes
    cut: int = 0  # the number of a last line that is not whole; 0: it is


class TextCapture(Capture):
    def __init__(self, path: str) -> None:
        self._layout = ""
        self._scanned: _Scan | None = None
        self._moments, self._tree = 0, None  # type: int, _TextTree | None
        with open(path, "rb") as file:
            self._head = self._read_head(path, file)
        super().__init__(path, self._head.decode("utf-8", "replace"))

    def _read_head(self, path: str, file: Any) -> bytes:
        lines = []
        while not self._layout:
            line: bytes = file.readline(_MAX_LINE)
            if not line or file.tell() > _MAX_HEAD:
                lacks = "it has no line with the column titles" if file.tell() else "it is empty"
                raise ValueError(f"{path!r} is neither a capture nor a text log: {lacks}")
            lines.append(line)
            if line.startswith((b"Event  ", b"      Event  ")) and line.endswith(b"\n"):
                self._layout = layout(line.decode("utf-8", "replace"))
        return b"".join(lines)

    def _items(self) -> Iterator[Event | str | _Cut]:
        """Rows and comment lines, in order; a _Cut at the end if there is one. Raises: OSError, ValueError."""
        tid, number = 0, self._head.count(b"\n")
        with open(self.path, "rb") as file:
            file.seek(len(self._head))
            while line := file.readline(_MAX_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    if file.read(1):
                        raise ValueError(f"{self.path!r}, line {number}: too long for a text log")
                    yield _Cut(number)
                    return
                try:
                    text = line[:-1].decode("utf-8")
                except UnicodeDecodeError:
                    raise ValueError(f"{self.path!r}, line {number}: not UTF-8") from None
                if text.startswith("# "):
                    match = _THREAD.fullmatch(text)
                    tid = int(match["tid"]) if match else tid
                    yield text
                    continue
                event = _row(text, self._layout, tid)
                if event is None:
                    raise ValueError(f"{self.path!r}, line {number}: neither an event nor a comment: {text[:80]!r}")
                yield event

    def _scan(self) -> _Scan:
        if self._scanned is not None:
            return self._scanned
        scan = _Scan()
        for item in self._items():
            if isinstance(item, Event):
                scan.first = scan.first or item
                scan.last = item
                scan.largest = max(scan.largest, item.rss)
                scan.foot.clear()
            elif isinstance(item, str):
                scan.foot.append(item)
                if match := _THREAD.fullmatch(item):
                    name = "" if match["name"] == "-" else _unescape(match["name"])
                    if name or int(match["tid"]) not in scan.threads:
                        scan.threads[int(match["tid"])] = name
                elif peak := _peak(item):
                    scan.peaks.append(peak)
            else:
                scan.cut = item.number
        self._scanned = scan
        return scan

    def _end_lines(self) -> list[str]:
        return end_lines(self._scan().foot)

    @property
    def threads(self) -> dict[int, str]:
        return dict(self._scan().threads)

    @property
    def peaks(self) -> list[Peak]:
        return list(self._scan().peaks)

    @property
    def why(self) -> str | None:
        scan = self._scan()
        if scan.cut:
            return f"{self.path!r} is cut: its last line, {scan.cut}, is not whole"
        if not self.header:
            return f"{self.path!r} was written without comments: nobody can tell whether it is complete"
        if not scan.foot or not (scan.foot[-1] == "# end" or scan.foot[-1].startswith("# end ")):
            return f"{self.path!r} is cut: its last line is not `# end`"
        return None

    def events(self) -> Iterator[Event]:
        return (item for item in self._items() if isinstance(item, Event))

    def figures_here(self) -> dict[str, float]:
        scan = self._scan()
        first, last = scan.first, scan.last
        if first is None or last is None:
            return dict.fromkeys(FIGURES, 0)
        peak = max([scan.largest, *(one.bytes for one in scan.peaks)])
        seconds = round(last.clock - first.clock, 6)
        return dict(zip(FIGURES, (last.event + 1, seconds, first.rss, peak, last.rss)))

    def write_log(self, fd: int, log: str | None = None, threshold: int | None = None, comments: bool = True) -> int:
        own_log, own_threshold = self.header.get("log"), self.header.get("threshold")
        if log not in (None, own_log) or (threshold is not None and str(threshold) != own_threshold):
            own = f"a log of {own_log!r}" if own_log else "a log whose mode is unknown"
            raise ValueError(f"{self.path!r} is {own} already: other rows can be had of a capture only")
        head = self._head.splitlines(keepends=True)
        if not comments and self.header:
            head = [*head[: -1 - len(self.header)], head[-1]]
        written = _write(fd, b"".join(head))
        with open(self.path, "rb") as file:
            file.seek(len(self._head))
            while lines := file.readlines(_MAX_LINE):
                written += _write(fd, b"".join([line for line in lines if comments or not line.startswith(b"# ")]))
        return written

    def _has_every_event(self) -> bool:
        return self.header.get("log") == "all" or self.header.get("threshold") == "0"

    def _need_all(self, what: str) -> None:
        log = self.header.get("log")
        if log is None:
            raise ValueError(f"{self.path!r} has no comments: its threads are unknown, so there is no {what}")
        if not self._has_every_event():
            raise ValueError(
                f"{self.path!r} does not have every event (it was written with --log {log}), so there is no {what}: "
                "record with --log all, or into a capture (-o NAME.pmt)"
            )

    def site_totals(self) -> list[SiteTotal] | None:
        self._need_all("total by site")
        return merged((event.what, event.file, event.line, event.function, 1, event.drss) for event in self.events())

    def tree(self) -> Node:
        self._need_all("tree")
        return self._built(MOMENTS).root

    def timeline(self, moments: int = MOMENTS) -> list[Moment]:
        if self._has_every_event():
            tree = self._built(moments)
            numbers = {id(node): number for number, (_, node) in enumerate(rows_of(tree.root))}
            return [Moment(*seen[:3], numbers.get(id(seen.place), 1), seen.thread) for seen in tree.timeline.seen()]
        timeline = Timeline(moments)
        for event in self.events():
            timeline.see(event.clock, event.rss, event, event.thread)
        return [Moment(*seen[:3], -1, seen.thread, seen.place) for seen in timeline.seen()]

    def _built(self, moments: int) -> _TextTree:
        """The last one is kept: reports ask for contexts and moments of the same file. Raises: ValueError."""
        if self._tree is None or self._moments != moments:
            tree = _TextTree(self.path, moments)
            for item in self._items():
                if isinstance(item, Event):
                    tree.event(item)
                elif isinstance(item, str):
                    tree.comment(item)
            tree.finish()
            self._moments, self._tree = moments, tree
        return self._tree


def _write(fd: int, data: bytes) -> int:
    """All of it; how many bytes that was."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(data)


def _row(text: str, layout: str, tid: int) -> Event | None:
    """None: it is no row."""
    number = None
    if layout == "previous":
        pair = _PAIR_ROW.fullmatch(text)
        if pair is None:
            return None
        number, text = pair["event"], f"{pair['event']} {pair['rest']}"
    match = _ROW.fullmatch(text)
    if match is None:
        return None
    # The file begins where the padded `what` and one space end: it may begin with spaces itself. Only padding can end a
    # name that is no wider, in bytes, than its column.
    file = text[match.start("what") + max(8, len(match["what"])) + 1 : match.end("file")]
    if len(file.encode("utf-8")) <= _WIDTHS[layout]:
        file = file.rstrip(" ")
    return Event(
        int(number or match["event"]), float(match["clock"]), match["what"], _unescape(file), int(match["line"]),
        _unescape(match["function"]), int(match["rss"]), int(match["drss"]), tid,
    )  # fmt: skip


def _peak(text: str) -> Peak | None:
    match = _PEAK.fullmatch(text)
    if match is None:
        return None
    return Peak(
        int(match["bytes"]), int(match["after"]), _unescape(match["file"]), int(match["line"]),
        _unescape(match["function"]),
    )  # fmt: skip


# --- the tree of a text log ------------------------------------------------------------------------------------------


@dataclass
class _Stack:
    """Of a thread."""

    calls: OpenCalls[Node] = field(default_factory=OpenCalls)
    clock: float | None = None  # of its last event


class _TextTree:
    """Built of rows by the rule that captures are charged by: what happens between two events of the process belongs to
    what ran before the second, which is the top of that thread's stack; time is counted thread by thread.

    A row has the line where a frame is, not where its function begins. They are the same at a CALL, but where a
    generator goes on: there it is the line at which it had yielded.
    """

    def __init__(self, path: str, moments: int) -> None:
        self.path = path
        self.timeline = Timeline(moments)
        self.at_peak = AtPeak()
        self.root = Node("<all>", "", 0, False)
        self.before = Node(BEFORE, "", 0, False)
        self.tracer = Node(TRACER, "", 0, False)
        self.suspended = Node(SUSPENDED, "", 0, False)
        self.children: dict[tuple[int, str, int, str, bool], Node] = {}
        self.begins: dict[tuple[str, str, int], int] = {}  # (file, function, line at a RETURN) -> where it begins
        self.stacks: dict[int, _Stack] = {}
        self.last: Event | None = None
        self.grown = 0  # of the recorder, since the last row
        self.peak = 0
        self.nested = False

    def comment(self, text: str) -> None:
        if match := _TRACER.fullmatch(text):
            self.grown += int(match["bytes"])
        elif text in ("# suspended", "# resumed"):
            self.nested = True
        elif peak := _peak(text):
            self.peak = max(self.peak, peak.bytes)

    def event(self, event: Event) -> None:
        """Raises: ValueError when an event is missing."""
        expected = 0 if self.last is None else self.last.event + 1
        if event.event != expected:
            raise ValueError(f"{self.path!r} lacks event {expected}, so there is no tree")
        stack = self.stacks.setdefault(event.thread, _Stack())
        calls = stack.calls
        top = calls.items[-1] if calls.items else self.before
        self._charge(top, event)
        self.timeline.see(event.clock, event.rss, top, event.thread)
        top.seconds += 0.0 if stack.clock is None else event.clock - stack.clock
        stack.clock = event.clock
        for left in reversed(range(calls.ending(event))):
            node = calls.pop()
            if event.what == "RETURN" and not left:
                self.begins.setdefault((event.file, event.function, event.line), node.line)
        if event.what in ("CALL", "C_CALL"):
            self._call(calls, event)
        self.last = event

    def _call(self, calls: OpenCalls[Node], event: Event) -> None:
        is_c = event.what == "C_CALL"
        parent = calls.items[-1] if calls.items else self.root
        line = 0 if is_c else self.begins.get((event.file, event.function, event.line), event.line)
        key = (id(parent), event.file, line, event.function, is_c)
        node = self.children.get(key)
        if node is None:
            node = self.children[key] = Node(event.function, event.file, line, is_c)
            parent.children.append(node)
        node.calls += 1
        node.peak = max(node.peak, event.rss)
        calls.push(event, node)

    def _charge(self, node: Node, event: Event) -> None:
        node.peak = max(node.peak, event.rss, self.peak)
        before = event.rss if self.last is None else self.last.rss
        if self.peak:
            self.at_peak.see(self.peak, self.peak - before, id(node))
            if self.last is not None:
                self.timeline.see(self.last.clock, self.peak, node, event.thread, temporary=True)
        if self.last is not None:
            self._add(self.tracer, self.grown)
            self._add(self.suspended if self.nested else node, event.rss - before - self.grown)
        self.at_peak.see(event.rss)
        self.grown, self.peak, self.nested = 0, 0, False

    def _add(self, node: Node, change: int) -> None:
        if change > 0:
            node.up += change
        else:
            node.down += change
        if change:
            self.at_peak.charge(id(node), change)

    def finish(self) -> None:
        self.root.children[:0] = [node for node in (self.before, self.tracer, self.suspended) if is_used(node)]
        for node in reversed([node for _, node in self.root.walk()]):
            node.up_inclusive = node.up + sum(child.up_inclusive for child in node.children)
            node.down_inclusive = node.down + sum(child.down_inclusive for child in node.children)
            node.peak_inclusive = max([node.peak, *(child.peak_inclusive for child in node.children)])
            node.seconds_inclusive = node.seconds + sum(child.seconds_inclusive for child in node.children)
            node.at_peak = self.at_peak.of(id(node), node.net)
            node.at_peak_inclusive = node.at_peak + sum(child.at_peak_inclusive for child in node.children)
