"""The ways in which a case is run, from untraced to everything logged; each adds one thing to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field

UNTRACED = "untraced"
FLOOR = "floor"
TEXT_NULL = "text-null"
TEXT_FILE = "text-file"
CAPTURE = "capture"
CPROFILE = "cprofile"
WRITE = "write"  # not a mode: the bytes of TEXT_FILE, written again by write(2) alone


@dataclass(frozen=True)
class Mode:
    """How one run records.

    kind: "none", "floor" (floor.c), "tracer" (cPyMemTrace.Tracer with `options`) or "cprofile".
    output: "file" or "null" (the device).  environment: added to that of the process.
    """

    name: str
    title: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    output: str = "file"
    environment: dict[str, str] = field(default_factory=dict)


MODES = (
    Mode(UNTRACED, "untraced", "none"),
    Mode(FLOOR, "floor: an empty C profile function", "floor"),
    Mode("attached", "attached, computing nothing", "tracer", {"compute": "nothing", "log": "none"}),
    Mode("rss", "RSS at every event", "tracer", {"compute": "rss", "log": "none"}),
    Mode("all", "everything computed, nothing logged", "tracer", {"log": "none"}),
    Mode("threshold", "threshold", "tracer", {"log": "threshold"}),
    Mode("previous", "threshold + previous", "tracer", {"log": "previous"}),
    Mode(TEXT_NULL, "every event as text, to /dev/null", "tracer", {"log": "all"}, output="null"),
    Mode(TEXT_FILE, "every event as text, to a file", "tracer", {"log": "all"}),
    Mode(CAPTURE, "every event to a capture", "tracer", {"format": "binary"}),
    Mode(
        "gate-off",
        "RSS at every event, gate off",
        "tracer",
        {"compute": "rss", "log": "none"},
        environment={"PYMEMTRACE_GATE": "off"},
    ),
    Mode(CPROFILE, "cProfile", "cprofile"),
)
BY_NAME = {mode.name: mode for mode in MODES}


def choose(names: str | None) -> tuple[Mode, ...]:
    """The modes of a comma-separated list, in the order above; None: all. Raises: ValueError."""
    if names is None:
        return MODES
    wanted = {name.strip() for name in names.split(",")}
    unknown = sorted(wanted - set(BY_NAME))
    if unknown:
        raise ValueError(f"no mode {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    return tuple(mode for mode in MODES if mode.name in wanted)
