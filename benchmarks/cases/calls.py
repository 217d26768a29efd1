"""Nothing but calls: the case in which recording costs most. Needs no package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FULL = "27"
QUICK = "20"


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def prepare(folder: Path, size: str) -> None:
    """The size is the number whose Fibonacci number is computed, slowly."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "n.txt").write_text(size, encoding="ascii")


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    n = int((folder / "n.txt").read_text(encoding="ascii"))
    return lambda: fibonacci(n)
