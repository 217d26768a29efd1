"""Where labels of a picture go: beside what they name, over no line, no other label, not beyond the edge.

The lines that lead to them meet neither each other nor other labels, unless the labels would be far away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# Pixels at 100 an inch. A label is so far to the right or left of what it names, and some rows above or below:
BESIDE = (12.0, 30.0, 60.0, 100.0, 150.0)
ROW, ROWS = 15.0, 10
NEAR = 3.0  # around a label that stay free
STEP = 4.0  # between two points of a line: no label fits between


class Box(NamedTuple):
    """Pixels; y grows upwards."""

    left: float
    low: float
    right: float
    high: float

    def meets(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and self.low < other.high and other.low < self.high

    def within(self, other: Box) -> bool:
        return (
            other.left <= self.left and self.right <= other.right and other.low <= self.low and self.high <= other.high
        )

    def wider(self, by: float) -> Box:
        return Box(self.left - by, self.low - by, self.right + by, self.high + by)


# What is avoided, as pixels by which a label rather is further away: a leader over a leader, one over a label, a label
# over a faint line.
CROSSED, STRUCK, COVERED = 120.0, 250.0, 40.0


class Leader(NamedTuple):
    """From what is named to the label."""

    x: float
    y: float
    to_x: float
    to_y: float

    def crosses(self, other: Leader) -> bool:
        return _sides(self, other) < 0 and _sides(other, self) < 0

    def meets(self, box: Box) -> bool:
        """Does it go through the label? It neither begins nor ends there."""
        diagonals = (Leader(box.left, box.low, box.right, box.high), Leader(box.left, box.high, box.right, box.low))
        return any(self.crosses(diagonal) for diagonal in diagonals)


@dataclass
class Room:
    """What is free within `frame`. lines: their points, in pixels; faint: those that a label may cover if it must."""

    frame: Box
    taken: list[Box] = field(default_factory=list)
    lines: list[tuple[float, float]] = field(default_factory=list)
    faint: list[tuple[float, float]] = field(default_factory=list)
    leaders: list[Leader] = field(default_factory=list)

    def add_line(self, points: Iterable[tuple[float, float]], faint: bool = False) -> None:
        """A line through these points."""
        lines = self.faint if faint else self.lines
        before: tuple[float, float] | None = None
        for x, y in points:
            if before is not None:
                parts = int(max(abs(x - before[0]), abs(y - before[1])) / STEP)
                for part in range(1, min(parts, 2000)):
                    share = part / parts
                    lines.append((before[0] + share * (x - before[0]), before[1] + share * (y - before[1])))
            lines.append((x, y))
            before = (x, y)

    def place(self, x: float, y: float, width: float, height: float) -> Box | None:
        """A free place for a label of that size that names the point, which it takes; None: there is no room."""
        best: tuple[float, Box, Leader] | None = None
        for distance, box, leader in sorted(_places(x, y, width, height)):
            if best is not None and distance >= best[0]:
                break
            if self._is_free(box):
                cost = distance + self._untidy(box, leader)
                if best is None or cost < best[0]:
                    best = cost, box, leader
        if best is None:
            return None
        _, box, leader = best
        self.taken.append(box)
        self.leaders.append(leader)
        return box

    def _untidy(self, box: Box, leader: Leader) -> float:
        crossed = sum(leader.crosses(other) for other in self.leaders)
        struck = sum(leader.meets(other) for other in self.taken) + sum(other.meets(box) for other in self.leaders)
        return CROSSED * crossed + STRUCK * struck + COVERED * _covers(box, self.faint)

    def _is_free(self, box: Box) -> bool:
        around = box.wider(NEAR)
        if not box.within(self.frame) or any(around.meets(other) for other in self.taken):
            return False
        return not _covers(box, self.lines)


def _covers(box: Box, lines: Iterable[tuple[float, float]]) -> bool:
    around = box.wider(NEAR)
    return any(around.left < x < around.right and around.low < y < around.high for x, y in lines)


def _places(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, Box, Leader]]:
    """How far away, where, and the line from the point to the middle of the near edge. Above, to the right is best."""
    for row in range(-ROWS, ROWS + 1):
        middle = y + row * ROW
        for beside in BESIDE:
            far = math.hypot(beside, row * ROW) + 2 * (row < 0)
            for left, edge, more in ((x + beside, x + beside, 0), (x - beside - width, x - beside, 3)):
                box = Box(left, middle - height / 2, left + width, middle + height / 2)
                yield far + more, box, Leader(x, y, edge, middle)
        if row:
            edge = middle - height / 2 if row > 0 else middle + height / 2
            box = Box(x - width / 2, middle - height / 2, x + width / 2, middle + height / 2)
            yield abs(row) * ROW + 2 * (row < 0) + 1, box, Leader(x, y, x, edge)


def _sides(line: Leader, other: Leader) -> float:
    """Below 0: the ends of `other` are on different sides of the line."""
    along, up = line.to_x - line.x, line.to_y - line.y
    first = along * (other.y - line.y) - up * (other.x - line.x)
    last = along * (other.to_y - line.y) - up * (other.to_x - line.x)
    return first * last


def rows(labels: Sequence[tuple[float, float, float]], most: int) -> list[int | None]:
    """For names of upright lines, which go up to their names: the row, 0 the lowest, in which a name meets no other and
    no line goes through it; None: there is no room.

    labels: (x of the line, where its name begins, where that ends), in order of x.
    """
    found: list[int | None] = [None] * len(labels)
    for i in reversed(range(len(labels))):
        _, begin, end = labels[i]
        row = 0
        for j in range(i + 1, len(labels)):
            other = found[j]
            if other is not None and labels[j][1] < end and begin < labels[j][2]:
                row = max(row, other + 1)
        found[i] = row if row < most else None
    return found
