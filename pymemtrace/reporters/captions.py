"""What stands above and below every report: of what it is, and how true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import count, printable, signed, size
from .contexts import Contexts

MOST_NOTES = 10


def above(contexts: Contexts) -> str:
    """Of what it is: one line."""
    if len(contexts.recordings) != 1:
        events = sum(one.events for one in contexts.recordings)
        net = signed(size(contexts.change))
        return f"{count(len(contexts.recordings), 'recording')}: {count(events, 'event')}; RSS {net} net in all"
    one = contexts.recordings[0]
    return (
        f"{printable(one.path)}: {count(one.events, 'event')}, {one.seconds:.3f} s; RSS first {size(one.rss_first)}, "
        f"peak {size(one.rss_peak)}, last {size(one.rss_last)}"
    )


def below(contexts: Contexts) -> Iterator[str]:
    """How true it is: lines."""
    sums = sum(contexts.up) + sum(contexts.down)
    what = "RSS last less RSS first" + (", all recordings added up" if len(contexts.recordings) > 1 else "")
    if sums == contexts.change:
        yield f"All own net figures add up to {sums:+,} bytes: {what}, to the byte."
    else:  # a file that claims what cannot be
        yield f"The own net figures add up to {sums:+,} bytes, and {what} is {contexts.change:+,}: the file is damaged."
    for note in some(contexts.notes):
        yield f"{note}."


def some(notes: Sequence[str]) -> Iterator[str]:
    """A run can have a thousand files, and a note for each: sentences without a full stop."""
    yield from notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        yield f"... and {count(len(notes) - MOST_NOTES, 'more remark')} of this kind"
