"""The figures of a row, in the columns that the reports have in common."""

from __future__ import annotations

from typing import NamedTuple

from . import columns, short_count, short_size, short_time, signed
from .groups import Group

REST = "rest"  # a Group's kind: what is not shown, added up
_COLUMNS = (  # attributes of a Group, titles, and how soon a column goes when a terminal is too narrow; 0: never
    ("net", "net own", 0),
    ("net_total", "net total", 0),
    ("growth", "growth own", 2),
    ("growth_total", "growth total", 3),
    ("peak_total", "peak", 1),
    ("calls", "calls", 0),
    ("time", "time own", 4),
    ("time_total", "time total", 0),
)
TOTALS = ("net_total", "growth_total", "time_total")
OF_ROWS = ("net", "growth", "peak", "peak_total")  # what is known of a log that has not every event


class Figures(NamedTuple):
    """What is shown of each row."""

    measure: str
    exact: bool  # sizes in bytes, times in seconds; else rounded, in a few characters
    of_rows: bool = False  # a log that has not every event: only some columns are known

    def sheet(self, name: str) -> columns.Sheet:
        """Without rows. The columns of the measure stay, however narrow the terminal is."""
        return columns.Sheet(
            [
                columns.Column(title, 0 if key.startswith(self.measure) else rank)
                for key, title, rank in self._columns()
            ],
            name,
        )

    def row(self, one: Group, totals: bool = True, indent: str = "", style: str = "") -> columns.Row:
        """totals: are they known?"""
        show = _exact if self.exact else _short
        keys = [key for key, _, _ in self._columns()]
        cells = [show(key, getattr(one, key)) if totals or key not in TOTALS else "" for key in keys]
        return columns.Row(cells, one.name, where(one), indent, style)

    def _columns(self) -> list[tuple[str, str, int]]:
        return [column for column in _COLUMNS if not self.of_rows or column[0] in OF_ROWS]


def where(one: Group) -> str:
    if one.file == one.name:
        return ""
    return f"{one.file}#{one.line}" if one.file and one.line else one.file


def _exact(key: str, value: float) -> str:
    if key.startswith("time"):
        return f"{value:.6f}"
    return f"{value:+,}" if key.startswith(("net", "growth")) and value else f"{value:,}"


def _short(key: str, value: float) -> str:
    if key.startswith("time"):
        return short_time(value)
    if key == "calls":
        return short_count(int(value))
    text = short_size(value)
    return signed(text) if key.startswith(("net", "growth")) else text
