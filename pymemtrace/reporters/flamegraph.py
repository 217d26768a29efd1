"""`flamegraph`: one HTML page that needs no network: RSS over time, and the calling contexts as rows of rectangles.

The page has the contexts' own figures; what includes the called is added up where it is shown. What of a large tree is
too small to be seen is put together, a row for each caller, so that all sums hold.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any

from ..errors import MissingExtra
from ..reader import Capture, Moment
from . import captions, count, elided, printable
from .contexts import FIRST, Contexts, of_row

VIEWS = {  # key -> what its button says, what the width of a row shows, what is said where no row has any
    "peak": (
        "Held at the peak",
        "Width: what it had taken and still held when RSS, or a temporary, was highest. What gave all back has none.",
        "Nothing was held at the peak: RSS was never above its first value.",
    ),
    "growth": (
        "Growth",
        "Width: the sum of all rises of RSS while it ran. Memory that is given back and taken again counts each time.",
        "RSS never rose.",
    ),
    "net": (
        "Net",
        "Width: rises less falls of RSS, over the whole recording. What gave all back, or more, has none.",
        "No function took more than it gave back.",
    ),
    "time": ("Time", "Width: time of the thread that ran it, waiting included.", "No time is known."),
    "calls": ("Calls", "Width: calls, with those of all that it called.", "No call is known."),
}
ROWS = 10_000  # of the tree; in a page
MOST_BYTES = 2_700_000  # of the page without the library: fewer rows are taken where names are long
LONGEST_NAME, LONGEST_FILE = 160, 200
FUNCTION, C_FUNCTION, SPECIAL, REST = range(4)  # kinds of rows

_FILES = Path(__file__).parent / "page"


@dataclass
class OverTime:
    """RSS of a recording over time."""

    path: str
    header: Mapping[str, str]  # Capture.header
    moments: Sequence[Moment]
    numbers: list[int]  # of each moment: its context
    threads: Mapping[int, str] = field(default_factory=dict)  # number -> name, where it is known
    late: float = 0.0  # seconds of the recording before the first event that is here


def over_time(capture: Capture, contexts: Contexts, numbers: Sequence[int]) -> OverTime:
    """numbers: what `contexts.add(capture)` returned. Raises: OSError, ValueError."""
    moments = capture.timeline()
    of = [
        numbers[one.context] if one.row is None else contexts.below(0, contexts.frame_id(of_row(one.row)))
        for one in moments
    ]
    late = capture.figures()["seconds"] - capture.figures_here()["seconds"] if "dropped" in capture.header else 0.0
    return OverTime(capture.path, capture.header, moments, of, capture.thread_names, max(0.0, late))


def plotly_script() -> str:
    """Raises: MissingExtra."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtra("a flame graph is drawn by plotly: run `pip install plotly`") from error
    script: str = get_plotlyjs()
    return script


def page(contexts: Contexts, times: Sequence[OverTime], plotly: str, view: str = "peak", limit: int = ROWS) -> str:
    """The page. view: one of VIEWS, that it opens with. limit: at most so many contexts; 0: as many as fit.

    plotly: the library's script.
    """
    rows = min(limit or len(contexts), len(contexts))
    data = _data(contexts, times, view, rows)
    while len(data) > MOST_BYTES and rows > 100:
        rows = rows // 2
        data = _data(contexts, times, view, rows)
    template = Template((_FILES / "flamegraph.html").read_text(encoding="utf-8"))
    script = (_FILES / "flamegraph.js").read_text(encoding="utf-8")
    plotly = plotly.replace("</script", "<\\/script")
    return template.substitute(
        title=html.escape(_title(times)),
        css=(_FILES / "flamegraph.css").read_text(encoding="utf-8"),
        about=html.escape(captions.above(contexts)),
        views="".join(
            f'<button type="button" data-view="{key}">{html.escape(text[0])}</button>' for key, text in VIEWS.items()
        ),
        no_timeline="" if any(one.moments for one in times) else " hidden",
        notes="".join(f"<li>{html.escape(note)}</li>" for note in _notes(contexts, rows)),
        hashes=" ".join(f"'sha256-{_sha256(text)}'" for text in (plotly, script)),
        data=data,
        plotly=plotly,
        script=script,
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _title(times: Sequence[OverTime]) -> str:
    commands = [one.header.get("command") or one.path for one in times]
    more = f" and {count(len(times) - 1, 'process').replace('processs', 'processes')} more" if len(times) > 1 else ""
    return elided(printable(commands[0]), 300) + more if commands else "no recording"


def _notes(contexts: Contexts, rows: int) -> Iterable[str]:
    yield from captions.below(contexts)
    if len(contexts) > rows:
        yield (
            f"The page has the {rows:,} largest of {len(contexts):,} calling contexts; the others are added up, a row "
            "for each caller."
        )
    yield "RSS over time has the extremes of each of its pieces exactly; between two of them it need not be straight."


# --- the data --------------------------------------------------------------------------------------------------------


def _data(contexts: Contexts, times: Sequence[OverTime], view: str, rows: int) -> str:
    """As JSON that may stand in HTML."""
    kept = _kept(contexts, times, rows)
    strings: dict[str, int] = {}
    table = _table(contexts, kept, strings)
    data = {
        "view": view,
        "about_views": {key: text[1] for key, text in VIEWS.items()},
        "nothing": {key: text[2] for key, text in VIEWS.items()},
        "rows": table,
        "timelines": _timelines(contexts, times, kept),
        "highest": _highest(times),
        "strings": list(strings),
    }
    return (
        json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )


def _kept(contexts: Contexts, times: Sequence[OverTime], rows: int) -> list[int]:
    """Numbers of the contexts that the page has, in order; with each, what leads to it. The others are the smallest."""
    share = [0.0] * len(contexts)  # the largest of the views
    for own in (contexts.up, contexts.own("net"), contexts.at_peak, contexts.seconds, contexts.calls):
        column = [max(0.0, float(one)) for one in own]
        for number in range(len(column) - 1, 0, -1):
            column[contexts.parent[number]] += column[number]
        if column[0]:
            share = [max(one, other / column[0]) for one, other in zip(share, column)]
    kept = {0}
    for number in sorted({number for one in times for number in one.numbers}, key=lambda number: -share[number]):
        path = []
        while number not in kept:
            path.append(number)
            number = contexts.parent[number]
        if len(kept) + len(path) <= max(rows, 2):
            kept.update(path)
    for number in heapq.nsmallest(rows, range(1, len(contexts)), key=lambda number: (-share[number], number)):
        if len(kept) >= rows:
            break
        if number >= FIRST or contexts.is_used(number):
            kept.add(number)
    return sorted(kept)


def _nearest(contexts: Contexts, kept: Sequence[int]) -> list[int]:
    """By number: the row of the context, or of the nearest that leads to it."""
    row_of = {number: row for row, number in enumerate(kept)}
    nearest = [0] * len(contexts)
    for number in range(1, len(contexts)):
        nearest[number] = row_of.get(number, nearest[contexts.parent[number]])
    return nearest


def _table(contexts: Contexts, kept: Sequence[int], strings: dict[str, int]) -> dict[str, list[int]]:
    """Columns: the rows of `kept`, then one for what is left out below each."""
    nearest, row_of = _nearest(contexts, kept), {number: row for row, number in enumerate(kept)}
    columns: dict[str, list[int]] = {name: [] for name in ("parent", "name", "file", "line", "kind")}
    for number in kept:
        frame = contexts.of(number)
        kind = SPECIAL if number < FIRST else C_FUNCTION if frame.is_c else FUNCTION
        names = (elided(printable(frame.function), LONGEST_NAME), elided(printable(frame.file), LONGEST_FILE))
        ids = [strings.setdefault(name, len(strings)) for name in names]
        for column, value in zip(columns.values(), (row_of[contexts.parent[number]], *ids, frame.line, kind)):
            column.append(value)
    rest: dict[int, list[int]] = {}
    for number in range(1, len(contexts)):
        if number not in row_of and (number >= FIRST or contexts.is_used(number)):
            rest.setdefault(nearest[number], []).append(number)
    for parent, numbers in rest.items():
        ids = [strings.setdefault(text, len(strings)) for text in (f"<{len(numbers):,} smaller>", "")]
        for column, value in zip(columns.values(), (parent, *ids, 0, REST)):
            column.append(value)
    groups = [*([number] for number in kept), *rest.values()]
    microseconds = [round(one * 1e6) for one in contexts.seconds]
    for name, own in (
        ("calls", contexts.calls), ("up", contexts.up), ("down", contexts.down), ("at_peak", contexts.at_peak),
        ("us", microseconds),
    ):  # fmt: skip
        columns[name] = [sum(own[number] for number in group) for group in groups]
    columns["peak"] = [max(contexts.peak[number] for number in group) for group in groups]
    return columns


# --- RSS over time ---------------------------------------------------------------------------------------------------


def _timelines(contexts: Contexts, times: Sequence[OverTime], kept: Sequence[int]) -> list[dict[str, Any]]:
    nearest, in_page = _nearest(contexts, kept), set(kept)
    begins = _begins(times)
    found = []
    for one, begin in zip(times, begins):
        if not one.moments:
            continue
        threads = sorted({moment.thread for moment in one.moments})
        found.append(
            {
                "name": printable(one.path),
                "threads": {str(tid): elided(printable(one.threads.get(tid, "")), LONGEST_NAME) for tid in threads},
                "many_threads": len(threads) > 1,
                "t": [round(begin + moment.seconds, 6) for moment in one.moments],
                "rss": [moment.rss for moment in one.moments],
                "temporary": [int(moment.temporary) for moment in one.moments],
                "thread": [moment.thread for moment in one.moments],
                "row": [nearest[number] for number in one.numbers],
                "deeper": [int(number not in in_page) for number in one.numbers],
            }
        )
    return found


def _begins(times: Sequence[OverTime]) -> list[float]:
    """Seconds from the first start to that of each; 0 where a file does not say."""
    starts: list[float | None] = []
    for one in times:
        try:
            starts.append(datetime.fromisoformat(one.header["start"]).timestamp() + one.late)
        except (KeyError, ValueError, OverflowError):
            starts.append(None)
    first = min((start for start in starts if start is not None), default=0.0)
    return [0.0 if start is None else start - first for start in starts]


def _highest(times: Sequence[OverTime]) -> list[int]:
    """Timeline and moment that the page begins with."""
    shown = [one.moments for one in times if one.moments]
    return max(
        ([i, k] for i, moments in enumerate(shown) for k in range(len(moments))),
        key=lambda at: shown[at[0]][at[1]].rss,
        default=[0, 0],
    )
