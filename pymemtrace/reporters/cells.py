"""Comma-separated values (RFC 4180) that spreadsheets may open, too."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Callable

from . import printable

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # how a spreadsheet knows one; the last four are the same, wide


def text(name: str) -> str:
    """A name as a cell: one line. What would be taken for a formula, which can start programs, begins with `'`."""
    cell = printable(name)
    return f"'{cell}" if cell.startswith(FORMULA) else cell


class _Line:
    """A file that hands back what is written."""

    def write(self, line: str) -> str:
        return line


# A row of cells, numbers or what `text` returns, as a line without its end. writerow() returns what write() does.
row: Callable[[Iterable[object]], str] = csv.writer(_Line(), lineterminator="").writerow
