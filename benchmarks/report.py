"""What was measured as tables: for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import modes
from benchmarks.rounds import Measurement
from benchmarks.summary import Summary, nanoseconds_each, ratio, summarise

COST_HEADERS = (
    "mode",
    "min s",
    "median",
    "MAD",
    "spread",
    "/untraced",
    "median",
    "/floor",
    "median",
    "ns/event",
    "over floor",
    "process s",
    "/untraced",
)
COUNTERS = (
    "events",
    "logged",
    "readings",
    "skipped",
    "audit_tried",
    "audit_differed",
    "waits",
    "sites",
    "tracer_bytes",
)


@dataclass(frozen=True)
class Table:
    """Cells of text. The first column is set to the left, the others to the right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"{len(row)} cells under {len(self.headers)} headers: {row}")

    def text(self) -> str:
        """Columns as wide as their widest cell, two blanks between them."""
        lines = [self.headers, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headers))]
        shown = []
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            shown.append("  ".join(cells).rstrip())
        return "\n".join(shown)

    def markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.headers) - 1)]
        lines = [self.headers, rule, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@dataclass(frozen=True)
class Target:
    """A promise about the cost, and what was measured."""

    what: str
    limit: float
    measured: float

    @property
    def met(self) -> bool:
        return self.measured <= self.limit


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def one_decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def against(own: Summary, base: Summary | None) -> tuple[str, str]:
    """The ratios to `base`, of the least and of the median."""
    if base is None:
        return "-", "-"
    return times(ratio(own.least, base.least)), times(ratio(own.median, base.median))


def mode_summaries(found: Measurement) -> dict[str, Summary]:
    """By mode, in the order of the modes, those that were run."""
    names = [*modes.BY_NAME, modes.WRITE]
    return {name: summarise(found.seconds(name)) for name in names if found.seconds(name)}


def cost_table(found: Measurement) -> Table:
    """A row a mode: seconds of the work, ratios to untraced and to the floor by minima and by medians, ns an event."""
    summaries = mode_summaries(found)
    bare, floor = summaries.get(modes.UNTRACED), summaries.get(modes.FLOOR)
    bare_process = summarise(found.whole(modes.UNTRACED)).least if bare else None
    rows = []
    for name, own in summaries.items():
        process = summarise(found.whole(name)).least
        series = tuple(f"{value:.3f}" for value in (own.least, own.median, own.deviation, own.spread))
        if name == modes.WRITE:
            rows.append(("  the same bytes by write(2) alone", *series, *against(own, bare), *["-"] * 6))
            continue
        cells = (
            *against(own, bare),
            *against(own, floor),
            one_decimal(nanoseconds_each(own.least, bare.least if bare else None, found.events)),
            one_decimal(nanoseconds_each(own.least, floor.least if floor else None, found.events)),
            f"{process:.3f}",
            times(ratio(process, bare_process)),
        )
        rows.append((modes.BY_NAME[name].title, *series, *cells))
    return Table(COST_HEADERS, tuple(rows))


def counter_table(found: Measurement) -> Table:
    """A row a mode: what the recorder counted in the run with the least time."""
    rows = []
    for mode in modes.MODES:
        runs = [run for run in found.runs if run.mode == mode.name and run.stats]
        if runs:
            best = min(runs, key=lambda run: run.work)
            cells = [f"{best.stats[key]:,d}" if isinstance(best.stats.get(key), int) else "-" for key in COUNTERS]
            rows.append((mode.title, *cells, "-" if best.bytes is None else f"{best.bytes:,d}"))
    return Table(("mode", *(key.replace("_", " ") for key in COUNTERS), "log bytes"), tuple(rows))


def targets(found: Measurement) -> list[Target]:
    """The promises that this measurement can judge, by minima."""
    least = {name: own.least for name, own in mode_summaries(found).items()}
    judged = []
    if modes.FLOOR in least:
        for name, limit in (("rss", 1.15), ("threshold", 1.2), ("previous", 1.2), (modes.CAPTURE, 1.2)):
            if name in least:
                judged.append(Target(f"{modes.BY_NAME[name].title} / floor", limit, least[name] / least[modes.FLOOR]))
    if modes.UNTRACED in least and modes.TEXT_NULL in least:
        title = modes.BY_NAME[modes.TEXT_NULL].title
        judged.append(Target(f"{title} / untraced", 2.7, least[modes.TEXT_NULL] / least[modes.UNTRACED]))
    if modes.UNTRACED in least and modes.WRITE in least:
        larger = max(2.7 * least[modes.UNTRACED], least[modes.WRITE])
        what = f"{modes.BY_NAME[modes.TEXT_FILE].title} / the larger of 2.7 x untraced and write(2) alone"
        judged.append(Target(what, 1.1, least[modes.TEXT_FILE] / larger))
    if modes.CAPTURE in least and modes.CPROFILE in least:
        title = f"{modes.BY_NAME[modes.CAPTURE].title} / {modes.BY_NAME[modes.CPROFILE].title}"
        judged.append(Target(title, 1.0, least[modes.CAPTURE] / least[modes.CPROFILE]))
    for run in found.runs:
        if run.mode == modes.CAPTURE and run.bytes is not None and run.events:
            judged.append(Target("bytes an event of the capture", 1.5, run.bytes / run.events))
            break
    return judged


def target_table(judged: Sequence[Target]) -> Table:
    rows = [(one.what, f"{one.limit:.2f}", f"{one.measured:.2f}", "met" if one.met else "MISSED") for one in judged]
    return Table(("target, by minima", "limit", "measured", ""), tuple(rows))


def notes(found: Measurement) -> list[str]:
    """What a reader of the table must know; one sentence an entry."""
    lines = [
        f"{found.case}, size {found.size}: {found.events:,d} events; {found.rounds} rounds, each mode once a round in "
        f"shuffled order (seed {found.seed}), every run a process of its own.",
        "Seconds are those of the program's work, timed inside the process, and of the end of the recording, when the "
        "writer drains. Ratios are of minima, beside them of medians. ns/event is over untraced, by minima.",
        "`process` is the whole process: interpreter start, imports and start of the recording included.",
    ]
    lines += [f"{modes.BY_NAME[name].title}: not run, {reason}." for name, reason in found.skipped.items()]
    return lines


def tables(found: Measurement) -> list[Table]:
    return [table for table in (cost_table(found), target_table(targets(found)), counter_table(found)) if table.rows]


def environment_table(described: dict[str, str]) -> Table:
    return Table(("measured on", ""), tuple(described.items()))


def text(found: Measurement) -> str:
    described = "\n".join(f"{name}: {value}" for name, value in found.environment.items())
    shown = "\n\n".join(table.text() for table in tables(found))
    return "\n".join(notes(found)) + f"\n{described}\n\n{shown}\n"


def markdown(found: Measurement) -> str:
    parts = [f"## {found.case}", *notes(found)]
    parts += [table.markdown() for table in tables(found)]
    parts.append(environment_table(found.environment).markdown())
    return "\n\n".join(parts) + "\n"
