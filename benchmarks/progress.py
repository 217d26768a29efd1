"""A line that says how far a measurement is, on a terminal only."""

from __future__ import annotations

import sys


class Progress:
    """say() overwrites the line, done() removes it. Nothing is written where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._at = 0
        self._on = sys.stderr.isatty()

    def say(self, text: str) -> None:
        self._at += 1
        if self._on:
            sys.stderr.write(f"\r\x1b[K{self._at}/{self._total}  {text}")
            sys.stderr.flush()

    def done(self) -> None:
        if self._on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
