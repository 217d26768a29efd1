"""Numbers that describe a series of times."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """A series in short. `deviation` is the median of the distances from the median; `spread` largest less least.

    The machine is shared and other work only ever adds time: the least is the best estimate of the cost itself, the
    median and the deviation say what to expect of one run.
    """

    count: int
    least: float
    median: float
    largest: float
    deviation: float

    @property
    def spread(self) -> float:
        return self.largest - self.least


def summarise(values: Sequence[float]) -> Summary:
    """Raises: ValueError for an empty series."""
    if not values:
        raise ValueError("no values to summarise")
    median = statistics.median(values)
    deviation = statistics.median(abs(value - median) for value in values)
    return Summary(len(values), min(values), median, max(values), deviation)


def ratio(value: float, base: float | None) -> float | None:
    """value / base; None without a base."""
    return value / base if base else None


def nanoseconds_each(seconds: float, base: float | None, events: int | None) -> float | None:
    """What one event costs more than in `base`, in ns; None where that cannot be said."""
    if base is None or not events:
        return None
    return (seconds - base) / events * 1e9
