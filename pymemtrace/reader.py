"""`read`: what a recording left behind, a capture (*.pmt) or a text log, as one kind of object.

Nothing of this is loaded in the traced process unless it asks for it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

from . import cPyMemTrace

__all__ = ["Capture", "Event", "Node", "Peak", "SiteTotal", "read"]

Path = Union[str, "os.PathLike[str]", bytes, "os.PathLike[bytes]"]

MAGIC = b"\x89PMT\r\n\x1a\n"
BEFORE, TRACER, SUSPENDED = "<before the recording>", "<tracer>", "<suspended>"


class Event(NamedTuple):
    """One event: a row of a log, or an event of a capture."""

    event: int  # its number in the recording, from 0 on
    clock: float  # seconds since the process started
    what: str  # CALL, RETURN, C_CALL, C_RETURN, C_EXCEPT
    file: str
    line: int
    function: str
    rss: int  # bytes
    drss: int  # bytes: change since the event before in this file; of the first, all
    thread: int  # the kernel's number; 0: unknown


class Peak(NamedTuple):
    """Memory that was taken and given back between two events, and lifted the process's peak."""

    bytes: int  # the peak itself
    event: int  # the event before which it was seen
    file: str
    line: int
    function: str  # charged; <?>: none can be named


class SiteTotal(NamedTuple):
    """What a place saw in the whole recording."""

    what: str  # CALL, RETURN, C_CALL, C_RETURN, C_EXCEPT
    file: str
    line: int
    function: str
    events: int
    bytes: int  # by which RSS had changed at these events: the sum of their dRSS


@dataclass
class Node:
    """A function in the place from which it was called; the root is the whole recording. Sizes in bytes.

    What is not `inclusive` is the function's own, what it called left out. The root's children are the functions that
    were called first, and up to three rows that are none: `<before the recording>` (what frames did that were open when
    it began), `<tracer>` (the recorder's own memory), `<suspended>` (nested recordings).
    """

    function: str
    file: str
    line: int  # where a Python function begins; 0 for C functions, whose `file` is the caller's
    is_c: bool
    calls: int = 0
    up: int = 0  # sum of the growths
    down: int = 0  # sum of the falls; 0 or less
    peak: int = 0  # largest RSS or peak while it ran itself; 0: none was seen
    seconds: float = 0.0
    up_inclusive: int = 0
    down_inclusive: int = 0
    peak_inclusive: int = 0
    seconds_inclusive: float = 0.0
    children: list[Node] = field(default_factory=list, repr=False)  # in the order of their first call

    @property
    def net(self) -> int:
        """Growth less falls, its own."""
        return self.up + self.down

    @property
    def net_inclusive(self) -> int:
        """Growth less falls, with all that it called."""
        return self.up_inclusive + self.down_inclusive

    def walk(self) -> Iterator[tuple[int, Node]]:
        """This node and all below it, depth first: (depth, node); the depth of this one is 0."""
        waiting: list[tuple[int, Node]] = [(0, self)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting.extend((depth + 1, child) for child in reversed(node.children))


def read(path: Path) -> Capture:
    """Open a capture or a text log.

    Raises: FileNotFoundError and other OSErrors with the path; ValueError, one sentence that names the file, when it is
    neither, or a capture of a later version.
    """
    name = os.fsdecode(path)
    mode = os.stat(name).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for
        raise ValueError(f"{name!r} is no regular file: it is neither a capture nor a text log")
    with open(name, "rb") as file:
        magic = file.read(len(MAGIC))
    if magic and MAGIC.startswith(magic):
        return _Binary(name)
    return _Text(name)


def recover(path: str) -> dict[str, int] | None:
    """Put what a killed recording left beside its file where it belongs: `events` brought back, `bytes` added.

    None: there was nothing to recover. Raises: OSError (EBUSY: the process lives), ValueError, with the path.
    """
    try:
        return cPyMemTrace.recover(path)
    except ValueError as error:
        raise ValueError(f"{error}" if path in f"{error}" else f"{path!r} {error}") from None


class Capture:
    """A recording, read back. What needs a pass over the file makes it when it is asked for.

    path: as given. binary: a capture, not a text log. message: the opening message. header: the `# key: value` lines
    before the table, without `# `; empty for a log without comments.
    """

    binary = False

    def __init__(self, path: str, head: str) -> None:
        self.path = path
        self.message, self.header = _split_head(head)

    @property
    def left_over(self) -> bool:
        """Is there a ring beside it, of a recording that was killed or still runs? `recover` is for the former."""
        return os.path.exists(f"{self.path}.ring")

    @property
    def end(self) -> dict[str, str]:
        """The `# key: value` lines after the table, and `end`: why it ended, "" for a regular end. {}: it has no end.

        Raises: OSError, ValueError, as all that follows.
        """
        raise NotImplementedError

    @property
    def threads(self) -> dict[int, str]:
        """The kernel's number of each thread that made an event -> its last name; "" where that is unknown."""
        raise NotImplementedError

    @property
    def complete(self) -> bool:
        """Is it whole, to its end?"""
        return self.why is None

    @property
    def why(self) -> str | None:
        """Why it is not complete, and where it was cut: one sentence without a full stop. None: it is."""
        raise NotImplementedError

    @property
    def peaks(self) -> list[Peak]:
        """Temporaries that lifted the process's peak, in order."""
        raise NotImplementedError

    def events(self) -> Iterator[Event]:
        """Events in order; of a text log, those that were logged. Ends where the file ends or is cut."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def tree(self) -> Node:
        """Every function in the place from which it was called. Raises: ValueError when not every event is here."""
        raise NotImplementedError

    def totals(self) -> list[tuple[str, int, str, int, int]] | None:
        """Of the recorder, for the whole recording: (file, line, function, net bytes, times). None: there are none."""
        return None

    def site_totals(self) -> list[SiteTotal] | None:
        """What every place saw, in the order of first events; of a capture, in the whole recording, whatever `keep` has
        dropped of it. None: there was no room for it. Raises: ValueError for a log that does not have every event.
        """
        raise NotImplementedError

    def figures(self) -> dict[str, float]:
        """`events`, `seconds`, `rss_first`, `rss_peak`, `rss_last` (bytes): of the recording if the file has its end,
        else of what is here.
        """
        end = self.end
        if all(name in end for name in _FIGURES.values()):
            return {key: float(end[name]) if key == "seconds" else int(end[name]) for key, name in _FIGURES.items()}
        return self._seen()

    def _seen(self) -> dict[str, float]:
        raise NotImplementedError

    def write_log(self, fd: int, log: str | None = None, threshold: int | None = None, comments: bool = True) -> int:
        """Write it as a text log into a descriptor; how much that was: of a capture rows, of a log bytes.

        log, threshold (bytes): as in `trace`; None: of a capture every event, of a log what it has.
        Raises: OSError; ValueError when a text log has other rows than it is asked for.
        """
        raise NotImplementedError


_FIGURES = {
    "events": "events",
    "seconds": "seconds",
    "rss_first": "RSS first",
    "rss_peak": "RSS peak",
    "rss_last": "RSS last",
}

# --- captures --------------------------------------------------------------------------------------------------------


class _Binary(Capture):
    binary = True

    def __init__(self, path: str) -> None:
        self._reader = cPyMemTrace.CaptureReader(path)
        self._columns: dict[str, Any] | None = None
        super().__init__(path, self._reader.header)
        if self._reader.dropped:
            self.header["dropped"] = str(self._reader.dropped)

    @property
    def end(self) -> dict[str, str]:
        text = self._reader.end
        return {} if text is None else _pairs(text.splitlines())

    @property
    def threads(self) -> dict[int, str]:
        return self._reader.threads

    @property
    def why(self) -> str | None:
        return self._reader.why

    @property
    def peaks(self) -> list[Peak]:
        return [Peak(*peak) for peak in self._reader.peaks()]

    def events(self) -> Iterator[Event]:
        return map(Event._make, self._reader.events())

    def tree(self) -> Node:
        return _tree_of_columns(self._tree())

    def _tree(self) -> dict[str, Any]:
        if self._columns is None:
            self._columns = self._reader.tree()
        return self._columns

    def _seen(self) -> dict[str, float]:
        tree = self._tree()
        figures = {key: tree["total_seconds" if key == "seconds" else key] for key in _FIGURES}
        figures["events"] += self._reader.dropped
        return figures

    def totals(self) -> list[tuple[str, int, str, int, int]] | None:
        return self._reader.totals()

    def site_totals(self) -> list[SiteTotal] | None:
        rows = self._reader.site_totals()
        return None if rows is None else _merged(rows)

    def write_log(self, fd: int, log: str | None = None, threshold: int | None = None, comments: bool = True) -> int:
        mode = log if log is not None else "all" if threshold is None else "threshold"
        return cPyMemTrace.capture_to_log(self.path, fd, mode, threshold, comments)


def _merged(rows: Iterable[tuple[str, str, int, str, int, int]]) -> list[SiteTotal]:
    """A place can have several numbers: code that was compiled again."""
    found: dict[tuple[str, str, int, str], list[int]] = {}
    for what, file, line, function, events, change in rows:
        total = found.setdefault((what, file, line, function), [0, 0])
        total[0] += events
        total[1] += change
    return [SiteTotal(*place, events, change) for place, (events, change) in found.items()]


_COLUMNS = ("calls", "up", "down", "peak", "seconds")
_SPECIAL = ("", BEFORE, TRACER, SUSPENDED)


def _tree_of_columns(tree: dict[str, Any]) -> Node:
    """Of CaptureReader.tree()."""
    names = ("function", "file", "line", "is_c", *_COLUMNS, "up_inclusive", "down_inclusive", "peak_inclusive")
    rows = zip(*(tree[name] for name in names), tree["seconds_inclusive"])
    nodes = [Node(*row) for row in rows]
    for node, name in zip(nodes, _SPECIAL):
        node.function = name
    for index, parent in enumerate(tree["parent"]):
        node = nodes[index]
        if index >= len(_SPECIAL) or (index > 0 and _is_used(node)):
            nodes[parent].children.append(node)
    nodes[0].function = "<all>"
    return nodes[0]


def _is_used(node: Node) -> bool:
    return bool(node.calls or node.up or node.down or node.peak or node.seconds)


# --- the text around the table ---------------------------------------------------------------------------------------

_PLAIN_COLUMNS = ["Event", "Clock", "What", "File", "#line", "Function", "RSS"]
_PREVIOUS_COLUMNS = ["Event", "dEvent", "Clock", "What", "File", "#line", "Function", "RSS", "dRSS"]
_FOOT_KEYS = ("threads that could not be seen: ", "threads whose profile function ")


def _layout(line: str) -> str:
    """plain, previous, or "" when it is not the column header."""
    if not line.startswith(("Event  ", "      Event  ")):
        return ""
    words = line.split()
    return "plain" if words == _PLAIN_COLUMNS else "previous" if words == _PREVIOUS_COLUMNS else ""


def _split_head(head: str) -> tuple[str, dict[str, str]]:
    """The text before the table, its last line being the column header: message, `# key: value` lines."""
    lines = head.splitlines(keepends=True)
    if lines and _layout(lines[-1]):
        lines.pop()
    first = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        if not lines[index].startswith("# "):
            break
        if lines[index].startswith("# pymemtrace: "):
            first = index
            break
    return "".join(lines[:first]), _pairs([line.rstrip("\n") for line in lines[first:]])


def _pairs(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        key, colon, value = line[2:].partition(": ")
        if colon:
            found[key] = value
        elif line == "# end" or line.startswith("# end "):
            found["end"] = line[6:]
    return found


# --- text logs -------------------------------------------------------------------------------------------------------

# A name has 65,536 bytes at most, a byte becomes at most 6, and there are two in a row.
_MAX_LINE = 1 << 20
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
    rows: int = 0
    cut: int = 0  # the number of a last line that is not whole; 0: it is


class _Text(Capture):
    def __init__(self, path: str) -> None:
        self._layout = ""
        self._scanned: _Scan | None = None
        with open(path, "rb") as file:
            self._head = self._read_head(path, file)
        super().__init__(path, self._head.decode("utf-8", "replace"))

    def _read_head(self, path: str, file: Any) -> bytes:
        lines = []
        while not self._layout:
            line: bytes = file.readline(_MAX_LINE)
            if not line:
                raise ValueError(f"{path!r} is neither a capture nor a text log: it has no line with the column titles")
            lines.append(line)
            if line.startswith((b"Event  ", b"      Event  ")) and line.endswith(b"\n"):
                self._layout = _layout(line.decode("utf-8", "replace"))
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
                scan.rows += 1
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

    @property
    def end(self) -> dict[str, str]:
        foot = self._scan().foot
        first = next((i for i in range(len(foot) - 1, -1, -1) if foot[i].startswith("# events: ")), None)
        if first is None:
            return _pairs(foot[-2:]) if foot[-1:] == ["# end recovered"] else {}
        while first and foot[first - 1][2:].startswith(_FOOT_KEYS):
            first -= 1
        return _pairs(foot[first:])

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

    def _seen(self) -> dict[str, float]:
        first, last, peak = None, None, 0
        for item in self.events():
            first, last = first or item, item
            peak = max(peak, item.rss)
        if first is None or last is None:
            return dict.fromkeys(_FIGURES, 0)
        peak = max([peak, *(one.bytes for one in self.peaks)])
        seconds = round(last.clock - first.clock, 6)
        return dict(zip(_FIGURES, (last.event + 1, seconds, first.rss, peak, last.rss)))

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

    def _need_all(self, what: str) -> None:
        log = self.header.get("log")
        if log is None:
            raise ValueError(f"{self.path!r} has no comments: its threads are unknown, so there is no {what}")
        if log != "all" and self.header.get("threshold") != "0":
            raise ValueError(
                f"{self.path!r} does not have every event (it was written with --log {log}), so there is no {what}: "
                "record with --log all, or into a capture (-o NAME.pmt)"
            )

    def site_totals(self) -> list[SiteTotal] | None:
        self._need_all("total by site")
        return _merged((event.what, event.file, event.line, event.function, 1, event.drss) for event in self.events())

    def tree(self) -> Node:
        self._need_all("tree")
        tree = _TextTree(self.path)
        for item in self._items():
            if isinstance(item, Event):
                tree.event(item)
            elif isinstance(item, str):
                tree.comment(item)
        return tree.finish()


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
    """Open calls of a thread, the innermost last."""

    nodes: list[Node] = field(default_factory=list)
    clock: float | None = None  # of its last event


class _TextTree:
    """Built of rows by the rule that captures are charged by: what happens between two events of the process belongs to
    what ran before the second, which is the top of that thread's stack; time is counted thread by thread.

    A row has the line where a frame is, not where its function begins. They are the same at a CALL, but where a
    generator goes on: there it is the line at which it had yielded.
    """

    def __init__(self, path: str) -> None:
        self.path = path
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
        top = stack.nodes[-1] if stack.nodes else self.before
        self._charge(top, event)
        top.seconds += 0.0 if stack.clock is None else event.clock - stack.clock
        stack.clock = event.clock
        if event.what == "RETURN":
            self._return(stack.nodes, event)
        elif event.what in ("C_RETURN", "C_EXCEPT"):
            if _is_of(top, event):
                stack.nodes.pop()
        else:
            self._call(stack.nodes, event)
        self.last = event

    def _return(self, nodes: list[Node], event: Event) -> None:
        """Ends the calls above it, too: their returns did not come."""
        for depth in range(len(nodes) - 1, -1, -1):
            if _is_of(nodes[depth], event):
                self.begins.setdefault((event.file, event.function, event.line), nodes[depth].line)
                del nodes[depth:]
                return

    def _call(self, nodes: list[Node], event: Event) -> None:
        is_c = event.what == "C_CALL"
        if is_c and nodes and nodes[-1].is_c and (len(nodes) == 1 or nodes[-2].file == event.file):
            nodes.pop()  # C functions call C functions by Python functions only: its return did not come
        parent = nodes[-1] if nodes else self.root
        line = 0 if is_c else self.begins.get((event.file, event.function, event.line), event.line)
        key = (id(parent), event.file, line, event.function, is_c)
        node = self.children.get(key)
        if node is None:
            node = self.children[key] = Node(event.function, event.file, line, is_c)
            parent.children.append(node)
        node.calls += 1
        node.peak = max(node.peak, event.rss)
        nodes.append(node)

    def _charge(self, node: Node, event: Event) -> None:
        node.peak = max(node.peak, event.rss, self.peak)
        if self.last is not None:
            _add(self.tracer, self.grown)
            _add(self.suspended if self.nested else node, event.rss - self.last.rss - self.grown)
        self.grown, self.peak, self.nested = 0, 0, False

    def finish(self) -> Node:
        self.root.children[:0] = [node for node in (self.before, self.tracer, self.suspended) if _is_used(node)]
        for node in reversed([node for _, node in self.root.walk()]):
            node.up_inclusive = node.up + sum(child.up_inclusive for child in node.children)
            node.down_inclusive = node.down + sum(child.down_inclusive for child in node.children)
            node.peak_inclusive = max([node.peak, *(child.peak_inclusive for child in node.children)])
            node.seconds_inclusive = node.seconds + sum(child.seconds_inclusive for child in node.children)
        return self.root


def _is_of(node: Node, event: Event) -> bool:
    """Can this be the end of that call?"""
    return node.is_c == (event.what != "RETURN") and node.function == event.function and node.file == event.file


def _add(node: Node, change: int) -> None:
    if change > 0:
        node.up += change
    else:
        node.down += change
