"""How far what a recording says is true: sentences for people, one each for what a report cannot know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..reader import Capture
from . import count, printable, size

_AUDIT = re.compile(r"(?P<tried>[0-9]+) tried, (?P<differed>[0-9]+) differed")


def has_every_event(capture: Capture) -> bool:
    """Of those that are in the file. Otherwise it is a log of some rows, and nothing is known of callers."""
    if capture.binary:
        return True
    return capture.header.get("log") == "all" or capture.header.get("threshold") == "0"


def notes(capture: Capture, here: Mapping[str, float], whole: Mapping[str, float]) -> list[str]:
    """here, whole: Capture.figures_here(), Capture.figures(). Sentences without a full stop, with the file in them."""
    name = repr(capture.path) if capture.path.isprintable() else f"'{printable(capture.path)}'"
    return [*_missing(capture, name, here, whole), *_uncertain(capture, name)]


def _missing(capture: Capture, name: str, here: Mapping[str, float], whole: Mapping[str, float]) -> Iterator[str]:
    events = int(here["events"])
    if not events:
        yield f"{name} has no events: it says what was to be recorded, and nothing of what ran"
    elif not has_every_event(capture):
        log = capture.header.get("log")
        kind = f"a log of --log {log}" if log else "a log without comments"
        yield (
            f"{name} is {kind}: it has not every event, so a change counts for the function of the row at which it was "
            "seen, which need not be the one that made it, and callers, calls and times are unknown"
        )
    if "dropped" in capture.header:
        kept = events - int(capture.header["dropped"])
        change = int(here["rss_first"]) - int(whole["rss_first"])
        lost = f"; RSS had changed by {'+' if change > 0 else ''}{size(change)} before" if capture.end else ""
        yield f"{name} has the last {kept:,} of {events:,} events (--keep), and all figures are of these{lost}"
    if capture.why is not None:
        hint = (
            f"; `python -m pymemtrace recover {printable(capture.path)}` may complete it" if capture.left_over else ""
        )
        yield f"{printable(capture.why)}; figures are of the events before that{hint}"


def _uncertain(capture: Capture, name: str) -> Iterator[str]:
    end = capture.end
    foreign = _number(end, "seen after a change of thread")
    if foreign:
        yield (
            f"{name}: {size(foreign)} of changes were seen at the first event after a change of thread, and may be the "
            "other thread's"
        )
    granularity = _number(capture.header, "granularity")
    page = _number(capture.header, "page size") or 4096
    if granularity is not None and granularity > page:
        yield f"{name}: this kernel's counter of RSS is exact to {count(granularity, 'byte')}"
    audit = _AUDIT.fullmatch(end.get("audit", ""))
    if audit and int(audit["differed"]):
        yield (
            f"{name}: {count(int(audit['tried']), 'reading')} of RSS that the gate had spared were made all the same, "
            f"and {audit['differed']} of them found another RSS"
        )


def _number(values: Mapping[str, str], key: str) -> int | None:
    text = values.get(key, "")
    return int(text) if text.isascii() and text.isdigit() else None
