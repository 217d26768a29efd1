"""`table`: a row for each function, file, module or line."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from . import count, figures
from .cells import row, text
from .columns import Sheet
from .contexts import Contexts, Frame
from .groups import Group, added_up

_CSV = (  # its attribute, and what it is called there
    ("calls", "calls"), ("net", "net_own_bytes"), ("net_total", "net_total_bytes"), ("growth", "growth_own_bytes"),
    ("growth_total", "growth_total_bytes"), ("peak", "peak_own_bytes"), ("peak_total", "peak_total_bytes"),
    ("time", "seconds_own"), ("time_total", "seconds_total"),
)  # fmt: skip
_SMALL = 100  # a total of less than a so-manieth of the largest does not matter


class Choice(NamedTuple):
    """What is wanted."""

    by: str = "function"
    measure: str = "net"
    sort: str = "own"
    limit: int = 0  # rows; 0: all
    wanted: Callable[[Frame], bool] | None = None  # rows by name and file; None: all


class Rows(NamedTuple):
    """What a table shows."""

    groups: list[Group]
    rest: Group | None  # all that is not shown; without totals: functions in it may have called each other
    all: Group
    of_rows: bool  # of logs that have not every event: there are no calls, totals and times


def rows_of(contexts: Contexts, choice: Choice) -> Rows:
    """`<tracer>` and its like are always among them, if RSS changed there; of the others, those that matter most: a
    large fall as much as a large growth. With a limit, a row without a figure of its own is shown if its total matters.
    """
    groups = added_up(contexts, choice.by)
    special = [one for one in groups if one.kind == "special"]
    others = [one for one in groups if one.kind != "special"]
    candidates = others
    if choice.wanted is not None:
        wanted = choice.wanted
        candidates = [one for one in others if wanted(Frame(one.name, one.file, one.line, one.kind == "c"))]
    number = len(candidates) if choice.limit == 0 else choice.limit
    if choice.sort == "name":
        shown = sorted(candidates, key=lambda one: (one.name, one.file, one.line))[:number]
    else:
        value = _value(choice)
        if choice.limit and choice.wanted is None:
            least = max([abs(one.total(choice.measure)) for one in candidates], default=0) / _SMALL or 1
            candidates = [one for one in candidates if value(one) or abs(one.total(choice.measure)) >= least]
        largest = heapq.nlargest(number, candidates, key=lambda one: (abs(value(one)), abs(one.total(choice.measure))))
        shown = sorted(largest, key=lambda one: (-value(one), -one.total(choice.measure)))
    kept = {id(one) for one in shown}
    hidden = [one for one in others if id(one) not in kept]
    rest = _sum(f"... {count(len(hidden), 'more row')}", figures.REST, hidden) if hidden else None
    total = _sum("total", "all", groups)
    total.net_total, total.growth_total, total.time_total = total.net, total.growth, total.time
    total.time = total.time_total = sum(contexts.seconds)
    return Rows(shown + special, rest, total, contexts.rows_only and not any(contexts.calls))


def _value(choice: Choice) -> Callable[[Group], float]:
    if choice.sort == "calls":
        return lambda one: one.calls
    if choice.sort == "total":
        return lambda one: one.total(choice.measure)
    return lambda one: one.own(choice.measure)


def _sum(name: str, kind: str, groups: Iterable[Group]) -> Group:
    """Own figures added up; the largest peak."""
    made = Group(name, "", 0, kind)
    for one in groups:
        made.calls += one.calls
        made.growth += one.growth
        made.net += one.net
        made.time += one.time
        made.peak = max(made.peak, one.peak)
        made.peak_total = max(made.peak_total, one.peak_total)
    return made


def sheet(rows: Rows, choice: Choice, exact: bool) -> Sheet:
    """exact: sizes in bytes, times in seconds; else rounded, in a few characters."""
    shown = figures.Figures(choice.measure, exact, rows.of_rows)
    made = shown.sheet(choice.by)
    for one in rows.groups:
        made.rows.append(shown.row(one, style="dim" if one.kind == "special" else ""))
    if rows.rest is not None:
        made.rows.append(shown.row(rows.rest, totals=False, style="dim"))
    made.rows.append(shown.row(rows.all, style="bold"))
    return made


def csv_lines(rows: Rows) -> Iterator[str]:
    """Of all rows but the sum of everything: a column of own figures adds up to that. Sizes in bytes, times in seconds;
    peaks are the process's RSS. Names are escaped as in other reports.
    """
    yield row(["name", "kind", "file", "line", *(title for _, title in _CSV)])
    for one in [*rows.groups, *([rows.rest] if rows.rest else [])]:
        unknown = figures.TOTALS if one.kind == figures.REST else ()
        cells = [
            "" if key in unknown or (rows.of_rows and key not in figures.OF_ROWS) else _plain(getattr(one, key))
            for key, _ in _CSV
        ]
        yield row([text(one.name), one.kind, text(one.file), f"{one.line or ''}", *cells])


def _plain(value: float) -> str:
    return f"{value:.9f}" if isinstance(value, float) else f"{value}"
