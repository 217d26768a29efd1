"""What the sampler costs, and how punctual it is: figures of whole processes, psutil in a Python thread beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import modes
from benchmarks.summary import ratio, summarise
from benchmarks.tables import Table, Target, times

if TYPE_CHECKING:
    from benchmarks.rounds import Measurement, Run

MIB = 2**20
# Mode, the most that the whole process may take longer (a factor), and the most that its RSS may grow (MiB).
LIMITS = ((modes.SAMPLE_10, 1.01, 1.0), (modes.SAMPLE_1, 1.03, None))
HEADERS = (
    "mode", "process s", "median", "/imported", "median", "peak MiB", "more", "ticks", "missed", "late ms", "largest",
)  # fmt: skip


def ticks_of(path: Path) -> dict[str, float]:
    """Of a file: how many samples, how many ticks were missed, by how many ms samples were late: median, largest."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    begin, interval = lines[0]["time"], lines[0]["interval"]
    samples = [line for line in lines[1:] if "rss" in line]
    number, late = -1, []
    for sample in samples:
        number += 1 + sample.get("missed", 0)
        late.append(1000 * (sample["time"] - begin - number * interval))
    late = late[:-1] or [0.0]  # the last one is made at the end of the program, when none was due
    missed = sum(sample.get("missed", 0) for sample in samples)
    return {
        "ticks": len(samples),
        "missed": missed,
        "late": round(summarise(late).median, 3),
        "latest": round(max(late), 3),
    }


def least_peak(found: Measurement, mode: str) -> float | None:
    """MiB, the median of the runs."""
    peaks = [run.peak / MIB for run in found.runs if run.mode == mode and run.peak is not None]
    return summarise(peaks).median if peaks else None


def table(found: Measurement) -> Table:
    """A row a mode: seconds of the whole process, ratios to the one that imports only, its largest RSS, its ticks."""
    base = found.whole(modes.IMPORTED)
    rows = []
    for mode in (modes.UNTRACED, modes.IMPORTED, *modes.SAMPLERS):
        whole = found.whole(mode)
        if not whole or not base:
            continue
        own, bare = summarise(whole), summarise(base)
        peak, bare_peak = least_peak(found, mode), least_peak(found, modes.IMPORTED)
        more = None if peak is None or bare_peak is None else peak - bare_peak
        runs = [run for run in found.runs if run.mode == mode and run.stats]
        rows.append(
            (
                modes.title(mode),
                f"{own.least:.3f}",
                f"{own.median:.3f}",
                f"{own.least / bare.least:.3f}",
                f"{own.median / bare.median:.3f}",
                times(peak),
                "-" if more is None else f"{more:+.2f}",
                _each(runs, "ticks", sum, "{:,.0f}"),
                _each(runs, "missed", sum, "{:,.0f}"),
                _each(runs, "late", lambda values: summarise(values).median, "{:.2f}"),
                _each(runs, "latest", max, "{:.2f}"),
            )
        )
    return Table(HEADERS, tuple(rows))


def _each(runs: list[Run], key: str, together: Callable[[list[float]], float], form: str) -> str:
    values = [float(run.stats[key]) for run in runs if key in run.stats]
    return form.format(together(values)) if values else "-"


def targets(found: Measurement) -> list[Target]:
    """By minima of whole processes, and by the medians of their largest RSS, beyond the import."""
    judged = []
    base, base_peak = found.whole(modes.IMPORTED), least_peak(found, modes.IMPORTED)
    for mode, limit, most in LIMITS:
        whole, peak = found.whole(mode), least_peak(found, mode)
        if whole and base:
            measured = ratio(min(whole), min(base))
            assert measured is not None
            judged.append(Target(f"{modes.title(mode)}: whole process / imported", limit, measured))
        if most is not None and peak is not None and base_peak is not None:
            judged.append(Target(f"{modes.title(mode)}: MiB of RSS beyond the import", most, peak - base_peak))
    return judged
