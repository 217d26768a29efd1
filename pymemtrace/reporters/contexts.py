"""What every report is made of: the calling contexts of one or more recordings, put together, and how true they are.

A context is a function in the place from which it was called. Contexts are kept as columns, by number: of a recording
with a billion events there may be a million of them, and nothing here takes more memory than they do. The first numbers
are no functions; those that are not used have no figures:

    0  <all>                        the root: it is the sum of the others, and has no figures of its own
    1  <before the recording>       what frames did that were open when it began
    2  <tracer>                     the recorder's own memory
    3  <suspended>                  what happened while a nested recording ran
    4  <dropped events>             what happened before the events that `keep` has left
    5  <after the last event here>  what happened later than the last event, or row, that the file has
    6  <not selected>               what a filter has left out

Conservation: the own net figures of all contexts add up to RSS at the last event less RSS at the first, summed over the
recordings (`Contexts.change`), to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..reader import Capture, Context, Event
from ..reader.model import SPECIAL as OF_READER
from ..reader.timeline import AtPeak
from . import exactness

DROPPED, LATER, LEFT_OUT = "<dropped events>", "<after the last event here>", "<not selected>"
SPECIAL = (*OF_READER, DROPPED, LATER, LEFT_OUT)
FIRST = len(SPECIAL)  # number of the first context that is a function's
MEASURES = ("growth", "net", "peak", "time", "calls")


class Frame(NamedTuple):
    """A function, wherever it was called from."""

    function: str
    file: str  # of a C function: its caller's
    line: int  # where it begins; 0: a C function, or none at all
    is_c: bool


class Recording(NamedTuple):
    """One of those that were put together; of the whole recording, if the file has its end."""

    path: str
    events: int
    seconds: float
    rss_first: int  # bytes, as the others
    rss_peak: int
    rss_last: int


class Sums(NamedTuple):
    """Columns: figures with all that was called."""

    up: list[int]
    down: list[int]
    peak: list[int]  # the largest
    seconds: list[float]


@dataclass
class Contexts:
    """Contexts by number, parents before their children. Sizes in bytes; figures are a context's own, see `sums`."""

    frames: list[Frame] = field(default_factory=list)  # the functions that there are
    parent: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)  # index in `frames`
    calls: list[int] = field(default_factory=list)
    up: list[int] = field(default_factory=list)  # sum of growths
    down: list[int] = field(default_factory=list)  # sum of falls: 0 or less
    peak: list[int] = field(default_factory=list)  # largest RSS or temporary while it ran itself; 0: none was seen
    seconds: list[float] = field(default_factory=list)  # of its thread
    at_peak: list[int] = field(default_factory=list)  # net until RSS, or a temporary, was highest in its recording
    rise: int = 0  # the highest RSS, or temporary, that is here - RSS first, over all recordings: the sum of at_peak
    recordings: list[Recording] = field(default_factory=list)
    recursive: set[int] = field(default_factory=set)  # made by `fold`: what stands for several contexts of a path
    rows_only: bool = False  # some recording is a log that has not every event: its contexts are rows, without callers
    notes: list[str] = field(default_factory=list)  # how far this is true: sentences, for people
    moved: list[int] = field(default_factory=list, repr=False)  # made of others: where their first numbers are here
    _known: dict[Frame, int] = field(default_factory=dict, repr=False)
    _at: dict[int, int] = field(default_factory=dict, repr=False)  # parent << 32 | frame -> number

    def __post_init__(self) -> None:
        if not self.parent:
            for name in SPECIAL:
                self._new(0, self.frame_id(Frame(name, "", 0, False)))

    def __len__(self) -> int:
        return len(self.parent)

    # --- building -----------------------------------------------------------------------------------------------------

    def frame_id(self, frame: Frame) -> int:
        known = self._known.get(frame)
        if known is None:
            known = self._known[frame] = len(self.frames)
            self.frames.append(frame)
        return known

    def _new(self, parent: int, frame: int) -> int:
        number = len(self.parent)
        self.parent.append(parent)
        self.frame.append(frame)
        for column in (self.calls, self.up, self.down, self.peak, self.at_peak):
            column.append(0)
        self.seconds.append(0.0)
        return number

    def below(self, parent: int, frame: int) -> int:
        """The context of a function called from there; a new one where there was none."""
        key = parent << 32 | frame
        number = self._at.get(key)
        if number is None:
            number = self._at[key] = self._new(parent, frame)
        return number

    def count(self, number: int, calls: int, up: int, down: int, peak: int, seconds: float, at_peak: int) -> None:
        """Add to a context's own figures."""
        self.calls[number] += calls
        self.up[number] += up
        self.down[number] += down
        self.seconds[number] += seconds
        self.at_peak[number] += at_peak
        if peak > self.peak[number]:
            self.peak[number] = peak

    def charge(self, number: int, change: int) -> None:
        """A change of RSS, up or down."""
        (self.up if change > 0 else self.down)[number] += change

    def add(self, capture: Capture) -> list[int]:
        """Put a recording to those that are there. Returns the numbers that the rows of `capture.contexts()` have here;
        none for a log that has not every event, whose rows are below the root, as `of_row` names them. Raises: OSError,
        ValueError, and then nothing was added.
        """
        here, whole = capture.figures_here(), capture.figures()
        notes = exactness.notes(capture, here, whole)
        first, last, highest = int(here["rss_first"]), int(here["rss_last"]), int(here["rss_peak"])
        numbers: list[int] = []
        if exactness.has_every_event(capture):
            numbers = self._add_tree(capture.contexts())
        else:
            highest = self._add_rows(capture.events())
            self.rows_only = True
        if not here["events"]:
            first = last = highest = int(whole["rss_first"])
        dropped = SPECIAL.index(DROPPED)
        self.charge(dropped, first - int(whole["rss_first"]))
        self.at_peak[dropped] += first - int(whole["rss_first"])
        self.charge(SPECIAL.index(LATER), int(whole["rss_last"]) - last)
        self.recordings.append(
            Recording(
                capture.path, int(whole["events"]), whole["seconds"], int(whole["rss_first"]), int(whole["rss_peak"]),
                int(whole["rss_last"]),
            )
        )  # fmt: skip
        self.rise += highest - int(whole["rss_first"])
        self.notes += notes
        return numbers

    def _add_tree(self, rows: Iterator[Context]) -> list[int]:
        numbers: list[int] = []  # of the rows
        for row in rows:
            if len(numbers) < len(OF_READER):
                number = len(numbers)
            else:
                number = self.below(numbers[row[0]], self.frame_id(Frame._make(row[1:5])))
            numbers.append(number)
            self.count(number, *row[5:])
        return numbers

    def _add_rows(self, events: Iterator[Event]) -> int:
        """What is known of a log without all events: at which rows RSS had changed. The highest RSS of a row."""
        net: dict[int, int] = {}
        held = AtPeak()
        for index, event in enumerate(events):
            change = event.drss if index else 0
            number = self.below(0, self.frame_id(of_row(event)))
            self.count(number, 0, max(change, 0), min(change, 0), event.rss, 0.0, 0)
            net[number] = net.get(number, 0) + change
            held.charge(number, change)
            held.see(event.rss)
        for number, bytes in net.items():
            self.at_peak[number] += held.of(number, bytes)
        return held.best

    @property
    def change(self) -> int:
        """RSS last - RSS first, over all recordings: what all own net figures add up to."""
        return sum(one.rss_last - one.rss_first for one in self.recordings)

    # --- asking -------------------------------------------------------------------------------------------------------

    def of(self, number: int) -> Frame:
        return self.frames[self.frame[number]]

    def is_used(self, number: int) -> bool:
        """Has it figures of its own? A special row without them is not to be shown. A peak alone is no such: it is the
        RSS of the first event, before which nothing ran here.
        """
        return bool(
            self.calls[number]
            or self.up[number]
            or self.down[number]
            or self.seconds[number]
            or self.at_peak[number]
        )  # fmt: skip

    def own(self, measure: str) -> list[int] | list[float]:
        """A column of MEASURES: a context's own figures."""
        return _column(measure, self.up, self.down, self.peak, self.seconds, self.calls)

    def with_called(self, measure: str) -> list[int] | list[float]:
        """The same with all that it called; calls are the context's own."""
        sums = self.sums()
        return _column(measure, sums.up, sums.down, sums.peak, sums.seconds, self.calls)

    def sums(self) -> Sums:
        """Figures with all that was called: of number 0, of everything."""
        sums = Sums(self.up[:], self.down[:], self.peak[:], self.seconds[:])
        up, down, peak, seconds = sums
        parents = self.parent
        for number in range(len(parents) - 1, 0, -1):
            parent = parents[number]
            up[parent] += up[number]
            down[parent] += down[number]
            seconds[parent] += seconds[number]
            if peak[number] > peak[parent]:
                peak[parent] = peak[number]
        return sums

    def children(self) -> list[list[int]]:
        """By number; in the order in which they were met. Special rows that are not used are nobody's children."""
        found: list[list[int]] = [[] for _ in self.parent]
        for number in range(1, len(self.parent)):
            if number >= FIRST or self.is_used(number):
                found[self.parent[number]].append(number)
        return found

    def links(self) -> tuple[list[int], list[int]]:
        """The same as two columns: a context's first child, and the next one of its parent; 0: there is none."""
        first, following = [0] * len(self.parent), [0] * len(self.parent)
        parents = self.parent
        for number in range(len(parents) - 1, 0, -1):
            if number >= FIRST or self.is_used(number):
                following[number] = first[parents[number]]
                first[parents[number]] = number
        return first, following

    def path(self, number: int) -> list[Frame]:
        """From the outermost function to this one, without the root."""
        found = []
        while number:
            found.append(self.of(number))
            number = self.parent[number]
        return found[::-1]

    def walk(self) -> Iterator[tuple[int, bool]]:
        """Depth first, without the root: (number, True) when a context is entered, (number, False) when it is left."""
        first, following = self.links()
        number = first[0]
        while number:
            yield number, True
            if first[number]:
                number = first[number]
                continue
            while number:
                yield number, False
                if following[number]:
                    number = following[number]
                    break
                number = self.parent[number]

    # --- making others of it ------------------------------------------------------------------------------------------

    def without(self) -> Contexts:
        """As this, with the same functions, but without contexts and figures."""
        return Contexts(
            self.frames, rise=self.rise, recordings=self.recordings[:], rows_only=self.rows_only, notes=self.notes[:],
            _known=self._known,
        )  # fmt: skip

    def add_up(self, made: Contexts, numbers: list[int]) -> Contexts:
        """Give the figures to another: those of each context to that number there. What it is then."""
        sums = ((self.calls, made.calls), (self.up, made.up), (self.down, made.down), (self.at_peak, made.at_peak))
        for column, to in sums:
            for into, value in zip(numbers, column):
                to[into] += value
        for into, time in zip(numbers, self.seconds):
            made.seconds[into] += time
        peak = made.peak
        for into, value in zip(numbers, self.peak):
            if value > peak[into]:
                peak[into] = value
        made.moved = [numbers[number] for number in self.moved] if self.moved else numbers
        return made

    def select(self, wanted: Callable[[Frame], bool]) -> Contexts:
        """Those contexts that have a wanted function on their path; what others did is in `<not selected>`."""
        matches = [wanted(frame) for frame in self.frames]
        chosen = [False] * len(self.parent)
        for number in range(1, len(self.parent)):
            chosen[number] = matches[self.frame[number]] or chosen[self.parent[number]]
        kept = chosen[:]
        for number in range(len(self.parent) - 1, 0, -1):  # and what leads there
            if kept[number]:
                kept[self.parent[number]] = True
        made = self.without()
        left_out = SPECIAL.index(LEFT_OUT)
        numbers = list(range(FIRST))
        for number in range(FIRST, len(self.parent)):
            numbers.append(made.below(numbers[self.parent[number]], self.frame[number]) if kept[number] else 0)
        return self.add_up(made, [into if one else left_out for into, one in zip(numbers, chosen)])

    def fold(self) -> Contexts:
        """A function that is called below itself is put to where it stands already: recursion becomes one context."""
        made = self.without()
        numbers = list(range(FIRST)) + [0] * (len(self.parent) - FIRST)  # here -> there
        on_path: dict[int, list[int]] = {}  # frame -> its context there, and how often it is on the path
        for number, entered in self.walk():
            if number < FIRST:
                continue
            frame = self.frame[number]
            if not entered:
                on_path[frame][1] -= 1
                if not on_path[frame][1]:
                    del on_path[frame]
                continue
            if frame not in on_path:
                on_path[frame] = [made.below(numbers[self.parent[number]], frame), 0]
            else:
                made.recursive.add(on_path[frame][0])
            on_path[frame][1] += 1
            numbers[number] = on_path[frame][0]
        return self.add_up(made, numbers)


def _column(
    measure: str, up: list[int], down: list[int], peak: list[int], seconds: list[float], calls: list[int]
) -> list[int] | list[float]:
    if measure == "net":
        return [one + other for one, other in zip(up, down)]
    columns: dict[str, list[int] | list[float]] = {"growth": up, "peak": peak, "time": seconds, "calls": calls}
    return columns[measure]


def of(captures: Iterable[Capture]) -> Contexts:
    """Of one or more recordings. Raises: OSError, ValueError."""
    found = Contexts()
    for capture in captures:
        found.add(capture)
    return found


def of_row(event: Event) -> Frame:
    """Who changed RSS, as far as a row can tell; at a CALL or C_CALL it was the caller, who is not in it."""
    called = event.what in ("CALL", "C_CALL")
    name = f"<before the call of {event.function}>" if called else event.function
    return Frame(name, event.file, event.line, event.what in ("C_RETURN", "C_EXCEPT"))


def matching(pattern: str) -> Callable[[Frame], bool]:
    """Does a function's name or its file match? With `*`, `?` or `[` a pattern is one of the shell, for the whole name
    or the whole path; else a part of either. Upper and lower case differ.
    """
    if any(c in pattern for c in "*?["):
        return lambda frame: fnmatchcase(frame.function, pattern) or fnmatchcase(frame.file, pattern)
    return lambda frame: pattern in frame.function or pattern in frame.file
