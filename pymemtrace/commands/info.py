"""`info`: what this machine offers to the recorder."""

from __future__ import annotations

import sys

from ..errors import CommandError
from ..tracing import HOOK, info
from . import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

HELP = """\
usage: python -m pymemtrace info

Show what this machine offers: the clock, the gate (how many cycles must pass before RSS can have changed), the
granularity of this kernel's RSS counter, what a reading of RSS costs, the engines of this Python, and the folder that
lets programs join a recording through PYTHONPATH and PYMEMTRACE (docs/children.md).
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
    facts["hook"] = HOOK
    sys.stdout.write("".join(f"{line}\n" for line in lines(facts)))
    return 0


# Of cPyMemTrace.info(): key -> what it is called here, and its unit. A key that is not here is shown by its name.
NAMES = {
    "clock": ("clock", ""),
    "ticks_per_second": ("", "ticks a second"),
    "gate": ("gate", "ticks: in less time RSS cannot have changed, and is not read"),
    "cheapest_change": ("", "ticks: the cheapest change of RSS that was measured"),
    "gate_off": ("gate is off", ""),
    "staleness": ("", "ticks: the longest time without a reading"),
    "page": ("page", "bytes"),
    "granularity": ("RSS counter", "bytes: its granularity"),
    "peak_granularity": ("peak counter", "bytes: its granularity"),
    "peak_is_hwm": ("peak is VmHWM", ""),
    "reading_us": ("a reading", "microseconds"),
    "engines": ("engines", ""),
    "python": ("Python", ""),
    "hook": ("hook", "(first on PYTHONPATH, it lets Python programs join; docs/children.md)"),
}


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fact. Pure. facts: `cPyMemTrace.info()`."""
    width = max(len(name) for name, _ in NAMES.values())
    for key, value in facts.items():
        name, unit = NAMES.get(key, (key.replace("_", " "), ""))
        yield f"{name:<{width}}  {_shown(value)} {unit}".rstrip()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(str(name) if why is None else f"{name} not: {why}" for name, why in value.items())
    return "no" if value is None else str(value)
