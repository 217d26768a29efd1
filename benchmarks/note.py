"""The two tables of the published technical note on cPyMemTrace, in our figures and with its own beside them.

Its figures: 138,243,077 events of a program that reads well logs and writes HTML, as las_to_html does, on a Mac mini of
2014. It read RSS at every event and formatted every line in the traced thread.
"""

from __future__ import annotations

from benchmarks import modes
from benchmarks.rounds import Measurement
from benchmarks.summary import ratio, summarise
from benchmarks.tables import Table, factor

# Mode, Trace?, Calculate?, Log?, published time / untraced. None: the note has no such mode.
ROWS: tuple[tuple[str, str, str, str, float | None], ...] = (
    (modes.UNTRACED, "No", "No", "No", 1.0),
    ("attached", "Yes", "No", "No", 1.14),
    ("rss", "Yes", "RSS", "No", 9.35),
    ("all", "Yes", "All", "No", 9.79),
    ("threshold", "Yes", "All", "RSS changed by a page", 9.55),
    ("previous", "Yes", "All", "the same, and the event before", 22.3),
    (modes.TEXT_FILE, "Yes", "All", "every event", 22.3),
    (modes.CAPTURE, "Yes", "All", "every event, to a capture", None),
)
# What it is, the mode with it and the one without, published microseconds an event.
PARTS = (
    ("the program itself", modes.UNTRACED, None, "0.1 to 0.2"),
    ("attach: CPython calls a C function", "attached", modes.UNTRACED, "0.2"),
    ("RSS", "rss", "attached", "1.5"),
    ("log: one event as text", modes.TEXT_FILE, "all", "2.5"),
    ("log: one event in a capture", modes.CAPTURE, "all", "-"),
)


def least(found: Measurement, mode: str) -> float | None:
    seconds = found.seconds(mode)
    return summarise(seconds).least if seconds else None


def headed(title: str, engine: str) -> str:
    return title if engine == modes.AUTO else f"{title} ({engine})"


def cost_table(found: Measurement, engine: str = modes.AUTO) -> Table:
    """Table 1: what each step costs, by minima. Events/s are those that happened, logged or not."""
    bare = least(found, modes.UNTRACED)
    rows = []
    for mode, trace, calculate, log, published in ROWS:
        best = found.best(modes.with_engine(mode, engine))
        if best is not None:
            own = best.work
            logged = best.stats.get("logged", 0)
            rate = f"{found.events / own / 1e6:.2f}M"
            cells = (
                f"{own:.3f}",
                factor(ratio(own, bare)),
                f"x{published:g}" if published else "-",
                f"{logged:,d}",
                rate,
            )
            rows.append((trace, calculate, log, *cells))
    headers = ("Calculate?", "Log?", "Time (s)", "Ratio", "published", "Events logged", "Events/s")
    return Table((headed("Trace?", engine), *headers), tuple(rows), left=(0, 1, 2))


def parts_table(found: Measurement, engine: str = modes.AUTO) -> Table:
    """Table 2: microseconds an event of each part of a recording, by minima."""
    rows = []
    for title, mode, base, published in PARTS:
        own = least(found, modes.with_engine(mode, engine))
        before = 0.0 if base is None else least(found, modes.with_engine(base, engine))
        if own is not None and before is not None and found.events:
            rows.append((title, f"{(own - before) / found.events * 1e6:.3f}", published))
    return Table((headed("Part of the recording", engine), "µs/event", "published"), tuple(rows))
