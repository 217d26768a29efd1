"""The programs that are measured: one module a case, each run in every mode.

A case has
    prepare(folder, size): make the input in `folder`; called once, in the process that drives the measurement;
    program(folder, scratch): the work as a function without arguments; called in the measured process, imports
        included, before the clock starts. What it writes goes to `scratch`.
    FULL, QUICK: two sizes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

NAMES = ("las_to_html", "calls")


class Case(Protocol):
    """What a module in this folder offers."""

    FULL: str
    QUICK: str

    def prepare(self, folder: Path, size: str) -> None: ...
    def program(self, folder: Path, scratch: Path) -> Callable[[], object]: ...


def load(name: str) -> Case:
    """The case of that name. Raises: ValueError."""
    if name not in NAMES:
        raise ValueError(f"no case {name!r}; there are {', '.join(NAMES)}")
    return cast(Case, importlib.import_module(f"{__name__}.{name}"))
