"""RSS over time in a bounded number of moments, and what was held at the peak: for text logs what core/history.c is for
captures, by the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

MOMENTS = 2000  # of a recording, unless another number is asked for
LEAST, MOST = 16, 1 << 20
_OF_BUCKET = 4
_FIRST_WIDTH = 1e-4  # seconds


class Seen(NamedTuple):
    """A moment, wherever it was seen."""

    seconds: float
    rss: int
    temporary: bool
    place: Any
    thread: int


@dataclass
class _Bucket:
    least: Seen | None = None  # of RSS; of equals the first
    most: Seen | None = None
    last: Seen | None = None  # RSS stays so until the next
    peak: Seen | None = None

    def see(self, one: Seen) -> None:
        if self.least is None or one.rss < self.least.rss:
            self.least = one
        if self.most is None or one.rss > self.most.rss:
            self.most = one
        self.last = one

    def see_peak(self, one: Seen) -> None:
        if self.peak is None or one.rss > self.peak.rss:
            self.peak = one

    def in_order(self) -> Iterator[Seen]:
        ends = sorted([one for one in (self.least, self.most) if one is not None], key=lambda one: one.seconds)
        for one in [*ends, *([] if self.last is None else [self.last])]:
            if self.peak is not None and self.peak.seconds < one.seconds:
                yield self.peak
                self.peak = None
            yield one
        if self.peak is not None:
            yield self.peak


class Timeline:
    """The first moment, and buckets of equal width, which doubles when the last is full. Each keeps its extremes, its
    last moment and its largest temporary.
    """

    def __init__(self, moments: int) -> None:
        if not LEAST <= moments <= MOST:
            raise ValueError(f"a timeline has from {LEAST} to {MOST} moments; {moments} were asked for")
        self._room = (moments - 1) // _OF_BUCKET // 2 * 2
        self._width = _FIRST_WIDTH
        self._buckets: dict[int, _Bucket] = {}
        self._first: float | None = None
        self._start: list[Seen] = []

    def see(self, clock: float, rss: int, place: Any, thread: int, temporary: bool = False) -> None:
        """clock: seconds, of any beginning. place: what had run until then."""
        if self._first is None:
            self._first = clock
            self._start = [Seen(0.0, rss, temporary, place, thread)]
        seconds = max(0.0, clock - self._first)
        while seconds / self._width >= self._room:
            self._widen()
        bucket = self._buckets.setdefault(math.floor(seconds / self._width), _Bucket())
        (bucket.see_peak if temporary else bucket.see)(Seen(seconds, rss, temporary, place, thread))

    def _widen(self) -> None:
        old, self._buckets = self._buckets, {}
        for number in sorted(old):
            bucket = self._buckets.setdefault(number // 2, _Bucket())
            for one in (old[number].least, old[number].most, old[number].last):
                if one is not None:
                    bucket.see(one)
            peak = old[number].peak
            if peak is not None:
                bucket.see_peak(peak)
        self._width *= 2

    def seen(self) -> list[Seen]:
        """In order of time."""
        found = self._start[:]
        for number in sorted(self._buckets):
            for one in self._buckets[number].in_order():
                if not found or found[-1][:3] != one[:3]:
                    found.append(one)
        return found


class AtPeak:
    """What was charged since the highest RSS or temporary so far, by place: the rest of a charge was held then."""

    def __init__(self) -> None:
        self.best = -1
        self.temporary = 0  # what the highest is above RSS then, ...
        self.place: int | None = None  # ... and where it was seen
        self._since: dict[int, int] = {}

    def charge(self, place: int, change: int) -> None:
        self._since[place] = self._since.get(place, 0) + change

    def see(self, bytes: int, temporary: int = 0, place: int | None = None) -> None:
        """RSS, or a peak that is `temporary` bytes above it."""
        if bytes > self.best:
            self.best, self.temporary, self.place = bytes, temporary, place
            self._since.clear()

    def of(self, place: int, net: int) -> int:
        return net - self._since.get(place, 0) + (self.temporary if place == self.place else 0)
