"""`info`: what this machine offers to the recorder."""

from __future__ import annotations

import sys

from ..errors import CommandError
from ..tracing import info
from . import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

HELP = """\
usage: python -m pymemtrace info

Show what this machine offers: the clock, the gate (how many cycles must pass before RSS can have changed), the
granularity of this kernel's RSS counter, what a reading of RSS costs, and the engines of this Python.
"""


def main(argv: list[str]) -> int:
    """Print to stdout. Returns the exit status. Raises: CommandError."""
    values, at = options.parse(argv, {"-h": "help", "--help": "help"}, {})
    if argv[at:]:
        raise CommandError(f"info takes no arguments; it was given {argv[at]!r}")
    if "help" in values:
        sys.stdout.write(HELP)
        return 0
    try:
        facts = info()
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{error}") from error
    sys.stdout.write("".join(f"{line}\n" for line in lines(facts)))
    return 0


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """`name: value`, aligned; facts within facts are indented."""
    names = {key: key.replace("_", " ") for key in facts}
    width = max([len(name) for name in names.values()], default=0)
    for key, value in facts.items():
        if isinstance(value, dict):
            yield f"{names[key]}:"
            yield from (f"  {line}" for line in lines(value))
        else:
            yield f"{names[key] + ':':<{width + 1}} {_shown(value)}"


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)
