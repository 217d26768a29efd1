"""Two measurements, and which of their differences are more than noise.

Compared is time / untraced, of two runs in the same round: what slows the machine for a while slows both. The median of
these ratios lies, with 95 % confidence and whatever their distribution is, between two of them that are found by
counting from both ends (as in the sign test). A difference counts when the intervals before and now do not overlap.

On made-up series without a difference (normal, lognormal, and a machine that runs at one of two speeds; 6, 9, 30 and
100 rounds) that was said by mistake in 0.1 to 0.5 % of the comparisons. Medians against their spread (MAD) were tried
before: with two speeds and nine rounds they were wrong in one of ten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import modes
from benchmarks.rounds import Measurement
from benchmarks.summary import Summary, summarise
from benchmarks.tables import Table

CONFIDENCE = 0.95
SAME_MACHINE = ("CPU", "kernel", "Python")
HOW = (
    "Compared is time / untraced of the same round. A difference counts when the 95 % intervals of both medians do not "
    "overlap; 6 rounds are the least that have one."
)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Between which the median lies with at least CONFIDENCE; None: there are too few values to say.

    Of n values, so many lie below the median as a coin falls heads in n throws.
    """
    ordered, beyond, at = sorted(values), 0.0, 0
    for number in range(len(ordered) // 2):
        beyond += math.comb(len(ordered), number) / 2 ** len(ordered)
        if 2 * beyond > 1 - CONFIDENCE:
            break
        at = number + 1
    return (ordered[at - 1], ordered[-at]) if at else None


@dataclass(frozen=True)
class Difference:
    """Of a mode: the ratios before and now, and the intervals of their medians."""

    case: str
    mode: str
    old: Summary
    new: Summary
    old_interval: tuple[float, float] | None
    new_interval: tuple[float, float] | None

    @classmethod
    def of(cls, case: str, mode: str, old: Sequence[float], new: Sequence[float]) -> Difference:
        """Raises: ValueError for an empty series."""
        return cls(case, mode, summarise(old), summarise(new), interval(old), interval(new))

    @property
    def change(self) -> float:
        """Of the median; 0.1 is a tenth of the untraced time more."""
        return self.new.median - self.old.median

    @property
    def verdict(self) -> str:
        if self.old_interval is None or self.new_interval is None:
            return "too few rounds"
        if self.old_interval[1] < self.new_interval[0]:
            return "SLOWER"
        return "faster" if self.new_interval[1] < self.old_interval[0] else "noise"


def ratios(found: Measurement, mode: str) -> list[float]:
    """time / untraced, by round, of the rounds that have both."""
    bare = {run.round: run.work for run in found.runs if run.mode == modes.UNTRACED}
    return [run.work / bare[run.round] for run in found.runs if run.mode == mode and run.round in bare]


def differences(old: Iterable[Measurement], new: Iterable[Measurement]) -> list[Difference]:
    """Of all modes that both have of the same case, size and number of cores."""
    before = {found.title: found for found in old}
    judged = []
    for found in new:
        other = before.get(found.title)
        for mode in found.names():
            if other is not None and mode != modes.UNTRACED and ratios(found, mode) and ratios(other, mode):
                judged.append(Difference.of(found.title, mode, ratios(other, mode), ratios(found, mode)))
    return judged


def changes_of_machine(old: Sequence[Measurement], new: Sequence[Measurement]) -> list[str]:
    """What is another machine, kernel or Python; the differences may come from that."""
    said = []
    for name in SAME_MACHINE:
        pair = [sorted({found.environment.get(name, "?") for found in side}) for side in (old, new)]
        if pair[0] != pair[1]:
            said.append(f"Another {name}: {' and '.join(pair[0])} before, {' and '.join(pair[1])} now.")
    return said


def shown(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def table(judged: Sequence[Difference]) -> Table:
    rows = []
    for one in judged:
        before = (f"x{one.old.median:.2f}", shown(one.old_interval))
        now = (f"x{one.new.median:.2f}", shown(one.new_interval))
        rows.append((one.case, modes.title(one.mode), *before, *now, f"{one.change:+.2f}", one.verdict))
    return Table(("case", "mode", "before", "interval", "now", "interval", "change", ""), tuple(rows), left=(0, 1))


def text(old: Sequence[Measurement], new: Sequence[Measurement]) -> str:
    """Raises: ValueError when there is nothing to compare."""
    judged = differences(old, new)
    if not judged:
        raise ValueError(
            "nothing to compare: no case of the same size and cores in both with an untraced run and another mode"
        )
    counted = [one for one in judged if one.verdict in ("SLOWER", "faster")]
    summary = f"{len(counted)} of {len(judged)} differences exceed the noise."
    return "\n".join([HOW, *changes_of_machine(old, new), "", table(judged).text(), "", summary]) + "\n"
