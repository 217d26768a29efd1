"""Runs cases in every mode, in rounds: each round runs every mode of every case once, in an order of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import cases, environment, floor, modes, sampling
from benchmarks.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
# Bytes that an event may take on the disk, generously.
EVENT_BYTES = {modes.TEXT_FILE: 260, modes.CAPTURE: 4}
TIMEOUT = 900.0  # seconds for one process, and for each event of a case that knows its number:
TIMEOUT_EVENT = 4e-6
EVERY_MODE = "every mode"
NEEDS = {"import": "pymemtrace.process", "sampler": "pymemtrace.process", "psutil": "psutil"}  # kinds of modes: modules


@dataclass
class Run:
    """One process. Seconds: `work` in the case's program and in the end of the recording; `whole` of the process.

    bytes: of the log; peak: largest RSS of the process, bytes.
    """

    round: int
    mode: str
    work: float
    stop: float
    whole: float
    cpu: float
    events: int | None = None
    bytes: int | None = None
    peak: int | None = None
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass
class Measurement:
    """All runs of a case, and what must be known to judge them. cpus: how many were used, 0 for all."""

    case: str
    size: str
    seed: int
    rounds: int
    events: int
    environment: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    cpus: int = 0

    @property
    def title(self) -> str:
        cores = f" on {self.cpus} core{'s' if self.cpus > 1 else ''}" if self.cpus else ""
        return f"{self.case} {self.size}{cores}"

    def names(self) -> list[str]:
        """Of the modes that were run, in the order of the modes."""
        return sorted({run.mode for run in self.runs if run.mode != modes.WRITE}, key=modes.place)

    def engines(self) -> list[str]:
        """That the recorder's modes were run with; "auto" comes first."""
        used = {modes.engine_of(name) for name in self.names()}
        return [engine for engine in modes.ENGINES if engine in used]

    def seconds(self, mode: str) -> list[float]:
        """`work` of the mode's runs, by round."""
        return [run.work for run in self.runs if run.mode == mode]

    def whole(self, mode: str) -> list[float]:
        return [run.whole for run in self.runs if run.mode == mode]

    def best(self, mode: str) -> Run | None:
        """The run with the least time."""
        return min((run for run in self.runs if run.mode == mode), key=lambda run: run.work, default=None)

    def keep_whole_rounds(self, rounds: int) -> None:
        """Forget the runs of later rounds, of which some modes have none."""
        self.rounds = rounds
        self.runs = [run for run in self.runs if run.round < rounds]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """Raises: TypeError or KeyError for what as_json() did not make."""
        return cls(**{**data, "runs": [Run(**run) for run in data["runs"]]})


@dataclass(frozen=True)
class Plan:
    """How to measure. folder: for input, logs and the floor; cpus: of the measured processes, 0 for all."""

    modes: Sequence[modes.Mode]
    rounds: int
    seed: int
    folder: Path
    cpus: int = 0


@dataclass(frozen=True)
class Place:
    """Where things are during a measurement; `log` is rewritten by every run."""

    data: Path
    scratch: Path
    log: Path
    library: Path


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """That of this process without what would change a run behind our back."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYMEMTRACE")}
    return {**kept, "PYTHONHASHSEED": "0", **extra}


def run_child(
    arguments: Sequence[str], what: str, timeout: float, *, folder: Path = ROOT, extra: Mapping[str, str] | None = None
) -> str:
    """Stdout of this Python with these arguments. Raises: RuntimeError with `what` it was and said, if it fails."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=child_environment(extra or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{what} did not end within {error.timeout:.0f} seconds") from None
    if done.returncode != 0:
        raise RuntimeError(f"{what} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def run_once(case: str, mode: modes.Mode | str, place: Place, number: int, cpus: int, events: int = 0) -> Run:
    """One process, in a mode or to "count" or to "write". Raises: RuntimeError with what it said, if it fails."""
    name, extra = (mode, {}) if isinstance(mode, str) else (mode.name, mode.environment)
    shutil.rmtree(place.scratch, ignore_errors=True)
    place.scratch.mkdir(parents=True)
    arguments = ["-m", "benchmarks.run_one", case, name]
    arguments += [str(place.data), str(place.scratch), str(place.log), str(place.library), str(cpus)]
    before = os.times()
    begin = time.perf_counter()
    said = run_child(arguments, f"{case} in mode {name}", TIMEOUT + events * TIMEOUT_EVENT, extra=extra)
    whole = time.perf_counter() - begin
    after = os.times()
    result = json.loads(said)
    return Run(
        round=number,
        mode=name,
        work=round(result["work"] + result["stop"], 7),
        stop=round(result["stop"], 7),
        whole=round(whole, 7),
        cpu=round(after.children_user + after.children_system - before.children_user - before.children_system, 2),
        events=result.get("events"),
        bytes=result.get("bytes"),
        peak=result.get("peak"),
        stats=result.get("stats", {}),
    )


def prepare(case: str, size: str, folder: Path) -> Path:
    """The case's input, made once for each size and Python. Raises: ValueError for a size that the case refuses."""
    data = folder / "data" / f"{case}-{size}-{sys.implementation.cache_tag}"
    if not data.exists():
        fresh = data.with_name(f".{data.name}.{os.getpid()}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            cases.load(case).prepare(fresh, size)
            fresh.rename(data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return data


def unusable(wanted: Sequence[modes.Mode], folder: Path, events: int) -> dict[str, str]:
    """Mode and reason, for those that cannot be run here."""
    reasons: dict[str, str] = {}
    here = environment.recorder_available()
    free = shutil.disk_usage(folder).free
    for mode in wanted:
        needed = events * EVENT_BYTES.get(mode.name.partition("@")[0], 0)
        if mode.kind == "tracer":
            reason = environment.why_not(mode.engine) if here else "the extension is not built"
            if reason is not None:
                reasons[mode.name] = reason
        elif mode.kind in NEEDS and importlib.util.find_spec(NEEDS[mode.kind]) is None:
            reasons[mode.name] = f"there is no {NEEDS[mode.kind]}"
        if free < needed:
            reasons.setdefault(mode.name, f"the log may need {needed:,d} bytes, {free:,d} are free")
    return reasons


@dataclass
class Task:
    """A case to measure: what is known of it, where its files are, what can be run."""

    found: Measurement
    place: Place
    able: list[modes.Mode]


def begin(job: cases.Job, plan: Plan) -> Task:
    """Input made, events counted. Raises: ValueError, RuntimeError."""
    case, size = job
    reason = cases.missing(case)
    if reason is not None:
        found = Measurement(case, size, plan.seed, 0, 0, environment.describe(), {EVERY_MODE: reason}, cpus=plan.cpus)
        return Task(found, Place(plan.folder, plan.folder, plan.folder, plan.folder), [])
    place = Place(
        data=prepare(case, size, plan.folder),
        scratch=plan.folder / f"scratch-{os.getpid()}",
        log=plan.folder / f"run-{os.getpid()}.log",
        library=floor.build(plan.folder / "floor"),
    )
    events = cases.known_events(case, size)
    if events is None:  # also a warm-up: fills the page cache
        events = run_once(case, "count", place, -1, plan.cpus).events or 0
    found = Measurement(case, size, plan.seed, plan.rounds, events, environment.describe(), cpus=plan.cpus)
    found.skipped = unusable(plan.modes, plan.folder, events)
    found.skipped.update({name: why for name, why in cases.skips(case).items() if name in {m.name for m in plan.modes}})
    return Task(found, place, [mode for mode in plan.modes if mode.name not in found.skipped])


def measure(jobs: Sequence[cases.Job], plan: Plan, what: str = "") -> tuple[list[Measurement], bool]:
    """Run it all: what was found for each job, and whether all rounds were run: not so after Ctrl-C, which leaves the
    rounds before it.  what: said in front of the progress.

    Raises: ValueError for a size that a case refuses; RuntimeError if a process fails; KeyboardInterrupt within the
    first round.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    tasks = [begin(job, plan) for job in jobs]
    whole, number = True, 0
    try:
        progress = Progress(plan.rounds * sum(len(task.able) for task in tasks))
        try:
            for number in range(plan.rounds):
                order = [(task, mode) for task in tasks for mode in task.able]
                random.Random(plan.seed + number).shuffle(order)
                for task, mode in order:
                    progress.say(f"{what}{task.found.title}, round {number + 1} of {plan.rounds}: {mode.title}")
                    task.found.runs += run_mode(task, mode, number)
        except KeyboardInterrupt:
            if number == 0:
                raise
            whole = False
            for task in tasks:
                task.found.keep_whole_rounds(number)
        finally:
            progress.done()
        for task in tasks:
            task.found.environment["load after"] = environment.load()
        return [task.found for task in tasks], whole
    finally:
        shutil.rmtree(plan.folder / f"scratch-{os.getpid()}", ignore_errors=True)
        (plan.folder / f"run-{os.getpid()}.log").unlink(missing_ok=True)


def run_mode(task: Task, mode: modes.Mode, number: int) -> list[Run]:
    """A run; after that of the text file a second one, which writes the same bytes and does nothing else."""
    case, place, cpus, events = task.found.case, task.place, task.found.cpus, task.found.events
    if mode.name.partition("@")[0] != modes.TEXT_FILE:
        run = run_once(case, mode, place, number, cpus, events)
        if mode.name in modes.SAMPLERS:
            run.stats = sampling.ticks_of(place.log)
        place.log.unlink(missing_ok=True)
        return [run]
    os.sync()  # both start with no write of somebody else's to wait for
    run = run_once(case, mode, place, number, cpus, events)
    return [run, run_once(case, modes.WRITE, place, number, cpus, events)]
