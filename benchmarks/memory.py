"""The recorder's own memory: it must not grow with events, nor with functions that come and go."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.progress import Progress
from benchmarks.rounds import ROOT, run_child
from benchmarks.tables import Table, Target, environment_table, target_table

TIMEOUT = 1800.0  # seconds for one process
FIXED = 24 * 2**20  # bytes that the recorder may take, and for each site:
A_SITE = 64
LOGS = ("threshold", "all")


@dataclass(frozen=True)
class Mark:
    """How things stood after `done` events or functions. Bytes."""

    done: int
    events: int
    sites: int
    tracer_bytes: int
    rss: int


@dataclass
class Memory:
    """Marks by what was done: events with a log mode, functions compiled in a loop."""

    environment: dict[str, str]
    marks: dict[str, list[Mark]] = field(default_factory=dict)

    def table(self) -> Table:
        rows = []
        for title, marks in self.marks.items():
            for mark in marks:
                numbers = (mark.done, mark.events, mark.sites, mark.tracer_bytes, mark.rss)
                rows.append((title, *(f"{number:,d}" for number in numbers)))
        return Table(("what", "after", "events", "sites", "tracer bytes", "RSS bytes"), tuple(rows))

    def targets(self) -> list[Target]:
        judged = []
        for title, marks in self.marks.items():
            first, last = marks[0], marks[-1]
            limit = (FIXED + A_SITE * last.sites) / 2**20
            judged.append(Target(f"{title}: MiB of the recorder", limit, last.tracer_bytes / 2**20))
            grown = (last.tracer_bytes - first.tracer_bytes) / 2**20
            more_sites = max(last.sites - first.sites, 0)
            judged.append(Target(f"{title}: MiB more at the end than at first", A_SITE * more_sites / 2**20, grown))
        return judged

    def text(self) -> str:
        described = "\n".join(f"{name}: {value}" for name, value in self.environment.items())
        return f"{described}\n\n{self.table().text()}\n\n{target_table(self.targets()).text()}\n"

    def markdown(self) -> str:
        parts = ["## Memory of the recorder", self.table().markdown(), target_table(self.targets()).markdown()]
        return "\n\n".join([*parts, environment_table(self.environment).markdown()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def nothing() -> None:
    """A CALL and a RETURN."""


def make_events(number: int) -> None:
    for _ in range(number // 2):
        nothing()


def make_functions(number: int) -> None:
    """Each is compiled, called once and forgotten."""
    for index in range(number):
        exec(compile(f"def made_{index}(): pass\nmade_{index}()", "<made>", "exec"), {})


def steps(total: int) -> list[int]:
    """1 % of the total, 10 % and all of it, none of them 0."""
    return sorted({max(total // 100, 1), max(total // 10, 1), total})


def child(what: str, total: int, log: str) -> list[Mark]:
    """In the measured process."""
    from pymemtrace.cPyMemTrace import Tracer, rss

    path = os.devnull if log == "all" else str(Path.cwd() / f"memory-{os.getpid()}.log")
    make: Callable[[int], None] = make_functions if what == "functions" else make_events
    marks = []
    done = 0
    try:
        tracer = Tracer(path, log=log)
        tracer.start()
        for step in steps(total):
            make(step - done)
            done = step
            said = tracer.stats()
            marks.append(Mark(done, said["events"], said["sites"], said["tracer_bytes"], rss()))
        error = tracer.stop()
        if error is not None:
            raise error
    finally:
        if path != os.devnull:
            Path(path).unlink(missing_ok=True)
    return marks


def marks_of(what: str, total: int, log: str, folder: Path) -> list[Mark]:
    """Raises: RuntimeError with what the process said on stderr, if it fails."""
    extra = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    arguments = ["-m", "benchmarks.memory", what, str(total), log]
    said = run_child(arguments, f"{what} with log={log}", TIMEOUT, folder=folder, extra=extra)
    return [Mark(**mark) for mark in json.loads(said)]


def measure(events: int, functions: int, folder: Path) -> Memory:
    folder.mkdir(parents=True, exist_ok=True)
    found = Memory(environment.describe())
    jobs = [("events", events, log) for log in LOGS] + [("functions", functions, "threshold")]
    progress = Progress(len(jobs))
    for what, total, log in jobs:
        title = f"{what}, log {log}"
        progress.say(title)
        found.marks[title] = marks_of(what, total, log, folder)
    progress.done()
    return found


if __name__ == "__main__":
    print(json.dumps([asdict(mark) for mark in child(sys.argv[1], int(sys.argv[2]), sys.argv[3])]))
