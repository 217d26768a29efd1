"""Nothing but calls: the case in which recording costs most. Needs no package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "30"
QUICK = "24"


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def prepare(folder: Path, size: str) -> None:
    """The size is the number whose Fibonacci number is computed, slowly."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    n = read_number(folder)
    return lambda: fibonacci(n)
