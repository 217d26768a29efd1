"""What readers return: events, peaks, the calling-context tree, and a recording that has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .lines import NOT_RECORDED, pairs, split_head
from .timeline import MOMENTS

BEFORE, TRACER, SUSPENDED = "<before the recording>", "<tracer>", "<suspended>"
SPECIAL = ("<all>", BEFORE, TRACER, SUSPENDED)  # the first of Capture.contexts(), in this order


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


class Moment(NamedTuple):
    """RSS at some time, and what had run until then."""

    seconds: float  # since the first event that is here
    rss: int  # bytes; of a temporary, its peak
    temporary: bool  # memory that was taken and given back between two events: it never was in RSS
    context: (
        int  # number of a row of `Capture.contexts()`; -1: of a log that has not every event, so callers are unknown
    )
    thread: int  # the kernel's number; 0: unknown
    row: Event | None = None  # of such a log: at which RSS was seen


class SiteTotal(NamedTuple):
    """What a place saw in the whole recording."""

    what: str  # CALL, RETURN, C_CALL, C_RETURN, C_EXCEPT
    file: str
    line: int
    function: str
    events: int
    bytes: int  # by which RSS had changed at these events: the sum of their dRSS


class NotRecorded(NamedTuple):
    """A child process that should have been recorded, and was not."""

    pid: int  # 0: the line does not say
    parent: int
    reason: str


class Context(NamedTuple):
    """A function in the place from which it was called: a Node as a row. All figures are its own."""

    parent: int  # number of the row of what called it; of the first row, and of those that nobody here called, 0
    function: str
    file: str
    line: int
    is_c: bool
    calls: int
    up: int
    down: int
    peak: int
    seconds: float
    at_peak: int


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
    at_peak: int = (
        0  # net until RSS, or a temporary, was highest; the temporary itself is of the function that ran then
    )
    up_inclusive: int = 0
    down_inclusive: int = 0
    peak_inclusive: int = 0
    seconds_inclusive: float = 0.0
    at_peak_inclusive: int = 0
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


class Capture:
    """A recording, read back. What needs a pass over the file makes it when it is asked for.

    path: as given. binary: a capture, not a text log. message: the opening message. header: the `# key: value` lines
    before the table, without `# `; empty for a log without comments.
    """

    binary = False

    def __init__(self, path: str, head: str) -> None:
        self.path = path
        self.message, self.header = split_head(head)

    @property
    def left_over(self) -> bool:
        """Is there a ring beside it, of a recording that was killed or still runs? `recover` is for the former."""
        return os.path.exists(f"{self.path}.ring")

    @property
    def end(self) -> dict[str, str]:
        """The `# key: value` lines after the table, and `end`: why it ended, "" for a regular end. {}: it has no end.

        Raises: OSError, ValueError, as all that follows.
        """
        return pairs(self._end_lines())

    @property
    def not_recorded(self) -> list[NotRecorded]:
        """Child processes that were not recorded, as the process says that the user started. Its end has them."""
        return not_recorded(self._end_lines())

    def _end_lines(self) -> list[str]:
        raise NotImplementedError

    @property
    def threads(self) -> dict[int, str]:
        """The kernel's number of each thread that made an event -> its last name; "" where that is unknown."""
        raise NotImplementedError

    @property
    def thread_names(self) -> dict[int, str]:
        """The same, without another pass over the file: of a capture not the names of threads that ended and whose
        place another took.
        """
        return self.threads

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

    def contexts(self) -> Iterator[Context]:
        """The nodes of `tree()` as rows, a parent before its children, for trees of a million nodes. The first four are
        always there, used or not: `<all>`, `<before the recording>`, `<tracer>`, `<suspended>`. Raises: as `tree()`.
        """
        for parent, node in rows_of(self.tree()):
            yield Context(parent, *(getattr(node, name) for name in Context._fields[1:]))

    def timeline(self, moments: int = MOMENTS) -> list[Moment]:
        """RSS over time, in order, in at most so many moments (16 to 1,048,576): whatever the recording's length, time
        is cut into equal pieces, of which each has its least, its highest and its last RSS, and its largest temporary.
        RSS stays as it is from one of these to the next. Raises: ValueError for another number of moments.
        """
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
        if all(name in end for name in FIGURES.values()):
            return {key: float(end[name]) if key == "seconds" else int(end[name]) for key, name in FIGURES.items()}
        return self.figures_here()

    def figures_here(self) -> dict[str, float]:
        """The same, of the events or rows that are in the file, whatever its end says of the recording; zeros if it has
        none. They differ where `keep` dropped events, where the file was cut, and for a log that has not every event.
        """
        raise NotImplementedError

    def write_log(self, fd: int, log: str | None = None, threshold: int | None = None, comments: bool = True) -> int:
        """Write it as a text log into a descriptor; how much that was: of a capture rows, of a log bytes.

        log, threshold (bytes): as in `trace`; None: of a capture every event, of a log what it has.
        Raises: OSError; ValueError when a text log has other rows than it is asked for.
        """
        raise NotImplementedError


FIGURES = {
    "events": "events",
    "seconds": "seconds",
    "rss_first": "RSS first",
    "rss_peak": "RSS peak",
    "rss_last": "RSS last",
}


_CHILD = re.compile(r"(?P<pid>[0-9]+) \(parent (?P<parent>[0-9]+)\): (?P<reason>.*)")


def not_recorded(lines: Iterable[str]) -> list[NotRecorded]:
    """Of the lines at the end of a recording."""
    found = []
    for line in lines:
        if line.startswith(NOT_RECORDED):
            text = line[len(NOT_RECORDED) :]
            match = _CHILD.fullmatch(text)
            found.append(
                NotRecorded(int(match["pid"]), int(match["parent"]), match["reason"])
                if match
                else NotRecorded(0, 0, text)
            )
    return found


def rows_of(root: Node) -> Iterator[tuple[int, Node]]:
    """The nodes in the order of `Capture.contexts()`, each after the number of what called it."""
    first = {child.function: child for child in root.children[: len(SPECIAL) - 1] if not child.file and not child.calls}
    special = [root, *(first.get(name, Node(name, "", 0, False)) for name in SPECIAL[1:])]
    yield from ((0, node) for node in special)
    done = {id(node) for node in special}
    waiting = [(0, child) for child in reversed(root.children) if id(child) not in done]
    number = len(SPECIAL)
    while waiting:
        parent, node = waiting.pop()
        yield parent, node
        waiting.extend((number, child) for child in reversed(node.children))
        number += 1


def is_used(node: Node) -> bool:
    return bool(node.calls or node.up or node.down or node.peak or node.seconds)


def merged(rows: Iterable[tuple[str, str, int, str, int, int]]) -> list[SiteTotal]:
    """A place can have several numbers: code that was compiled again."""
    found: dict[tuple[str, str, int, str], list[int]] = {}
    for what, file, line, function, events, change in rows:
        total = found.setdefault((what, file, line, function), [0, 0])
        total[0] += events
        total[1] += change
    return [SiteTotal(*place, events, change) for place, (events, change) in found.items()]
