"""The ways in which a case is run, from untraced to everything logged; each adds one thing to an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

UNTRACED = "untraced"
FLOOR = "floor"
TEXT_NULL = "text-null"
TEXT_FILE = "text-file"
CAPTURE = "capture"
GATE_OFF = "gate-off"
CPROFILE = "cprofile"
TRACEMALLOC = "tracemalloc"
IMPORTED = "imported"
SAMPLE_10, SAMPLE_1 = "sample-10ms", "sample-1ms"
PSUTIL_10, PSUTIL_1 = "psutil-10ms", "psutil-1ms"
SAMPLERS = {SAMPLE_10: 0.01, SAMPLE_1: 0.001, PSUTIL_10: 0.01, PSUTIL_1: 0.001}  # seconds between two ticks
WRITE = "write"  # not a mode: the bytes of TEXT_FILE, written again by write(2) alone
AUTO = "auto"
ENGINES = (AUTO, "profile", "monitoring")


@dataclass(frozen=True)
class Mode:
    """How one run records.

    kind: "none", "floor" (floor.c), "tracer" (cPyMemTrace.Tracer with `options`), "cprofile", "tracemalloc", "import"
    (of pymemtrace.process, no more), "sampler" (its thread in C) or "psutil" (a thread in Python).
    output: "file" or "null" (the device).  environment: added to that of the process.
    adds: what it does more than the mode before, for a table.
    """

    name: str
    title: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    output: str = "file"
    environment: dict[str, str] = field(default_factory=dict)
    adds: str = ""

    @property
    def engine(self) -> str:
        """Of the recorder; "auto" is the one that it takes by itself."""
        return self.options.get("engine", AUTO)

    def on(self, engine: str) -> Mode:
        """The same with that engine; those that are not the recorder's have none."""
        if self.kind != "tracer" or engine == AUTO:
            return self
        title = f"{self.title} ({engine})"
        return replace(self, name=f"{self.name}@{engine}", title=title, options={**self.options, "engine": engine})


MODES = (
    Mode(UNTRACED, "untraced", "none"),
    Mode(
        FLOOR,
        "floor: an empty C profile function",
        "floor",
        adds="CPython calls a C function that returns at once",
    ),
    Mode(
        "attached",
        "attached, computing nothing",
        "tracer",
        {"compute": "nothing", "log": "none"},
        adds="counts, and tells our own functions apart",
    ),
    Mode(
        "rss",
        "RSS at every event",
        "tracer",
        {"compute": "rss", "log": "none"},
        adds="the clock, the gate, the readings",
    ),
    Mode("all", "everything computed, nothing logged", "tracer", {"log": "none"}, adds="charging"),
    Mode("threshold", "threshold", "tracer", {"log": "threshold"}, adds="charging, rows at changes"),
    Mode("previous", "threshold + previous", "tracer", {"log": "previous"}, adds="the site of every event"),
    Mode(
        TEXT_NULL,
        "every event as text, to /dev/null",
        "tracer",
        {"log": "all"},
        output="null",
        adds="ring, writer, formatting",
    ),
    Mode(TEXT_FILE, "every event as text, to a file", "tracer", {"log": "all"}),
    Mode(CAPTURE, "every event to a capture", "tracer", {"format": "binary"}, adds="blocks instead of rows"),
    Mode(
        GATE_OFF,
        "RSS at every event, gate off",
        "tracer",
        {"compute": "rss", "log": "none"},
        environment={"PYMEMTRACE_GATE": "off"},
        adds="a reading at every event",
    ),
    Mode(CPROFILE, "cProfile", "cprofile", adds="for comparison"),
    Mode(TRACEMALLOC, "tracemalloc", "tracemalloc", adds="for comparison: every allocation"),
    Mode(IMPORTED, "pymemtrace.process imported", "import", adds="no tracing: what the sampler is compared with"),
    Mode(SAMPLE_10, "sampler, every 10 ms", "sampler", adds="a thread in C that never takes the GIL"),
    Mode(SAMPLE_1, "sampler, every 1 ms", "sampler"),
    Mode(PSUTIL_10, "psutil in a Python thread, every 10 ms", "psutil", adds="for comparison: it waits for the GIL"),
    Mode(PSUTIL_1, "psutil in a Python thread, every 1 ms", "psutil"),
)
BY_NAME = {mode.name: mode for mode in MODES}


def find(name: str) -> Mode:
    """The mode of that name, which may end in @ENGINE. Raises: ValueError."""
    base, at, engine = name.partition("@")
    mode = BY_NAME.get(base)
    if mode is None or (at and (engine not in ENGINES or mode.kind != "tracer")):
        raise ValueError(f"no mode {name}; there are {', '.join(BY_NAME)}; NAME@ENGINE for the recorder's")
    return mode.on(engine or AUTO)


def title(name: str) -> str:
    """Of a mode, the name itself where there is no such mode (any more)."""
    try:
        return find(name).title
    except ValueError:
        return name


def engine_of(name: str) -> str | None:
    """That a mode of the recorder is run with; None: it is not the recorder's, or there is no such mode (any more)."""
    try:
        mode = find(name)
    except ValueError:
        return None
    return mode.engine if mode.kind == "tracer" else None


def with_engine(name: str, engine: str) -> str:
    """The name of that mode with that engine; of one that is not the recorder's, itself."""
    return BY_NAME[name].on(engine).name


def place(name: str) -> tuple[int, int, str]:
    """To sort names by: the order above, then that of the engines; unknown ones come last."""
    base, _, engine = name.partition("@")
    order = list(BY_NAME)
    first = order.index(base) if base in order else len(order)
    return first, ENGINES.index(engine) if engine in ENGINES else 0, name


def engine_names(text: str) -> tuple[str, ...]:
    """Of a comma-separated list. Raises: ValueError."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ENGINES:
            raise ValueError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    return names


def choose(names: str | None, engines: Sequence[str] = (AUTO,)) -> tuple[Mode, ...]:
    """The modes of a comma-separated list, in the order above; None: all.

    Each of the recorder's modes comes once for each engine, unless its name says which. Raises: ValueError.
    """
    found = {}
    for name in BY_NAME if names is None else names.split(","):
        mode = find(name.strip())
        for one in [mode] if "@" in name else [mode.on(engine) for engine in engines]:
            found[one.name] = one
    return tuple(sorted(found.values(), key=lambda mode: place(mode.name)))
