"""What an event costs as there are more of them, more functions, deeper stacks, more threads: it should be the same."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import modes
from benchmarks.cases import Job
from benchmarks.cases.shape import Shape
from benchmarks.rounds import Measurement
from benchmarks.summary import Summary, nanoseconds_each, summarise
from benchmarks.tables import Table, environment_table, one_decimal

CASE = "shape"
FIRST = 1_000_000  # events
LAST = 1_000_000_000
ELSEWHERE = 40_000_000  # at most, where something else grows: so that first sights of 70,000 functions weigh little
FEW = Shape(FIRST, functions=10, depth=10, threads=1)
MANY = Shape(FIRST, functions=70_000, depth=10_000, threads=100)
MODES = "untraced,floor,threshold,capture"


def points(events: int) -> list[Job]:
    """From 1M events in powers of ten to `events`; then each of the others large, then all of them."""
    shapes = []
    step = min(FIRST, events)
    while step < events:
        shapes.append(Shape(step, FEW.functions, FEW.depth, FEW.threads))
        step *= 10
    shapes.append(Shape(events, FEW.functions, FEW.depth, FEW.threads))
    there = min(events, ELSEWHERE)
    shapes += [
        Shape(there, MANY.functions, FEW.depth, FEW.threads),
        Shape(there, FEW.functions, MANY.depth, FEW.threads),
        Shape(there, FEW.functions, FEW.depth, MANY.threads),
        Shape(there, MANY.functions, MANY.depth, MANY.threads),
    ]
    return [(CASE, str(shape)) for shape in shapes]


def over(found: Measurement, mode: str, base: str) -> Summary | None:
    """Nanoseconds an event more than in `base`, of two runs in the same round; None where one of them was not run."""
    other = {run.round: run.work for run in found.runs if run.mode == base}
    each = [
        (run.work - other[run.round]) / found.events * 1e9
        for run in found.runs
        if run.mode == mode and run.round in other
    ]
    return summarise(each) if each else None


def over_minima(found: Measurement, mode: str, base: str) -> float | None:
    """The same of the least times of both: the best estimate where other work only adds time."""
    own, other = found.seconds(mode), found.seconds(base)
    return nanoseconds_each(min(own), min(other), found.events) if own and other else None


def shown_modes(found: Sequence[Measurement]) -> list[str]:
    """All but the one that every other is measured against."""
    names = {name for one in found for name in one.names()} - {modes.UNTRACED}
    return sorted(names, key=modes.place)


def cells(found: Measurement, mode: str, base: str) -> tuple[str, str, str]:
    """By minima; median and MAD of the rounds."""
    summary = None if mode == base else over(found, mode, base)
    if summary is None:
        return ("-", "-", "-")
    return (
        one_decimal(over_minima(found, mode, base)),
        one_decimal(summary.median),
        one_decimal(summary.deviation),
    )


def point_table(found: Sequence[Measurement]) -> Table:
    """A row a mode and point: ns an event over untraced and over the floor."""
    rows = []
    for mode in shown_modes(found):
        for one in found:
            bare, floor = cells(one, mode, modes.UNTRACED), cells(one, mode, modes.FLOOR)
            if one.seconds(mode):
                shape = Shape.parse(one.size)
                numbers = (f"{one.events:,d}", f"{shape.functions:,d}", f"{shape.depth:,d}", f"{shape.threads:,d}")
                rows.append((modes.title(mode), *numbers, *bare, *floor))
    headers = ("mode", "events", "functions", "depth", "threads")
    over_each = ("ns/event over untraced", "median", "MAD", "over floor", "median", "MAD")
    return Table((*headers, *over_each), tuple(rows))


def spread_table(found: Sequence[Measurement]) -> Table:
    """A row a mode: the least and the largest of all points, by minima, and how far they are apart."""
    rows = []
    for mode in shown_modes(found):
        for base in (modes.UNTRACED, modes.FLOOR):
            at = [each for one in found if (each := over_minima(one, mode, base)) is not None]
            if at and mode != base:
                apart = f"{max(at) - min(at):.1f}"
                factor = f"{max(at) / min(at):.2f}" if min(at) > 0 else "-"
                rows.append((modes.title(mode), base, f"{min(at):.1f}", f"{max(at):.1f}", apart, factor))
    headers = ("mode", "ns/event over", "least point", "largest point", "apart", "largest / least")
    return Table(headers, tuple(rows))


def text(found: Sequence[Measurement]) -> str:
    first = found[0]
    described = "\n".join(f"{name}: {value}" for name, value in first.environment.items())
    skipped = {reason for one in found for reason in one.skipped.values()}
    lines = [
        f"{first.rounds} rounds; each has every point in every mode once, in shuffled order (seed {first.seed}). "
        "First by the least times of both, beside it medians of the differences within a round.",
        *(f"Not everything was run: {reason}." for reason in sorted(skipped)),
        described,
    ]
    return "\n".join(lines) + f"\n\n{point_table(found).text()}\n\n{spread_table(found).text()}\n"


def markdown(found: Sequence[Measurement]) -> str:
    tables = (point_table(found), spread_table(found), environment_table(found[0].environment))
    return "\n\n".join(["## Scaling", *(table.markdown() for table in tables)]) + "\n"
