"""Tables of text cells, for the terminal and in Markdown, and how a figure is written in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells of text. The columns in `left`, by default the first, are set to the left, the others to the right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)

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
            padded = zip(line, widths)
            cells = [c.ljust(width) if at in self.left else c.rjust(width) for at, (c, width) in enumerate(padded)]
            shown.append("  ".join(cells).rstrip())
        return "\n".join(shown)

    def markdown(self) -> str:
        rule = ["---" if at in self.left else "---:" for at in range(len(self.headers))]
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


def target_table(judged: Sequence[Target]) -> Table:
    rows = [(one.what, f"{one.limit:.2f}", f"{one.measured:.2f}", "met" if one.met else "MISSED") for one in judged]
    return Table(("target, by minima", "limit", "measured", ""), tuple(rows))


def environment_table(described: dict[str, str]) -> Table:
    return Table(("measured on", ""), tuple(described.items()))


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def factor(value: float | None) -> str:
    return "-" if value is None else f"x{value:.2f}"


def one_decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
