"""Imports of many small modules, from their compiled files: code objects and dicts that stay."""

from __future__ import annotations

import compileall
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import counts

FULL = "1500"
QUICK = "100"
PACKAGE = "pmt_made_modules"
SOURCE = '''"""Module {number}."""

import os
import re

LIMIT_{number} = {number}


class Thing{number}:
    """Something with two methods."""

    kind = "thing {number}"

    def __init__(self, value: int) -> None:
        self.value = value

    def doubled(self) -> int:
        return self.value * 2


def first(a: int, b: int = {number}) -> int:
    return a + b


def second(name: str) -> str:
    return os.path.join(name, str(LIMIT_{number}))


THINGS = [Thing{number}(i).doubled() for i in range(5)]
PATTERN = re.escape("{number}.")
'''


def prepare(folder: Path, size: str) -> None:
    """The size is the number of modules; they are compiled here, for this Python. Raises: ValueError."""
    count = counts.parse(size)
    package = folder / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    for number in range(count):
        (package / f"m{number}.py").write_text(SOURCE.format(number=number), encoding="utf-8")
    compileall.compile_dir(package, quiet=2)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = sum(1 for _ in (folder / PACKAGE).glob("m*.py"))
    sys.path.insert(0, str(folder))
    importlib.import_module(PACKAGE)

    def work() -> None:
        for number in range(count):
            importlib.import_module(f"{PACKAGE}.m{number}")

    return work
