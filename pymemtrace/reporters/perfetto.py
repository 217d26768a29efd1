"""Recordings as a Chrome trace (JSON): calls on a track for each thread, RSS as a counter, peaks as instants.

A call is a `B` and an `E` event, and these must nest on their track, in order of time. The `B` of a call is written
when its growth has reached what is wanted; by then the calls around it have grown by no less, and theirs are written
before it. So the pairs nest whatever is left out, and nothing is kept but the calls that are open.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ..reader import Capture, Event, Peak, Process
from ..reader.calls import OpenCalls
from . import printable, size
from .exactness import has_every_event

_MADE_UP = 1 << 22  # PIDs are below it; viewers want 32 bits
_CHUNK = 1000  # events of the trace that are handed over at a time


@dataclass(frozen=True)
class Track:
    """A process of the trace."""

    pid: int
    name: str
    threads: Mapping[int, str]  # the kernel's number -> name
    events: Iterable[Event]
    peaks: Sequence[Peak] = ()
    has_calls: bool = True  # every event is there; otherwise the rows are shown, as instants
    begun: float | None = None  # when its clock was 0, seconds since 1970; None: unknown
    shift: float = 0.0  # seconds from its clock to that of the trace


@dataclass(frozen=True)
class Part:
    """What is wanted of the recordings."""

    begin: float = -math.inf  # seconds, by the clock of the trace
    end: float = math.inf
    least: int = 0  # bytes: of a call, its growth with all that it called; of RSS, a change


@dataclass
class Counts:
    """What became of the events."""

    events: int = 0  # in the part that was wanted
    calls: int = 0  # written
    left_out: int = 0  # calls that grew by less
    unmatched: int = 0  # returns without their calls


def track(process: Process, capture: Capture, events: Iterable[Event]) -> Track:
    """capture: the process's. events: its events, read when the trace is written. Raises: OSError, ValueError."""
    first = next(capture.events(), None)
    begun = None if process.start is None else process.start.timestamp() - (0.0 if first is None else first.clock)
    calls = has_every_event(capture)
    return Track(process.pid or 0, capture.path, capture.threads, events, capture.peaks, calls, begun)


def together(tracks: Iterable[Track]) -> list[Track]:
    """On one clock, which is that of the first whose begin is known, and each with a PID of its own: a process that is
    recorded twice, or that calls exec, has two tracks.
    """
    found: list[Track] = []
    pids: set[int] = set()
    zero: float | None = None
    for number, one in enumerate(tracks):
        zero = one.begun if zero is None else zero
        shift = 0.0 if one.begun is None or zero is None else one.begun - zero
        pid, name = one.pid, one.name
        if not 0 < pid < _MADE_UP or pid in pids:
            pid, name = _MADE_UP + number, f"{name}, process {pid}" if pid else name
        pids.add(pid)
        found.append(replace(one, pid=pid, name=name, shift=shift))
    return found


def pieces(tracks: Sequence[Track], part: Part, counts: Counts) -> Iterator[str]:
    """Text, with line ends. counts: is counted up meanwhile, and stands at the end of the trace."""
    yield '{"displayTimeUnit":"ms","traceEvents":['
    separator = "\n"
    for number, track in enumerate(tracks):
        for chunk in _of_track(number, track, part, counts):
            yield separator + ",\n".join(chunk)
            separator = ",\n"
    yield f'\n],"otherData":{json.dumps(vars(counts))}}}\n'


def _of_track(number: int, track: Track, part: Part, counts: Counts) -> Iterator[list[str]]:
    yield list(_names(number, track))
    writer = _Writer(track, part, counts)
    for event in track.events:
        if event.clock + track.shift > part.end:
            writer.clock = part.end
            break
        writer.event(event)
        if len(writer.out) >= _CHUNK:
            yield writer.out
            writer.out = []
    writer.finish()
    if writer.out:
        yield writer.out


def _names(number: int, track: Track) -> Iterator[str]:
    named = [("process_name", track.pid, {"name": printable(track.name)})]
    named += [("process_sort_index", track.pid, {"sort_index": number})]  # type: ignore[dict-item]
    named += [
        ("thread_name", tid or track.pid, {"name": printable(name) or f"thread {tid}"})
        for tid, name in track.threads.items()
    ]
    for what, tid, args in named:
        yield json.dumps({"ph": "M", "pid": track.pid, "tid": tid, "name": what, "args": args})


class _Call:
    __slots__ = ("begin", "growth", "net", "text")

    def __init__(self, begin: float, text: str) -> None:
        self.begin = begin  # by the clock of the trace
        self.text = text  # what its `B` says of the function
        self.growth = self.net = 0  # bytes, with what it called that is over


class _Thread:
    __slots__ = ("calls", "place", "shown")

    def __init__(self, place: str) -> None:
        self.place = place  # process and thread, as every event has them
        self.calls: OpenCalls[_Call] = OpenCalls()
        self.shown = 0  # so many of the open calls, the outermost ones, are written


class _Writer:
    """The events of a process, one after another, as events of the trace in `out`."""

    def __init__(self, track: Track, part: Part, counts: Counts) -> None:
        self.out: list[str] = []
        self.clock = 0.0  # of the last event, by the clock of the trace
        self._track, self._part, self._counts = track, part, counts
        self._peaks = list(reversed(track.peaks))
        self._threads: dict[int, _Thread] = {}
        self._rss: int | None = None
        self._counter: int | None = None  # RSS as it was written last; None: nothing of the part was there yet

    def event(self, event: Event) -> None:
        clock = self.clock = event.clock + self._track.shift
        thread = self._threads.get(event.thread)
        if thread is None:
            tid = event.thread or self._track.pid
            thread = self._threads[event.thread] = _Thread(f'"pid":{self._track.pid},"tid":{tid}')
        rss, change = event.rss, 0
        if rss != self._rss:
            change = 0 if self._rss is None else rss - self._rss
            self._rss = rss
        inside = clock >= self._part.begin
        if self._peaks and self._peaks[-1].event <= event.event:
            self._look_at_peaks(event.event, thread, inside)
        if inside:
            self._counts.events += 1
            if change or self._counter is None:
                self._look_at_rss(rss)
        if self._track.has_calls:
            self._look_at_calls(thread, event, change, inside)
        elif inside and abs(change) >= max(self._part.least, 1):
            self._instant(
                thread, event.function, _place(event.file, event.line), {"what": event.what, "change": change}
            )

    def finish(self) -> None:
        """What is open ends here."""
        if self._counter is None:
            return
        if self._rss != self._counter:
            self._write_rss()
        for thread in self._threads.values():
            while thread.calls.items:
                self._end(thread, True, ',"open":true')

    # --- calls --------------------------------------------------------------------------------------------------------

    def _look_at_calls(self, thread: _Thread, event: Event, change: int, inside: bool) -> None:
        """What changed is charged to what ran before the event."""
        calls, what = thread.calls, event.what
        if change and inside and calls.items:
            top = calls.items[-1]
            top.net += change
            if change > 0:
                top.growth += change
        if what != "CALL":
            ending = calls.ending(event)
            for _ in range(ending):
                self._end(thread, inside)
            if what != "C_CALL":
                if not ending and inside:
                    self._counts.unmatched += 1
                return
        if calls.items and inside:
            self._show(thread)
        call = _Call(self.clock if inside else self._part.begin, _text(event.function, event.file, event.line, what))
        calls.push(event, call)
        if inside and not self._part.least:
            self._show(thread)

    def _show(self, thread: _Thread) -> None:
        """Write all open calls if the innermost has grown enough: no other has grown by less."""
        calls = thread.calls.items
        shown = len(calls)
        if shown > thread.shown and calls[-1].growth >= self._part.least:
            for call in calls[thread.shown :]:
                self.out.append(f'{{"ph":"B",{thread.place},"ts":{call.begin * 1e6:.3f},{call.text}}}')
            self._counts.calls += shown - thread.shown
            thread.shown = shown

    def _end(self, thread: _Thread, inside: bool, remark: str = "") -> None:
        """The innermost call."""
        calls = thread.calls.items
        if inside and thread.shown < len(calls):
            self._show(thread)
        call = thread.calls.pop()
        if calls and call.net | call.growth:
            calls[-1].growth += call.growth
            calls[-1].net += call.net
        if thread.shown > len(calls):
            thread.shown = len(calls)
            self.out.append(
                f'{{"ph":"E",{thread.place},"ts":{self.clock * 1e6:.3f},'
                f'"args":{{"growth":{call.growth},"net":{call.net}{remark}}}}}'
            )
        elif inside:
            self._counts.left_out += 1

    # --- what is no call ----------------------------------------------------------------------------------------------

    def _look_at_rss(self, rss: int) -> None:
        if self._counter is None or abs(rss - self._counter) >= max(self._part.least, 1):
            self._write_rss()

    def _write_rss(self) -> None:
        self._counter = self._rss
        self.out.append(
            f'{{"ph":"C","pid":{self._track.pid},"ts":{self.clock * 1e6:.3f},'
            f'"name":"RSS","args":{{"bytes":{self._rss}}}}}'
        )

    def _look_at_peaks(self, number: int, thread: _Thread, inside: bool) -> None:
        """A peak was seen before its event, and is shown there."""
        while self._peaks and self._peaks[-1].event <= number:
            peak = self._peaks.pop()
            if inside:
                where = {"function": printable(peak.function), **_place(peak.file, peak.line)}
                self._instant(thread, f"peak {size(peak.bytes)}", where, {"bytes": peak.bytes})

    def _instant(self, thread: _Thread, name: str, *args: Mapping[str, object]) -> None:
        merged = {key: value for one in args for key, value in one.items()}
        self.out.append(
            f'{{"ph":"i","s":"t",{thread.place},"ts":{self.clock * 1e6:.3f},'
            f'"name":{json.dumps(printable(name))},"args":{json.dumps(merged)}}}'
        )


def _place(file: str, line: int) -> dict[str, object]:
    return {"file": printable(file), "line": line}


@lru_cache(maxsize=1 << 16)
def _text(function: str, file: str, line: int, what: str) -> str:
    kind = "c" if what == "C_CALL" else "python"
    return f'"name":{json.dumps(printable(function))},"cat":"{kind}","args":{json.dumps(_place(file, line))}'
