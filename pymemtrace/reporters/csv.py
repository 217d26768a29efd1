"""Contexts as comma-separated values (RFC 4180): a row each, callers before what they called."""

from __future__ import annotations

from collections.abc import Iterator

from .cells import row, text
from .contexts import FIRST, Contexts

COLUMNS = (
    "node", "parent", "depth", "path", "file", "line", "function", "kind", "calls", "up", "down", "net", "peak",
    "seconds", "up_inclusive", "down_inclusive", "net_inclusive", "peak_inclusive", "seconds_inclusive",
)  # fmt: skip
LONGEST_PATH = 100  # functions: with all of them, a recursion would make a file that grows with the square of its depth


def lines(contexts: Contexts) -> Iterator[str]:
    """Lines with their ends, CR LF; the first has the names. Sizes are bytes; the first row is the whole."""
    yield f"{row(COLUMNS)}\r\n"
    total = contexts.sums()
    names = [text(frame.function) for frame in contexts.frames]
    in_paths = [name.replace(";", "\\x3b") for name in names]
    files = [text(frame.file) for frame in contexts.frames]
    path: list[str] = []

    def of(number: int) -> str:
        frame = contexts.of(number)
        kind = "special" if number < FIRST else "c" if frame.is_c else "python"
        shown = path if len(path) <= LONGEST_PATH else ["...", *path[-LONGEST_PATH:]]
        up, down, peak = contexts.up[number], contexts.down[number], contexts.peak[number]
        return row((
            number, contexts.parent[number] if number else "", len(path), ";".join(shown),
            files[contexts.frame[number]], frame.line, names[contexts.frame[number]], kind, contexts.calls[number],
            up, down, up + down, peak, f"{contexts.seconds[number]:.9f}",
            total.up[number], total.down[number], total.up[number] + total.down[number], total.peak[number],
            f"{total.seconds[number]:.9f}",
        ))  # fmt: skip

    yield f"{of(0)}\r\n"
    for number, entered in contexts.walk():
        if entered:
            path.append(in_paths[contexts.frame[number]])
            yield f"{of(number)}\r\n"
        else:
            path.pop()
