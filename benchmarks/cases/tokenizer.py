"""The standard library's tokenizer over sources of the standard library: long C calls, regular expressions on long
lines (a C tokenizer from 3.12 on). Here the gate reads most often. The events depend on the Python version."""

from __future__ import annotations

import sysconfig
import tokenize
from collections.abc import Callable
from pathlib import Path

from benchmarks import counts

FULL = "600K"
QUICK = "50K"


def prepare(folder: Path, size: str) -> None:
    """Sources of at least `size` bytes in all, in the order of their names. Raises: ValueError."""
    wanted, found = counts.parse(size), 0
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if found >= wanted:
            return
        content = source.read_bytes()
        (folder / source.name).write_bytes(content)
        found += len(content)
    if found < wanted:
        raise ValueError(f"case tokenizer: the standard library has only {found:,d} bytes of sources in its folder")


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    paths = sorted(folder.glob("*.py"))

    def tokens(path: Path) -> int:
        with path.open("rb") as file:
            return sum(1 for _ in tokenize.tokenize(file.readline))

    return lambda: sum(tokens(path) for path in paths)
