"""Many functions, called in turn: what is remembered of each does not stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FunctionType

from benchmarks.cases import read_number, write_number

FULL = "70000"
QUICK = "2000"
CALLS = 60  # of each function


def template() -> None:
    """Does nothing."""


def many(count: int) -> list[Callable[[], object]]:
    """Functions with code objects, names and lines of their own; much faster made than by compiling."""
    code = template.__code__
    return [
        FunctionType(code.replace(co_name=f"made_{number}", co_firstlineno=number + 1), {}) for number in range(count)
    ]


def prepare(folder: Path, size: str) -> None:
    """The size is the number of functions."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    functions = many(read_number(folder))

    def work() -> None:
        for _ in range(CALLS):
            for function in functions:
                function()

    return work
