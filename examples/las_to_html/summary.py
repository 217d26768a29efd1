"""Summarise the channels of a LAS file: counts, extremes, moments, and a small histogram."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from las import Channel, LasFile

BINS = 16  # as many as stay legible in one table cell


class Histogram:
    """How many values fall into each of `bins` equal parts of low..high; `high` itself belongs to the last part."""

    def __init__(self, low: float, high: float, bins: int = BINS) -> None:
        self.low = low
        self.high = high
        self.bins = bins
        self.counts = [0] * bins
        # Halves where need be: the span of two huge numbers of opposite sign would be infinite.
        self._factor = 0.5 if math.isinf(high - low) else 1.0
        self._start = low * self._factor
        self._span = high * self._factor - self._start

    @property
    def largest(self) -> int:
        """The count of the fullest part."""
        return max(self.counts)

    def bin_of(self, value: float) -> int:
        """Index of the part that `value`, which must be in low..high, falls into."""
        if value == self.high:  # also when all values are the same, and the span 0
            return self.bins - 1
        index = int((value * self._factor - self._start) / self._span * self.bins)
        return index if index < self.bins else self.bins - 1  # just below `high` the quotient may round to 1

    def add(self, value: float) -> None:
        self.counts[self.bin_of(value)] += 1


class Statistics(NamedTuple):
    """Of the valid values of one channel, in its unit. The standard deviation is that of the population (n)."""

    minimum: float
    maximum: float
    mean: float
    standard_deviation: float
    median: float
    first: float
    last: float
    histogram: Histogram


class Summary(NamedTuple):
    """One channel. size = valid + nulls + unreadable; `statistics` is None when no value is valid."""

    mnemonic: str
    unit: str
    description: str
    size: int
    nulls: int
    unreadable: int
    statistics: Statistics | None

    @property
    def valid(self) -> int:
        return self.size - self.nulls - self.unreadable


def make_histogram(values: npt.NDArray[np.float64], low: float, high: float) -> Histogram:
    """Histogram of values that are all in low..high."""
    histogram = Histogram(low, high)
    for value in values.tolist():
        histogram.add(value)
    return histogram


def statistics(values: npt.NDArray[np.float64]) -> Statistics | None:
    """Statistics of the values that are not NaN, None when there are none."""
    valid = values[~np.isnan(values)]
    if valid.size == 0:
        return None
    low, high = float(valid.min()), float(valid.max())
    with np.errstate(over="ignore"):  # the moments of numbers near the largest float are infinite, and shown so
        mean, deviation, median = float(valid.mean()), float(valid.std()), float(np.median(valid))
    return Statistics(
        minimum=low,
        maximum=high,
        mean=mean,
        standard_deviation=deviation,
        median=median,
        first=float(valid[0]),
        last=float(valid[-1]),
        histogram=make_histogram(valid, low, high),
    )


def summarise_channel(channel: Channel) -> Summary:
    return Summary(
        mnemonic=channel.mnemonic,
        unit=channel.unit,
        description=channel.header.description,
        size=len(channel),
        nulls=channel.nulls,
        unreadable=channel.unreadable,
        statistics=statistics(channel.values),
    )


def summarise(las_file: LasFile) -> list[Summary]:
    """One summary per channel, in the order of the file."""
    return [summarise_channel(channel) for channel in las_file.channels]
