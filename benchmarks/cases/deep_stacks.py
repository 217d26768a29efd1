"""Recursion 10,000 calls deep and back, again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "150"
QUICK = "10"
DEPTH = 10_000
SKIPS = {"tracemalloc": "it counts the frames of the whole stack at every allocation and would take minutes"}


def descend(depth: int) -> int:
    return descend(depth - 1) + 1 if depth else 0


def prepare(folder: Path, size: str) -> None:
    """The size is the number of ways down and back."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)
    sys.setrecursionlimit(DEPTH + 1000)
    return lambda: sum(descend(DEPTH) for _ in range(count))
