"""What a recording costs before the program's first event: seconds of `run -c pass`, and memory that was not there."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.progress import Progress
from benchmarks.rounds import run_child
from benchmarks.summary import summarise
from benchmarks.tables import Table, Target, environment_table, target_table

TIMEOUT = 60.0  # seconds for one process
BARE_RSS = "import os; print(os.read(os.open('/proc/self/statm', os.O_RDONLY), 99).split()[1].decode())"


@dataclass
class Startup:
    """Seconds of whole processes, bytes of RSS; one value a round."""

    environment: dict[str, str]
    bare: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)
    bare_rss: list[float] = field(default_factory=list)
    first_rss: list[float] = field(default_factory=list)
    own: list[float] = field(
        default_factory=list
    )  # of first_rss: ring and tables of the recorder, mapped before event 0

    def table(self) -> Table:
        rows = []
        series = {"python -c pass": self.bare, "python -m pymemtrace run -c pass": self.recorded}
        for title, values in series.items():
            own = summarise([value * 1000 for value in values])
            rows.append((title, *(f"{value:.1f}" for value in (own.least, own.median, own.deviation, own.spread))))
        return Table(("process, ms", "min", "median", "MAD", "spread"), tuple(rows))

    def memory_table(self) -> Table:
        rows = []
        series = {
            "python -c, before anything": self.bare_rss,
            "recorded, at event 0": self.first_rss,
            "of it the recorder's mappings": self.own,
        }
        for title, values in series.items():
            own = summarise([value / 1024 for value in values])
            rows.append((title, *(f"{value:,.0f}" for value in (own.least, own.median, own.deviation, own.spread))))
        return Table(("RSS, KiB", "min", "median", "MAD", "spread"), tuple(rows))

    def targets(self) -> list[Target]:
        bare, recorded = summarise(self.bare), summarise(self.recorded)
        grown = summarise([first - own - bare for first, own, bare in zip(self.first_rss, self.own, self.bare_rss)])
        return [
            Target("ms that `run -c pass` takes longer", 40.0, (recorded.least - bare.least) * 1000),
            Target("the same by medians", 40.0, (recorded.median - bare.median) * 1000),
            Target("MiB that our imports add at event 0, by medians", 4.0, grown.median / 2**20),
        ]

    def tables(self) -> list[Table]:
        return [self.table(), self.memory_table(), target_table(self.targets())]

    def text(self) -> str:
        described = "\n".join(f"{name}: {value}" for name, value in self.environment.items())
        return f"{described}\n\n" + "\n\n".join(table.text() for table in self.tables()) + "\n"

    def markdown(self) -> str:
        parts = ["## Start", *(table.markdown() for table in self.tables())]
        return "\n\n".join([*parts, environment_table(self.environment).markdown()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def timed(arguments: list[str]) -> tuple[float, str]:
    """Seconds of a whole process of this Python, and its stdout. Raises: RuntimeError if it fails."""
    begin = time.perf_counter()
    said = run_child(arguments, f"{arguments}", TIMEOUT)
    return time.perf_counter() - begin, said


def first_rss(log: Path) -> tuple[int, int]:
    """From a text log: RSS at event 0, and bytes of the recorder's own mappings. Raises: RuntimeError without them."""
    first = own = None
    with log.open(encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[:1] == ["0"] and first is None:
                first = int(fields[-2])
            elif line.startswith("# tracer: "):
                own = int(fields[-1])
    if first is None or own is None:
        raise RuntimeError(f"{log.name} has no {'event 0' if first is None else 'line `# tracer: BYTES`'}")
    return first, own


def measure(rounds: int, folder: Path) -> Startup:
    """Whole processes, interleaved; one of each before the first round is thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"startup-{os.getpid()}.log"
    recorded = ["-m", "pymemtrace", "run", "-q", "-f", "-o", str(log), "-c", "pass"]
    found = Startup(environment.describe())
    progress = Progress(rounds + 1)
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        for number in range(rounds + 1):
            progress.say("interleaved starts")
            bare_seconds, _ = timed(["-c", "pass"])
            recorded_seconds, _ = timed(recorded)
            _, pages = timed(["-c", BARE_RSS])
            if number > 0:
                found.bare.append(bare_seconds)
                found.recorded.append(recorded_seconds)
                found.bare_rss.append(float(int(pages) * page))
                first, own = first_rss(log)
                found.first_rss.append(float(first))
                found.own.append(float(own))
    finally:
        progress.done()
        log.unlink(missing_ok=True)
    return found
