"""The programs that are measured: one module a case, each run in every mode.

A case has
    prepare(folder, size): make the input in `folder`; called once, in the process that drives the measurement.
        Raises ValueError for a size that it does not understand;
    program(folder, scratch): the work as a function without arguments; called in the measured process, imports
        included, before the clock starts. What it writes goes to `scratch`;
    FULL, QUICK: two sizes, of about a second untraced and of some hundredths,
and may have
    SIZES: names of sizes, for `--size`; `--case all` runs each of them;
    NEEDS: packages without which it cannot run;
    SKIPS: modes in which it is not run, and why;
    events(size): the number of its events, where counting them would take too long.
It does the same in every run: the modes are compared with each other.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from benchmarks import counts

EVERY = (
    "las_to_html",
    "calls",
    "objects",
    "arrays",
    "strings",
    "tokenizer",
    "imports",
    "threads",
    "coroutines",
    "exceptions",
    "functions",
    "deep_stacks",
)
NAMES = (*EVERY, "shape")  # shape is for `scaling`: the others have each of its forms
Job = tuple[str, str]  # case and size


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


def sizes(name: str) -> dict[str, str]:
    """Size by name; empty for most cases."""
    found: dict[str, str] = getattr(load(name), "SIZES", {})
    return found


def missing(name: str) -> str | None:
    """Why the case cannot be run here, or None."""
    for package in getattr(load(name), "NEEDS", ()):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed: run `pip install {package}`"
    return None


def skips(name: str) -> dict[str, str]:
    """Mode and reason."""
    found: dict[str, str] = getattr(load(name), "SKIPS", {})
    return found


def known_events(name: str, size: str) -> int | None:
    """Where the case knows it; None: it must be counted."""
    know: Callable[[str], int] | None = getattr(load(name), "events", None)
    return None if know is None else know(size)


def jobs(names: str, size: str | None = None, quick: bool = False) -> list[Job]:
    """Cases and sizes of "all" or of a comma-separated list of NAME or NAME:SIZE.

    size: for all that have none of their own; may be a list, too. Without one each case has its full or quick size,
    and "all" runs every named size.  Raises: ValueError.
    """
    found = []
    for item in EVERY if names == "all" else names.split(","):
        name, _, own = item.strip().partition(":")
        case, named = load(name), sizes(name)
        if own or size:
            wanted = [named.get(one.strip(), one.strip()) for one in (own or size or "").split(",")]
        elif quick:
            wanted = [case.QUICK]
        else:
            wanted = list(named.values()) if names == "all" and named else [case.FULL]
        for one in wanted:
            if re.fullmatch(r"[0-9][0-9A-Za-z.-]*", one) is None:  # it becomes part of a folder's name
                raise ValueError(f"case {name}: no size {one!r}{'; there are ' if named else ''}{', '.join(named)}")
            found.append((name, one))
    return list(dict.fromkeys(found))


def write_number(folder: Path, size: str) -> None:
    """The input of a case that needs a number and nothing else. Raises: ValueError."""
    number = counts.parse(size)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "n.txt").write_text(str(number), encoding="ascii")


def read_number(folder: Path) -> int:
    return int((folder / "n.txt").read_text(encoding="ascii"))
