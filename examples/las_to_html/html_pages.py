"""Make HTML pages of LAS files: one page per file, and an index of all. Pure functions: they open and print nothing."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from las import HeaderLine, LasFile, Section
from summary import Histogram, Statistics, Summary

STYLE = """
body { font-family: sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; margin-bottom: 1.5em; }
th, td { border: 1px solid #bbb; padding: 0.2em 0.6em; text-align: left; }
th { background: #eee; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.problems { color: #a00; }
svg { vertical-align: middle; fill: #369; }
""".strip()
BAR_WIDTH, BAR_HEIGHT = 6, 24  # pixels
TITLES = {Section.VERSION: "Version", Section.WELL: "Well", Section.CURVE: "Curves", Section.PARAMETER: "Parameters"}
STATISTICS = ("Minimum", "Maximum", "Mean", "Std. dev.", "Median", "First", "Last", "Histogram")


class IndexEntry(NamedTuple):
    """What the index says about one file. `size` is in bytes."""

    name: str
    well: str
    size: int
    rows: int
    channels: int
    problems: int

    @classmethod
    def of(cls, las_file: LasFile) -> IndexEntry:
        return cls(
            name=las_file.name,
            well=las_file.well,
            size=las_file.size,
            rows=las_file.rows,
            channels=len(las_file.channels),
            problems=las_file.problem_count,
        )


def page_name(name: str) -> str:
    """Name of the page of the LAS file `name`. The suffix stays, so that `a.las` and `a.LAS` have two pages."""
    return f"{name}.html"


def number(value: float) -> str:
    return f"{value:.6g}"


def cell(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"


def number_cell(text: str) -> str:
    return f'<td class="number">{html.escape(text)}</td>'


def row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def table(titles: Iterable[str], rows: Iterable[str]) -> str:
    head = row(f"<th>{html.escape(title)}</th>" for title in titles)
    return "\n".join(["<table>", head, *rows, "</table>"])


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page; `parts` are HTML, `title` is text."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>\n{STYLE}\n</style></head>",
            "<body>",
            f"<h1>{html.escape(title)}</h1>",
            *parts,
            "</body>",
            "</html>",
            "",
        ]
    )


def histogram_svg(histogram: Histogram) -> str:
    bars = []
    for index, count in enumerate(histogram.counts):
        height = round(BAR_HEIGHT * count / histogram.largest)
        if count:
            height = max(height, 1)  # a rare value is to be seen beside a frequent one
        bars.append(
            f'<rect x="{index * BAR_WIDTH}" y="{BAR_HEIGHT - height}" width="{BAR_WIDTH - 1}" height="{height}">'
            f"<title>{count:,d}</title></rect>"
        )
    return f'<svg width="{BAR_WIDTH * histogram.bins}" height="{BAR_HEIGHT}">{"".join(bars)}</svg>'


def statistics_cells(statistics: Statistics | None) -> list[str]:
    if statistics is None:
        return [number_cell("")] * len(STATISTICS)
    *numbers, histogram = statistics
    return [*(number_cell(number(value)) for value in numbers), f"<td>{histogram_svg(histogram)}</td>"]


def summary_row(summary: Summary) -> str:
    counts = (summary.size, summary.nulls, summary.unreadable)
    return row(
        [
            cell(summary.mnemonic),
            cell(summary.unit),
            cell(summary.description),
            *(number_cell(f"{count:,d}") for count in counts),
            *statistics_cells(summary.statistics),
        ]
    )


def summary_table(summaries: Iterable[Summary]) -> str:
    titles = ("Channel", "Unit", "Description", "Values", "Nulls", "Unreadable", *STATISTICS)
    return table(titles, map(summary_row, summaries))


def header_table(headers: Iterable[HeaderLine]) -> str:
    return table(HeaderLine._fields, (row(map(cell, header)) for header in headers))


def problem_list(las_file: LasFile) -> str:
    items = []
    for problem in las_file.problems:
        place = f"line {problem.line}: " if problem.line else ""
        items.append(f"<li>{html.escape(place + problem.message)}</li>")
    more = las_file.problem_count - len(las_file.problems)
    if more:
        items.append(f"<li>and {more:,d} more</li>")
    return "\n".join(['<ul class="problems">', *items, "</ul>"])


def file_page(las_file: LasFile, summaries: Sequence[Summary]) -> str:
    """The page of one file: problems first, then the channels, then its header."""
    parts = [f"<p>{las_file.size:,d} bytes, {las_file.rows:,d} depths, {len(summaries)} channels</p>"]
    if las_file.problem_count:
        parts += ["<h2>Problems</h2>", problem_list(las_file)]
    if summaries:
        parts += ["<h2>Channels</h2>", summary_table(summaries)]
    for section, title in TITLES.items():
        headers = las_file.headers[section]
        if headers:
            parts += [f"<h2>{title}</h2>", header_table(headers)]
    if las_file.other:
        parts += ["<h2>Other</h2>", f"<pre>{html.escape(chr(10).join(las_file.other))}</pre>"]
    parts.append('<p><a href="index.html">All files</a></p>')
    return document(las_file.name, parts)


def index_row(entry: IndexEntry) -> str:
    # The bytes of the name, because a name that is not UTF-8 must still be a link that works.
    link = quote(os.fsencode(page_name(entry.name)))
    counts = (entry.size, entry.rows, entry.channels, entry.problems)
    return row(
        [
            f'<td><a href="{link}">{html.escape(entry.name)}</a></td>',
            cell(entry.well),
            *(number_cell(f"{count:,d}") for count in counts),
        ]
    )


def index_page(entries: Sequence[IndexEntry]) -> str:
    """The page that links to all others."""
    total = sum(entry.size for entry in entries)
    parts = [
        f"<p>{len(entries)} files, {total:,d} bytes</p>",
        table(("File", "Well", "Bytes", "Depths", "Channels", "Problems"), map(index_row, entries)),
    ]
    return document("Well logs", parts)
