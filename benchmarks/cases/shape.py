"""Calls of any number, of any number of functions, at any depth, in any number of threads: what `scaling` measures.

A size is EVENTS-FUNCTIONS-DEPTH-THREADS, such as 10M-70K-10-1.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import counts
from benchmarks.cases.functions import many

FULL = "10M-10-10-1"
QUICK = "200K-10-10-1"
STACK = 64 * 2**20  # bytes of a thread's: before 3.11 a Python call takes half a KiB of it


@dataclass(frozen=True)
class Shape:
    """Of the calls that are made. `events` is what was asked for: each thread comes down at least once."""

    events: int
    functions: int
    depth: int
    threads: int

    @classmethod
    def parse(cls, size: str) -> Shape:
        """Raises: ValueError."""
        parts = size.split("-")
        if len(parts) != 4:
            raise ValueError(f"case shape: {size!r} is not EVENTS-FUNCTIONS-DEPTH-THREADS, such as 10M-70K-10-1")
        return cls(*map(counts.parse, parts))

    def __str__(self) -> str:
        return "-".join(counts.short(part) for part in (self.events, self.functions, self.depth, self.threads))

    @property
    def calls(self) -> int:
        """Of made functions, by each thread, at the bottom of its stack."""
        return max(self.events // 2 // self.threads - self.depth, 1)


def events(size: str) -> int:
    """A CALL and a RETURN of each call, without the few of threads that start and end."""
    shape = Shape.parse(size)
    return 2 * shape.threads * (shape.depth + shape.calls)


def call_in_turn(functions: list[Callable[[], object]], first: int, count: int) -> None:
    for function in itertools.islice(itertools.cycle(functions[first:] + functions[:first]), count):
        function()


def descend(depth: int, bottom: Callable[[], None]) -> None:
    if depth > 1:
        descend(depth - 1, bottom)
    else:
        bottom()


def prepare(folder: Path, size: str) -> None:
    """Raises: ValueError."""
    Shape.parse(size)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shape.txt").write_text(size, encoding="ascii")


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    shape = Shape.parse((folder / "shape.txt").read_text(encoding="ascii"))
    functions = many(shape.functions)
    sys.setrecursionlimit(shape.depth + 1000)

    def one(number: int) -> None:
        first = number * shape.functions // shape.threads  # so that all threads together call all of them
        descend(shape.depth, lambda: call_in_turn(functions, first, shape.calls))

    def in_threads() -> None:
        threading.stack_size(STACK)
        threads = [threading.Thread(target=one, args=(number,)) for number in range(shape.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return in_threads if shape.threads > 1 else lambda: one(0)
