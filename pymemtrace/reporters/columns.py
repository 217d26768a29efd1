"""Rows of a report in columns: as plain text, or for a terminal of some width."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from . import elided, printable

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2  # between columns
_LEAST = 8  # for a name, however deep it is
_ASCII_GUIDES = str.maketrans("\u2502\u251c\u2514", "|+`")
_NAME = 30  # the last column is to have so much room on a terminal ...


class Column(NamedTuple):
    """of numbers, set to the right."""

    title: str
    rank: int = 0  # ... and as long as it has not, the columns with the highest rank go; 0: never


class Row(NamedTuple):
    """The last cells of a row are no columns: a name behind its indent, and where it is."""

    cells: Sequence[str]  # for each column
    name: str
    where: str = ""
    indent: str = ""
    style: str = ""  # for terminals: bold, dim or nothing


@dataclass
class Sheet:
    columns: list[Column]
    name: str  # title of the last column
    rows: list[Row] = field(default_factory=list)


def plain(sheet: Sheet) -> Iterator[str]:
    """Lines: nothing is left out."""
    widths = [
        max([len(column.title), *(len(row.cells[index]) for row in sheet.rows)])
        for index, column in enumerate(sheet.columns)
    ]
    gap = " " * _GAP
    titles = gap.join(column.title.rjust(width) for column, width in zip(sheet.columns, widths))
    yield f"{titles}{gap}{sheet.name}".rstrip()
    for row in sheet.rows:
        cells = gap.join(cell.rjust(width) for cell, width in zip(row.cells, widths))
        where = f"{gap}{printable(row.where)}" if row.where else ""
        yield f"{cells}{gap}{row.indent}{printable(row.name)}{where}".rstrip()


def on_terminal(sheet: Sheet, width: int, unicode: bool) -> tuple[Table, list[str]]:
    """For a terminal of so many cells, and the titles of the columns for which there was no room.

    unicode: can it show other characters than those of ASCII?
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    shown = list(range(len(sheet.columns)))
    widths = [
        max([*map(len, column.title.split()), *(len(row.cells[index]) for row in sheet.rows)])
        for index, column in enumerate(sheet.columns)
    ]
    gone: list[str] = []
    while (room := width - sum(widths[index] + _GAP for index in shown)) < _NAME:
        highest = max(shown, key=lambda index: sheet.columns[index].rank, default=None)
        if highest is None or not sheet.columns[highest].rank:
            break
        shown.remove(highest)
        gone.append(sheet.columns[highest].title)
    table = Table(box=None, padding=(0, _GAP, 0, 0), collapse_padding=True, pad_edge=False, header_style="dim")
    for index in shown:
        table.add_column(
            Text(sheet.columns[index].title.replace(" ", "\n")), justify="right", no_wrap=True, overflow="crop"
        )
    table.add_column(Text(f"\n{sheet.name}"), no_wrap=True, overflow="crop")
    for row in sheet.rows:
        indent = _indent(row.indent, room)
        show = printable if unicode else _in_ascii
        name, where = _fitting(show(row.name), show(row.where), max(room - len(indent), _LEAST), cell_len)
        last = Text(indent if unicode else indent.translate(_ASCII_GUIDES), style="dim")
        last.append(name, style=row.style)
        last.append(where, style="dim")
        table.add_row(*(Text(row.cells[index], style=row.style) for index in shown), last)
    return table, gone


def _indent(indent: str, room: int) -> str:
    """No more than half of the room: the levels that are left out are counted."""
    if len(indent) * 2 <= room:
        return indent
    start = f"({len(indent) // 2}) "
    return start + indent[-max(room // 2 - len(start), 2) :]


def _in_ascii(text: str) -> str:
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def _fitting(name: str, where: str, room: int, cells: Callable[[str], int]) -> tuple[str, str]:
    """Both in so many cells: the name has the larger part; of where it is the end is what tells."""
    if not where:
        return elided(name, room, cells), ""
    for_where = max(room - cells(name) - _GAP, room // 3)
    if cells(where) > for_where:
        where = _end_of(where, for_where, cells)
    name = elided(name, room - cells(where) - _GAP if where else room, cells)
    return name, f"{' ' * _GAP}{where}" if where else ""


def _end_of(path: str, width: int, cells: Callable[[str], int]) -> str:
    """A path without its first folders: .../json/encoder.py#205. Nothing, where there is next to no room."""
    if width < _LEAST:
        return ""
    end = path[-width:]
    while cells(end) > width - 3:
        end = end[1:]
    if "/" in end:
        return f"...{end[end.index('/') :]}"
    name = path.rpartition("/")[2]
    if len(name) <= width and cells(name) <= width:
        return name
    return f"...{end}"
