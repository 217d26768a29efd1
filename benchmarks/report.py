"""What was measured as tables: for the terminal and in Markdown."""

from __future__ import annotations

from benchmarks import modes, note, sampling
from benchmarks.rounds import EVERY_MODE, Measurement
from benchmarks.run_one import COUNTERS
from benchmarks.summary import Summary, nanoseconds_each, ratio, summarise
from benchmarks.tables import Table, Target, environment_table, one_decimal, target_table, times

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


def against(own: Summary, base: Summary | None) -> tuple[str, str]:
    """The ratios to `base`, of the least and of the median."""
    if base is None:
        return "-", "-"
    return times(ratio(own.least, base.least)), times(ratio(own.median, base.median))


def mode_summaries(found: Measurement) -> dict[str, Summary]:
    """By mode, in the order of the modes, those that were run."""
    names = [*found.names(), *([modes.WRITE] if found.seconds(modes.WRITE) else [])]
    return {name: summarise(found.seconds(name)) for name in names}


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
        rows.append((modes.title(name), *series, *cells))
    return Table(COST_HEADERS, tuple(rows))


def counter_table(found: Measurement) -> Table:
    """A row a mode: what the recorder counted in the run with the least time."""
    rows = []
    for name in found.names():
        best = found.best(name)
        if best is not None and best.stats and name not in modes.SAMPLERS:
            cells = [f"{best.stats[key]:,d}" if isinstance(best.stats.get(key), int) else "-" for key in COUNTERS]
            rows.append((modes.title(name), *cells, "-" if best.bytes is None else f"{best.bytes:,d}"))
    return Table(("mode", *(key.replace("_", " ") for key in COUNTERS), "log bytes"), tuple(rows))


# With the profile function, over the floor. With sys.monitoring all of them are to be below it.
OVER_FLOOR = {"rss": 1.1, "all": 1.15, "threshold": 1.15, "previous": 1.15, modes.CAPTURE: 1.15}
ATTACHED = 1.05  # the same; with sys.monitoring, what it adds over what the floor adds:
ADDED = 0.6


def targets(found: Measurement) -> list[Target]:
    """The promises that this measurement can judge, by minima; those of the recorder for each engine that was used."""
    least = {name: own.least for name, own in mode_summaries(found).items()}
    judged = [target for engine in found.engines() for target in targets_of(found, least, engine)]
    return judged + sampling.targets(found)


def floor_targets(found: Measurement, least: dict[str, float], engine: str) -> list[Target]:
    """Those that are judged by the floor, each by the engine that did record it."""
    judged = []
    for base in ("attached", *OVER_FLOOR):
        name = modes.with_engine(base, engine)
        best = found.best(name)
        if best is None or modes.FLOOR not in least:
            continue
        monitoring = best.stats.get("engine", engine) == "monitoring"
        if base == "attached" and monitoring:
            if modes.UNTRACED in least and least[modes.FLOOR] > least[modes.UNTRACED]:
                added = (least[name] - least[modes.UNTRACED]) / (least[modes.FLOOR] - least[modes.UNTRACED])
                judged.append(Target(f"{modes.title(name)}: adds, of what the floor adds", ADDED, added))
        else:
            limit = 1.0 if monitoring else OVER_FLOOR.get(base, ATTACHED)
            judged.append(Target(f"{modes.title(name)} / floor", limit, least[name] / least[modes.FLOOR]))
    return judged


def targets_of(found: Measurement, least: dict[str, float], engine: str) -> list[Target]:
    judged = floor_targets(found, least, engine)
    null, file, capture = (
        modes.with_engine(name, engine) for name in (modes.TEXT_NULL, modes.TEXT_FILE, modes.CAPTURE)
    )
    if modes.UNTRACED in least and null in least:
        judged.append(Target(f"{modes.title(null)} / untraced", 2.7, least[null] / least[modes.UNTRACED]))
    if modes.UNTRACED in least and modes.WRITE in least and file in least:
        larger = max(2.7 * least[modes.UNTRACED], least[modes.WRITE])
        what = f"{modes.title(file)} / the larger of 2.7 x untraced and write(2) alone"
        judged.append(Target(what, 1.1, least[file] / larger))
    if capture in least and modes.CPROFILE in least:
        title = f"{modes.title(capture)} / {modes.title(modes.CPROFILE)}"
        judged.append(Target(title, 1.0, least[capture] / least[modes.CPROFILE]))
    for run in found.runs:
        if run.mode == capture and run.bytes is not None and run.events:
            judged.append(Target(note.headed("bytes an event of the capture", engine), 1.5, run.bytes / run.events))
            break
    return judged


def not_run(found: Measurement) -> list[str]:
    """A sentence for each reason for which modes were not run."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.skipped.items():
        by_reason.setdefault(reason, []).append(found.title if name == EVERY_MODE else modes.title(name))
    return [f"{'; '.join(titles)}: not run, {reason}." for reason, titles in by_reason.items()]


def notes(found: Measurement) -> list[str]:
    """What a reader of the table must know; one sentence an entry."""
    return [
        f"{found.title}: {found.events:,d} events; {found.rounds} rounds, each mode once a round in shuffled order "
        f"(seed {found.seed}), every run a process of its own.",
        "Seconds are those of the program's work, timed inside the process, and of the end of the recording, when the "
        "writer drains. Ratios are of minima, beside them of medians. ns/event is over untraced, by minima.",
        "`process` is the whole process: interpreter start, imports and start of the recording included.",
        *not_run(found),
    ]


def tables(found: Measurement) -> list[Table]:
    every = [cost_table(found), target_table(targets(found)), counter_table(found), sampling.table(found)]
    for engine in found.engines():
        every += [note.cost_table(found, engine), note.parts_table(found, engine)]
    return [table for table in every if table.rows]


def text(found: Measurement) -> str:
    if not found.runs:
        return "\n".join(not_run(found)) + "\n"
    described = "\n".join(f"{name}: {value}" for name, value in found.environment.items())
    shown = "\n\n".join(table.text() for table in tables(found))
    return "\n".join(notes(found)) + f"\n{described}\n\n{shown}\n"


def markdown(found: Measurement) -> str:
    parts = [f"## {found.title}"]
    if found.runs:
        parts += notes(found)
        parts += [table.markdown() for table in tables(found)]
        parts.append(environment_table(found.environment).markdown())
    else:
        parts += not_run(found)
    return "\n\n".join(parts) + "\n"
