"""Contexts as collapsed stacks: a line each, `outermost;...;innermost NUMBER`, for flamegraph.pl, inferno, speedscope.

The format has no negative numbers, and a reader takes a missing line for 0: only what is positive is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from . import printable
from .contexts import Contexts, Frame

UNITS = {"growth": "bytes", "net": "bytes", "time": "microseconds", "calls": "calls"}  # measures that can be added up


class Sums(NamedTuple):
    """In the unit of the measure."""

    written: int  # what the lines add up to
    negative: int  # what the contexts below 0, which are left out, add up to
    contexts: int  # how many those are


def sums(contexts: Contexts, measure: str) -> Sums:
    own = _own(contexts, measure)
    below = [value for value in own if value < 0]
    return Sums(sum([value for value in own if value > 0]), sum(below), len(below))


def lines(contexts: Contexts, measure: str) -> Iterator[str]:
    """Lines without line ends, in the order of first calls. measure: of UNITS; a context's own figures."""
    labels = [_label(frame) for frame in contexts.frames]
    own = _own(contexts, measure)
    stack: list[str] = []
    for number, entered in contexts.walk():
        if not entered:
            stack.pop()
            continue
        stack.append(labels[contexts.frame[number]])
        if own[number] > 0:
            yield f"{';'.join(stack)} {own[number]}"


def _own(contexts: Contexts, measure: str) -> list[int]:
    scale = 1_000_000 if measure == "time" else 1
    return [round(value * scale) for value in contexts.own(measure)]


def _label(frame: Frame) -> str:
    """`grow (/job/job.py:3)`; of a C function `read (/job/job.py)`, the file that called it. It ends in no number: one
    before the last would be taken for a second column.
    """
    where = f"{frame.file}:{frame.line}" if frame.line else frame.file
    text = f"{frame.function} ({where})" if where else frame.function
    return printable(text).replace(";", "\\x3b")
