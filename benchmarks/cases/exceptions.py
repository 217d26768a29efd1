"""Exceptions of Python and of C code, through some frames each: returns that are no returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "120K"
QUICK = "5K"
FRAMES = 5  # between the place that raises and the one that catches


class Refused(Exception):
    """One of our own."""


def check(number: int, frames: int) -> int:
    if frames:
        return check(number, frames - 1)
    if number % 3 == 0:
        raise Refused(number)
    if number % 3 == 1:
        return int("no number")
    return {1: 2}[number]


def tried(number: int) -> int:
    try:
        return check(number, FRAMES)
    except Refused:
        return 1
    except (ValueError, KeyError) as error:
        return len(error.args)


def prepare(folder: Path, size: str) -> None:
    """The size is the number of exceptions."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)
    return lambda: sum(tried(number) for number in range(3, count + 3))
