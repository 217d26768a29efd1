"""The generated parts of docs/performance.md and README.md, made of the results that are checked in.

A part stands between two comments, the first of which names it; what is outside of them is written by hand:

    <!-- begin: table of las_to_html -->
    <!-- end -->

`, Python 3.11` after the name takes the results of that version, otherwise the newest are taken. A part for which
there are no results stays as it is. Pure functions: files in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks import cases, modes, note, sampling, scaling
from benchmarks.results import File
from benchmarks.rounds import Measurement
from benchmarks.summary import Summary, nanoseconds_each, ratio, summarise
from benchmarks.tables import Table, factor, one_decimal

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "docs" / "performance.md", ROOT / "README.md")
PICTURE = ROOT / "docs" / "performance.svg"
PART = re.compile(
    r"(<!-- begin: (?P<name>[^>]+?)(?:, Python (?P<python>[0-9.]+))? -->\n)(?P<body>.*?)(<!-- end -->)", re.S
)
LAS = "las_to_html"
OVERVIEW = (
    modes.FLOOR,
    "attached",
    "rss",
    "threshold",
    "previous",
    modes.TEXT_FILE,
    modes.CAPTURE,
    modes.GATE_OFF,
    modes.CPROFILE,
    modes.TRACEMALLOC,
)
SHORT = ("untraced", modes.FLOOR, "rss", "threshold", "previous", modes.TEXT_NULL, modes.CAPTURE, modes.CPROFILE)


def measured_on(found: Measurement) -> str:
    """A sentence: machine, Python, day, rounds."""
    said = found.environment
    where = "; ".join(said[name] for name in ("CPU", "kernel") if name in said)
    day = said.get("date", "")[:10]
    return f"{where}; Python {said.get('Python', '?')}; {day or 'undated'}; {found.rounds} rounds."


def least(found: Measurement, mode: str) -> Summary | None:
    seconds = found.seconds(mode)
    return summarise(seconds) if seconds else None


def what_it_adds(found: Measurement, mode: str) -> str:
    """In words, for a log its size."""
    sizes = [(run.bytes, run.events) for run in found.runs if run.mode == mode and run.bytes and run.events]
    if mode.startswith(modes.TEXT_FILE) and sizes:
        return f"{min(size for size, _ in sizes) / 1e6:,.0f} MB"
    said = modes.BY_NAME[mode.partition("@")[0]].adds
    if mode.startswith(modes.CAPTURE) and sizes:
        each = sorted({f"{size / events:.2f}" for size, events in sizes})
        said += f"; {' to '.join(dict.fromkeys((each[0], each[-1])))} bytes an event"
    return said


def mode_table(found: Measurement) -> Table:
    """A row a mode: ratios by minima to untraced and to the floor, by medians to the floor, ns an event."""
    bare, floor = least(found, modes.UNTRACED), least(found, modes.FLOOR)
    rows = []
    for mode in found.names():
        own = least(found, mode)
        if own is None:
            continue
        each = nanoseconds_each(own.least, bare.least if bare else None, found.events)
        shown = (
            factor(ratio(own.least, bare.least if bare else None)),
            factor(ratio(own.least, floor.least if floor else None)),
            factor(ratio(own.median, floor.median if floor else None)),
            one_decimal(each),
        )
        rows.append((modes.title(mode), *shown, what_it_adds(found, mode)))
    headers = ("mode", "time / untraced", "time / floor", "medians / floor", "ns an event", "what it adds")
    return Table(headers, tuple(rows), left=(0, 5))


def side_by_side(found: Mapping[str, Measurement]) -> Table:
    """Measurements by their headings: a row a mode, time / untraced by minima in each."""
    names = sorted({name for one in found.values() for name in one.names()}, key=modes.place)
    rows = []
    for name in names:
        shown = []
        for one in found.values():
            own, bare = least(one, name), least(one, modes.UNTRACED)
            shown.append(factor(ratio(own.least, bare.least)) if own and bare else "-")
        rows.append((modes.title(name), *shown))
    return Table(("time / untraced", *found), tuple(rows))


def same_engine(found: Sequence[Measurement], names: Iterable[str]) -> list[str]:
    """The modes as they were run: by themselves, or else with the first engine that was asked for."""
    used = [engine for one in found for engine in one.engines()]
    engine = modes.AUTO if modes.AUTO in used or not used else used[0]
    return [modes.with_engine(name, engine) for name in names]


def overview_table(found: Sequence[Measurement]) -> Table:
    """A row a case: seconds untraced and events; time / untraced by minima in each mode."""
    shown = [name for name in same_engine(found, OVERVIEW) if any(one.seconds(name) for one in found)]
    rows = []
    for one in found:
        bare = least(one, modes.UNTRACED)
        if bare is not None:
            each = [least(one, mode) for mode in shown]
            ratios = [factor(own.least / bare.least) if own else "-" for own in each]
            rows.append((f"{one.case} {one.size}", f"{bare.least:.2f}", f"{one.events:,d}", *ratios))
    return Table(("case", "untraced s", "events", *shown), tuple(rows))


def engine_table(found: Sequence[Measurement]) -> Table:
    """A row a case and mode that was run with several engines: time / untraced by minima with each."""
    engines = modes.ENGINES[1:]
    rows = []
    for one in found:
        bare = least(one, modes.UNTRACED)
        for base in modes.BY_NAME:
            each = [least(one, f"{base}@{engine}") for engine in engines]
            if bare is not None and all(each):
                ratios = [factor(own.least / bare.least) if own else "-" for own in each]
                rows.append((f"{one.case} {one.size}", modes.title(base), *ratios))
    return Table(("case", "mode", *engines), tuple(rows), left=(0, 1))


# --- which results a part takes --------------------------------------------------------------------------------------


def find(file: File, case: str, size: str, cpus: int = 0) -> Measurement | None:
    """With the engine that the recorder takes by itself: others are for the table of engines."""
    for found in file.measurements:
        wanted = (found.case, found.size, found.cpus) == (case, size, cpus) and modes.AUTO in found.engines()
        if wanted and found.seconds(modes.UNTRACED):
            return found
    return None


def newest(files: Sequence[File], case: str, size: str, cpus: int = 0) -> Measurement | None:
    """Of files that are sorted by date: of those with the most modes the newest."""
    every = [found for file in files if (found := find(file, case, size, cpus)) is not None]
    return max(reversed(every), key=lambda one: len(one.names()), default=None)


def runs_of_cases(files: Sequence[File]) -> list[Measurement]:
    """Of the file with the most cases, of several the newest: one table should come from one run."""
    best: list[Measurement] = []
    for file in files:
        here = [one for one in file.measurements if one.case in cases.EVERY and one.seconds(modes.UNTRACED)]
        if here and len({one.case for one in here}) >= len({one.case for one in best}):
            best = here
    return best


def las(files: Sequence[File]) -> Measurement | None:
    return newest(files, LAS, cases.load(LAS).FULL)


def modes_part(files: Sequence[File]) -> str | None:
    found = las(files)
    return None if found is None else f"{mode_table(found).markdown()}\n\n{measured_on(found)}\n"


def note_part(make: Callable[[Measurement, str], Table]) -> Callable[[Sequence[File]], str | None]:
    """A table of the technical note, for each engine that was used."""

    def part(files: Sequence[File]) -> str | None:
        found = las(files)
        if found is None:
            return None
        tables = [make(found, engine) for engine in found.engines()]
        return "\n\n".join([*(table.markdown() for table in tables), measured_on(found)]) + "\n"

    return part


def sizes_part(files: Sequence[File]) -> str | None:
    by_name = {name: newest(files, LAS, size) for name, size in cases.sizes(LAS).items()}
    found = {f"{one.size}, {one.events / 1e6:.2f} M events": one for one in by_name.values() if one is not None}
    if len(found) < 2:
        return None
    return f"{side_by_side(found).markdown()}\n\n{measured_on(next(iter(found.values())))}\n"


def cores_part(files: Sequence[File]) -> str | None:
    one, every = newest(files, LAS, cases.load(LAS).FULL, cpus=1), las(files)
    if one is None or every is None:
        return None
    return f"{side_by_side({'one core': one, 'all cores': every}).markdown()}\n\n{measured_on(one)}\n"


def versions_part(files: Sequence[File]) -> str | None:
    names = sorted({file.python for file in files if file.python}, key=lambda name: [int(x) for x in name.split(".")])
    each = {name: las([file for file in files if file.python == name]) for name in names}
    found = {f"Python {name}": one for name, one in each.items() if one is not None}
    return f"{side_by_side(found).markdown()}\n" if len(found) > 1 else None


def short_part(files: Sequence[File]) -> str | None:
    """The modes that matter most, on the oldest and the newest Python that were measured."""
    names = sorted({file.python for file in files if file.python}, key=lambda name: [int(x) for x in name.split(".")])
    each = {name: las([file for file in files if file.python == name]) for name in names}
    found = {name: one for name, one in each.items() if one is not None and one.seconds(modes.FLOOR)}
    if not found:
        return None
    ends = dict.fromkeys((next(iter(found)), list(found)[-1]))
    rows = []
    for mode in SHORT:
        row = [modes.title(mode)]
        for name in ends:
            bare, own = least(found[name], modes.UNTRACED), least(found[name], mode)
            if bare is None or own is None:
                row += ["-", "-", "-"]
                continue
            row += [factor(own.least / bare.least), factor(own.median / bare.median)]
            row.append(one_decimal(nanoseconds_each(own.least, bare.least, found[name].events)))
        rows.append(tuple(row))
    headers = [title for name in ends for title in (f"{name}: least", "median", "ns an event")]
    table = Table(("time / untraced", *headers), tuple(rows))
    return "\n\n".join([table.markdown(), *(measured_on(found[name]) for name in ends)]) + "\n"


def sampling_part(files: Sequence[File]) -> str | None:
    every = [one for file in files for one in file.measurements if any(one.seconds(name) for name in modes.SAMPLERS)]
    return f"{sampling.table(every[-1]).markdown()}\n\n{measured_on(every[-1])}\n" if every else None


def overview_part(files: Sequence[File]) -> str | None:
    found = runs_of_cases(files)
    if not found:
        return None
    picture = f"![time / untraced of each case in each mode]({PICTURE.name})"
    return f"{picture}\n\n{overview_table(found).markdown()}\n\n{measured_on(found[0])}\n"


def engines_part(files: Sequence[File]) -> str | None:
    every = (one for file in files for one in file.measurements)
    newest_of_each = list({one.title: one for one in every if engine_table([one]).rows}.values())
    if not newest_of_each:
        return None
    return f"{engine_table(newest_of_each).markdown()}\n\n{measured_on(newest_of_each[-1])}\n"


def scaling_part(files: Sequence[File]) -> str | None:
    found = [file.measurements for file in files if file.measurements and file.measurements[0].case == scaling.CASE]
    if not found:
        return None
    tables = (scaling.point_table(found[-1]), scaling.spread_table(found[-1]))
    return "\n\n".join([*(table.markdown() for table in tables), measured_on(found[-1][0])]) + "\n"


PARTS: dict[str, Callable[[Sequence[File]], str | None]] = {
    "table of las_to_html": modes_part,
    "table 1 of the technical note": note_part(note.cost_table),
    "table 2 of the technical note": note_part(note.parts_table),
    "table of sizes": sizes_part,
    "table of cores": cores_part,
    "table of versions": versions_part,
    "table of engines": engines_part,
    "table of all cases": overview_part,
    "table of scaling": scaling_part,
    "table of the sampler": sampling_part,
    "short table": short_part,
}


def fill(page: str, files: Sequence[File]) -> str:
    """The page with its parts made of these files, oldest first. Raises: ValueError for a part that is none."""

    def made(match: re.Match[str]) -> str:
        name, python = match["name"], match["python"]
        if name not in PARTS:
            raise ValueError(f"no part {name!r}; there are {', '.join(PARTS)}")
        body = PARTS[name]([file for file in files if python in (None, file.python)])
        return match[1] + (match["body"] if body is None else f"\n{body}\n") + match[5]

    return PART.sub(made, page)
