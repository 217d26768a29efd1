"""A bar that says how far a measurement is, on a terminal only."""

from __future__ import annotations

import shutil
import sys
import time

WIDTH = 24  # characters of the bar


def bar(at: int, total: int, seconds: float) -> str:
    """`at` of `total` steps are begun, the ones before took `seconds`: a bar, and the time that is left."""
    done = max(at - 1, 0)
    filled = WIDTH * done // max(total, 1)
    left = ""
    if done:
        minutes, rest = divmod(round(seconds / done * (total - done)), 60)
        left = f"  {minutes}:{rest:02d} left"
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {at}/{total}{left}"


class Progress:
    """say() overwrites the line, done() removes it. Nothing is written where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._at = 0
        self._begin = time.monotonic()
        self._on = sys.stderr.isatty()

    def say(self, text: str) -> None:
        self._at += 1
        if self._on:
            line = f"{bar(self._at, self._total, time.monotonic() - self._begin)}  {text}"
            sys.stderr.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")  # one that wraps would stay
            sys.stderr.flush()

    def done(self) -> None:
        if self._on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
