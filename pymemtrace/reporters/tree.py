"""`tree`: who called whom. Recursion is one row, and what is small, or for what there is no room, is added up."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import figures
from .columns import Sheet
from .contexts import FIRST, Contexts
from .groups import Group

SMALL = 100  # less than a so-manieth of the largest is small
_GUIDES = {"|": "\u2502 ", " ": "  ", "+": "\u251c ", "`": "\u2514 "}


@dataclass(frozen=True)
class Line:
    """Of the tree; depth first."""

    guide: str  # for each level above, whether it goes on: "|" or " "; then "+" or, the last below its caller, "`"
    group: Group  # the figures; those of kind figures.REST have all that is below them in `own`, too


def lines_of(contexts: Contexts, measure: str, sort: str, limit: int) -> Iterator[Line]:
    """The path to the largest is open to its end; then the largest come first, up to `limit` (0: all that are not
    small). sort: the order below a caller. Own net figures of all lines add up to those of `contexts`.
    """
    tree = _Tree(contexts.fold(), measure, sort)
    shown = tree.choose(limit)
    yield Line("", tree.group(0))
    waiting = [(0, "", iter(tree.below(0, shown)))]
    while waiting:
        number, guide, below = waiting[-1]
        item = next(below, None)
        if item is None:
            waiting.pop()
            continue
        child, last = item
        if child is None:
            yield Line(f"{guide}`", tree.rest_of(number, shown))
            continue
        yield Line(f"{guide}{'`' if last else '+'}", tree.group(child))
        waiting.append((child, f"{guide}{' ' if last else '|'}", iter(tree.below(child, shown))))


class _Tree:
    def __init__(self, contexts: Contexts, measure: str, sort: str) -> None:
        self.contexts = contexts
        self.sums = contexts.sums()
        self.first, self.following = contexts.links()
        self.calls = contexts.calls[:]  # with those below
        self.weight = self._weights(contexts, measure)
        for number in range(len(contexts) - 1, 0, -1):
            parent = contexts.parent[number]
            self.calls[parent] += self.calls[number]
            self.weight[parent] = max(self.weight[parent], self.weight[number])
        self.order = self._order(measure, sort)

    def children(self, number: int) -> list[int]:
        found = []
        number = self.first[number]
        while number:
            found.append(number)
            number = self.following[number]
        return sorted(found, key=self.order)

    def _order(self, measure: str, sort: str) -> Callable[[int], tuple[bool, Any]]:
        """Special rows come last."""
        contexts = self.contexts
        if sort == "name":
            return lambda number: (number < FIRST, contexts.of(number))
        column = {"calls": contexts.calls, "own": contexts.own(measure)}.get(sort, self.weight)
        return lambda number: (number < FIRST, -column[number])

    @staticmethod
    def _weights(contexts: Contexts, measure: str) -> list[float]:
        """How much a context matters: by the largest figure in it, lest something large be hidden in a small sum."""
        if measure == "peak":  # what is above the least that was ever seen
            base = min(filter(None, contexts.peak), default=0)
            return [float(max(peak - base, 0)) for peak in contexts.peak]
        return [float(abs(value)) for value in contexts.with_called(measure)]

    def _is_small(self, number: int) -> bool:
        return self.weight[number] * SMALL < self.weight[0] or not self.weight[number]

    def choose(self, limit: int) -> set[int]:
        """What is to be shown: with each, what called it."""
        shown = {0}
        shown.update(number for number in self.children(0) if number < FIRST and self._is_nobodys(number))
        number = 0
        while number >= 0:
            shown.add(number)
            below = [child for child in self.children(number) if child >= FIRST and not self._is_small(child)]
            number = max(below, key=self.weight.__getitem__, default=-1)
        waiting = [(-self.weight[child], child) for parent in shown for child in self.children(parent)]
        heapq.heapify(waiting)
        while waiting and (not limit or len(shown) < limit):
            _, number = heapq.heappop(waiting)
            if number in shown or number < FIRST or self._is_small(number):
                continue
            shown.add(number)
            for child in self.children(number):
                heapq.heappush(waiting, (-self.weight[child], child))
        return shown

    def _is_nobodys(self, number: int) -> bool:
        contexts = self.contexts
        return bool(contexts.up[number] or contexts.down[number] or contexts.calls[number])

    def below(self, number: int, shown: set[int]) -> list[tuple[int | None, bool]]:
        """Children that are shown, each with whether it is the last; None at the end: others, that matter."""
        children = self.children(number)
        found: list[int | None] = [child for child in children if child in shown]
        sums, weight = self.sums, self.weight
        hidden = (child for child in children if child not in shown)
        if any(sums.up[child] or sums.down[child] or weight[child] for child in hidden):
            found.append(None)
        return [(child, child is found[-1]) for child in found]

    def group(self, number: int) -> Group:
        contexts, frame = self.contexts, self.contexts.of(number)
        kind = "special" if number < FIRST else "c" if frame.is_c else "python"
        name = f"{frame.function} (recursive)" if number in contexts.recursive else frame.function
        one = Group(name, frame.file, frame.line, kind, calls=contexts.calls[number] if number else self.calls[0])
        one.growth, one.peak, one.time = contexts.up[number], contexts.peak[number], contexts.seconds[number]
        one.net = contexts.up[number] + contexts.down[number]
        self._add_totals(one, number)
        return one

    def _add_totals(self, one: Group, number: int) -> None:
        sums = self.sums
        one.growth_total += sums.up[number]
        one.net_total += sums.up[number] + sums.down[number]
        one.peak_total = max(one.peak_total, sums.peak[number])
        one.time_total += sums.seconds[number]

    def rest_of(self, number: int, shown: set[int]) -> Group:
        hidden = [child for child in self.children(number) if child not in shown]
        large = sum(not self._is_small(child) for child in hidden)
        name = f"... {len(hidden):,} more" + (f", {large:,} of them above 1 %" if large else " below 1 %")
        one = Group(name, "", 0, figures.REST)
        for child in hidden:
            one.calls += self.calls[child]
            self._add_totals(one, child)
        one.growth, one.net, one.peak, one.time = one.growth_total, one.net_total, one.peak_total, one.time_total
        return one


def sheet(contexts: Contexts, by: str, measure: str, sort: str, limit: int, exact: bool) -> Sheet:
    """by: what the contexts are of. exact: sizes in bytes, times in seconds, two spaces a level; else rounded, with
    guides for a terminal.
    """
    shown = figures.Figures(measure, exact, contexts.rows_only and not any(contexts.calls))
    made = shown.sheet(by)
    for line in lines_of(contexts, measure, sort, limit):
        one = line.group
        style = "bold" if not line.guide else "dim" if one.kind in (figures.REST, "special") else ""
        indent = "  " * len(line.guide) if exact else "".join([_GUIDES[level] for level in line.guide])
        made.rows.append(shown.row(one, indent=indent, style=style))
    return made
