"""What a plot shows: RSS and CPU of samples files and recordings as curves, thinned out so that no peak is lost.

Pure: readers in, plain data out. Times are seconds since the process started, sizes bytes.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ..reader import Began, Capture, Ended, Event, Marker, Record, Sample, Samples, Total
from . import count, printable
from .contexts import of_row

MOST_POINTS = 1600  # of a curve: more than a picture is wide
MOST_PARTS = 5  # processes of a tree with a line of their own
MOST_STEPS = 5  # functions of a recording that are named
RATES = 150  # values of CPU % over the whole time
BLURRED = 2**20  # bytes by which the kernel's peak may be wrong
SAME_CLOCK = 2.0  # seconds: two files whose clocks began so close together are of one process


class Point(NamedTuple):
    time: float
    value: float


class Step(NamedTuple):
    """A function that grew, at the largest of its growths."""

    time: float
    rss: int
    name: str
    grown: int  # all that was seen at it


class Highest(NamedTuple):
    time: float
    rss: int
    between: str  # where, when no sample or event has it, but the kernel; else empty


class Line:
    """A curve that stays small, whatever is added to it: see `thinned`."""

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._points: list[Point] = []
        self._most = most

    def add(self, time: float, value: float) -> None:
        self._points.append(Point(time, value))
        if len(self._points) >= 8 * self._most:
            self._points = thinned(self._points, self._most)

    @property
    def points(self) -> list[Point]:
        return thinned(self._points, self._most)


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """About `most` of them: the first, the least, the largest and the last of each of most/4 equal spans of time."""
    if len(points) <= most:
        return list(points)
    begin, end = points[0].time, points[-1].time
    width = (end - begin) / (most // 4) or 1.0
    found: list[Point] = []
    span: list[Point] = []
    number = 0
    for point in points:
        at = int((point.time - begin) / width)
        if at != number and span:
            found += _extremes(span)
            span = []
        number = at
        span.append(point)
    return found + _extremes(span)


def _extremes(span: Sequence[Point]) -> list[Point]:
    indices = range(len(span))
    kept = {0, min(indices, key=lambda i: span[i].value), max(indices, key=lambda i: span[i].value), len(span) - 1}
    return [span[i] for i in sorted(kept)]


@dataclass
class Part:
    """A process of a tree."""

    pid: int
    name: str
    line: Line = field(default_factory=lambda: Line(MOST_POINTS // 4), repr=False)
    rss: list[Point] = field(default_factory=list)
    highest: int = 0


@dataclass(eq=False)
class Curve:
    """A file: samples, or a recording.

    rss: of the process, or of all processes of a tree together; pss: the same with memory that they share counted once.
    cpu: seconds so far. zero: the clock's 0 in seconds since 1970; None: unknown. marks: time, text. parts: the
    processes of a tree that were largest; pids: of every process the times at which it was seen first. steps: the
    functions of a recording that grew most. beside: the samples of the same run, on whose clock it is. details: for a
    legend.
    """

    path: str
    command: str
    pid: int | None = None
    host: str | None = None
    zero: float | None = None
    recording: bool = False
    beside: Curve | None = None
    rss: list[Point] = field(default_factory=list)
    pss: list[Point] = field(default_factory=list)
    cpu: list[Point] = field(default_factory=list)
    highest: Highest | None = None
    marks: list[tuple[float, str]] = field(default_factory=list)
    processes: int = 0
    parts: list[Part] = field(default_factory=list)
    pids: dict[int, list[float]] = field(default_factory=dict, repr=False)
    steps: list[Step] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return printable(os.path.basename(self.path) or self.path)

    def moved(self, seconds: float) -> None:
        """Put it, a recording, onto a clock that is so many seconds ahead."""
        self.rss = [Point(point.time + seconds, point.value) for point in self.rss]
        self.steps = [step._replace(time=step.time + seconds) for step in self.steps]
        if self.highest is not None:
            self.highest = self.highest._replace(time=self.highest.time + seconds)


def rates(cpu: Sequence[Point]) -> list[tuple[float, float, float]]:
    """(from, to, CPU %) of spans that follow each other; 100 is one core. cpu: seconds so far."""
    if len(cpu) < 2:
        return []
    whole = cpu[-1].time - cpu[0].time
    width = max(whole / RATES, min(0.1, whole / 20))
    found = []
    begin = cpu[0]
    for point in cpu[1:]:
        seconds = point.time - begin.time
        if seconds >= width or (point is cpu[-1] and seconds > width / 2):
            found.append((begin.time, point.time, max(0.0, 100 * (point.value - begin.value) / seconds)))
            begin = point
    return found


def of_samples(samples: Samples) -> Curve:
    """One pass over the file. Raises: OSError; ValueError when there is no sample in it."""
    curve = Curve(samples.path, command_line(samples.command), samples.pid, samples.host)
    if samples.start is not None and samples.time is not None:
        curve.zero = samples.start.timestamp() - samples.time
    reading = _Reading(curve, samples.scope == "tree")
    for record in samples.records():
        reading.take(record)
    if not reading.ticks:
        raise ValueError(f"{samples.path!r} has no samples yet: there is nothing to draw")
    reading.done()
    ticks = count(reading.ticks, "sample")
    if samples.interval is not None:
        ticks += f", one every {samples.interval:g} s"
    if reading.missed:
        ticks += f", {reading.missed:,} missed"
    curve.details = [ticks]
    if samples.scope == "tree":
        curve.details.append(count(curve.processes, "process"))
    return curve


class _Reading:
    """The records of a file, on their way into its curve."""

    def __init__(self, curve: Curve, tree: bool) -> None:
        self.curve, self.tree = curve, tree
        self.ticks = self.missed = 0
        self._rss, self._pss, self._cpu = Line(), Line(), Line()
        self._living: dict[int, Part] = {}
        self._largest: list[Part] = []  # of those that have ended
        self._base: int | None = None  # the kernel's peak at the first sample
        self._between: Highest | None = None

    def take(self, record: Record) -> None:
        if isinstance(record, Sample):
            if self.tree:
                self._part(record)
            else:
                self._sample(record)
        elif isinstance(record, Total):
            self._tick(record, record.rss, record.pss)
        elif isinstance(record, Marker):
            self.curve.marks.append((record.time, printable(record.text)))
        elif isinstance(record, Began):
            self._began(record)
        elif isinstance(record, Ended):
            self._ended(record.pid)

    def _sample(self, sample: Sample) -> None:
        self._tick(sample, sample.rss, sample.pss)
        peak = sample.peak_rss
        if peak is None:
            return
        if self._base is None:
            self._base = max(peak, sample.rss)
        if peak > self._base and (self._between is None or peak > self._between.rss):
            self._between = Highest(sample.time, peak, "between two samples")

    def _tick(self, record: Sample | Total, rss: int, pss: int | None) -> None:
        self.ticks += 1
        self.missed += record.missed
        self._rss.add(record.time, rss)
        if self.curve.highest is None or rss > self.curve.highest.rss:
            self.curve.highest = Highest(record.time, rss, "")
        if pss is not None and self.tree:
            self._pss.add(record.time, pss)
        if record.user is not None and record.system is not None:
            self._cpu.add(record.time, record.user + record.system)

    def _part(self, sample: Sample) -> None:
        part = self._living.get(sample.pid)
        if part is None:
            part = self._living[sample.pid] = Part(sample.pid, f"process {sample.pid}")
        part.line.add(sample.time, sample.rss)
        part.highest = max(part.highest, sample.rss)

    def _began(self, record: Began) -> None:
        name = short_command(record.command)
        part = self._living.get(record.pid)
        if part is not None:
            part.name = name
            return
        self._living[record.pid] = Part(record.pid, name)
        self.curve.processes += 1
        self.curve.pids.setdefault(record.pid, []).append(record.time)

    def _ended(self, pid: int) -> None:
        part = self._living.pop(pid, None)
        if part is not None and part.highest:
            self._largest = heapq.nlargest(MOST_PARTS, [*self._largest, part], key=lambda one: one.highest)

    def done(self) -> None:
        curve = self.curve
        curve.rss, curve.cpu = self._rss.points, self._cpu.points
        if curve.processes > 1:
            curve.pss = self._pss.points
            self._choose_parts()
        between, highest = self._between, curve.highest
        if between is not None and highest is not None and between.rss - highest.rss > max(BLURRED, highest.rss // 100):
            curve.highest = between

    def _choose_parts(self) -> None:
        curve = self.curve
        every = [*self._largest, *(part for part in self._living.values() if part.highest)]
        curve.parts = heapq.nlargest(MOST_PARTS, every, key=lambda part: part.highest)
        for part in curve.parts:
            part.rss = part.line.points


def short_command(words: Sequence[str]) -> str:
    """What a process is called in a picture: the script or module of a Python, else the program."""
    names = [printable(os.path.basename(word) or word) for word in words]
    if not names:
        return "?"
    name = names[0]
    if name.startswith("python") and len(words) > 1:
        at = 1
        while at < len(words) and words[at].startswith("-") and words[at] not in ("-m", "-c"):
            at += 2 if words[at] in ("-X", "-W") else 1
        if at < len(words):
            name = (
                " ".join(words[at : at + 2]) if words[at] == "-m" else "python -c" if words[at] == "-c" else names[at]
            )
    return cut(printable(name), 28)


def command_line(words: Sequence[str]) -> str:
    """As a title: without the folder of the program."""
    return printable(" ".join([os.path.basename(words[0]) or words[0], *words[1:]])) if words else ""


def cut(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def of_recording(capture: Capture) -> Curve:
    """One pass over its events, of a log over its rows. Raises: OSError; ValueError when there is no event in it."""
    header = capture.header
    pid = header.get("pid", "")
    curve = Curve(
        capture.path,
        command_line(header.get("command", "").split(" ")),
        int(pid) if pid.isdecimal() else None,
        header.get("host"),
    )
    curve.recording = True
    peaks = sorted(capture.peaks, key=lambda peak: -peak.event)  # the next one is the last
    line, steps = Line(), _Steps()
    first: Event | None = None
    for event in capture.events():
        if first is None:
            first = event
        line.add(event.clock, event.rss)
        if curve.highest is None or event.rss > curve.highest.rss:
            curve.highest = Highest(event.clock, event.rss, "")
        while peaks and peaks[-1].event <= event.event:
            peak = peaks.pop()
            if peak.bytes > curve.highest.rss:
                curve.highest = Highest(event.clock, peak.bytes, f"between two events, in {printable(peak.function)}")
        if event.drss and event is not first:
            steps.add(event)
    if first is None or curve.highest is None:
        raise ValueError(f"{capture.path!r} has no events: there is nothing to draw")
    curve.rss = line.points
    curve.steps = steps.largest(curve.highest.rss // 50)
    curve.zero = _zero(header.get("start"), first.clock)
    return curve


def _zero(start: str | None, clock: float) -> float | None:
    """Of a recording whose first event was so many seconds after the process's start."""
    try:
        return datetime.fromisoformat(start or "").timestamp() - clock
    except (ValueError, OverflowError, OSError):
        return None


class _Steps:
    """Growths by function."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], tuple[int, int, Event]] = {}  # all, the largest, where that was seen

    def add(self, event: Event) -> None:
        key = (event.file, event.line, of_row(event).function)
        grown, largest, where = self._found.get(key, (0, 0, event))
        if event.drss > largest:
            largest, where = event.drss, event
        self._found[key] = (grown + event.drss, largest, where)

    def largest(self, least: int) -> list[Step]:
        """Those that grew most, by `least` bytes or more."""
        most = heapq.nlargest(MOST_STEPS, self._found.items(), key=lambda item: item[1][0])
        return [
            Step(where.clock, where.rss, printable(key[2]), grown)
            for key, (grown, _, where) in most
            if grown > max(0, least)
        ]


def lay_over(curves: Sequence[Curve]) -> None:
    """Put every recording onto the clock of the samples of the same run, if they are among the curves."""
    for one in curves:
        if one.recording:
            one.beside = next((other for other in curves if not other.recording and _is_of(one, other)), None)
            if one.beside is not None and one.pid != one.beside.pid:
                assert one.zero is not None and one.beside.zero is not None
                one.moved(one.zero - one.beside.zero)


def _is_of(recording: Curve, samples: Curve) -> bool:
    """Is it of that process, or of one of that tree? Numbers come again: the times must fit as well."""
    if recording.host != samples.host or recording.zero is None or samples.zero is None:
        return False
    apart = recording.zero - samples.zero
    if recording.pid == samples.pid:
        return abs(apart) < SAME_CLOCK
    began = samples.pids.get(recording.pid or 0, [])
    return any(abs(apart - time) < SAME_CLOCK for time in began)
