"""Large numpy arrays made, used and dropped in calls: few events, and at many of them RSS changes by megabytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import read_number, write_number

if TYPE_CHECKING:  # without numpy there is still a reason to say why the case is not run
    from numpy import float64
    from numpy.typing import NDArray

NEEDS = ("numpy",)
FULL = "60"
QUICK = "4"
LENGTH = 512 * 1024  # doubles, 4 MiB: more than malloc keeps


def prepare(folder: Path, size: str) -> None:
    """The size is the number of rounds, each with some arrays of 4 MiB."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    import numpy

    count = read_number(folder)

    def made(number: int) -> NDArray[float64]:
        return numpy.arange(LENGTH, dtype=numpy.float64) + number

    def smooth(array: NDArray[float64]) -> NDArray[float64]:
        return (array[:-1] + array[1:]) * 0.5

    def one_round(number: int) -> float:
        return float(numpy.sqrt(smooth(made(number))).sum())

    def work() -> float:
        return sum(one_round(number) for number in range(count))

    return work
