"""Runs a case in every mode, in rounds: each round runs all modes once, in an order of its own."""

from __future__ import annotations

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

from benchmarks import cases, environment, floor, modes
from benchmarks.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
ROW_BYTES = 260  # of a text log, generously: what must be free on the disk for an event
TIMEOUT = 900.0  # seconds for one process; a hang must not last for ever


@dataclass
class Run:
    """One process. Seconds: `work` in the case's program and in the end of the recording; `whole` of the process."""

    round: int
    mode: str
    work: float
    stop: float
    whole: float
    cpu: float
    events: int | None = None
    bytes: int | None = None
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass
class Measurement:
    """All runs of a case, and what must be known to judge them."""

    case: str
    size: str
    seed: int
    rounds: int
    events: int
    environment: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def seconds(self, mode: str) -> list[float]:
        """`work` of the mode's runs, by round."""
        return [run.work for run in self.runs if run.mode == mode]

    def whole(self, mode: str) -> list[float]:
        return [run.whole for run in self.runs if run.mode == mode]

    def keep_whole_rounds(self, rounds: int) -> None:
        """Forget the runs of later rounds, of which some modes have none."""
        self.rounds = rounds
        self.runs = [run for run in self.runs if run.round < rounds]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


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


def run_once(case: str, mode: str, place: Place, number: int, extra: Mapping[str, str]) -> Run:
    """One process. Raises: RuntimeError with what it said on stderr, if it fails."""
    shutil.rmtree(place.scratch, ignore_errors=True)
    place.scratch.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.run_one", case, mode]
    command += [str(place.data), str(place.scratch), str(place.log), str(place.library)]
    before = os.times()
    begin = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=child_environment(extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    whole = time.perf_counter() - begin
    after = os.times()
    if done.returncode != 0:
        raise RuntimeError(f"{case} in mode {mode} ended with {done.returncode}:\n{done.stderr}")
    result = json.loads(done.stdout)
    return Run(
        round=number,
        mode=mode,
        work=result["work"] + result["stop"],
        stop=result["stop"],
        whole=whole,
        cpu=after.children_user + after.children_system - before.children_user - before.children_system,
        events=result.get("events"),
        bytes=result.get("bytes"),
        stats=result.get("stats", {}),
    )


def prepare(case: str, size: str, folder: Path) -> Path:
    """The case's input, made once for each size."""
    data = folder / "data" / f"{case}-{size}"
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
    reasons = {}
    here = environment.recorder_available()
    needed, free = events * ROW_BYTES, shutil.disk_usage(folder).free
    for mode in wanted:
        if mode.kind == "tracer" and not here:
            reasons[mode.name] = "the extension is not built"
        elif mode.name == modes.TEXT_FILE and free < needed:
            reasons[mode.name] = f"the log may need {needed:,d} bytes, {free:,d} are free"
    return reasons


def measure(case: str, size: str, wanted: Sequence[modes.Mode], rounds: int, seed: int, folder: Path) -> Measurement:
    """Run it all; after Ctrl-C, what the rounds before it gave. Raises: RuntimeError if a process fails."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(
        data=prepare(case, size, folder),
        scratch=folder / f"scratch-{os.getpid()}",
        log=folder / f"run-{os.getpid()}.log",
        library=floor.build(folder / "floor"),
    )
    try:
        counted = run_once(case, "count", place, -1, {})  # also a warm-up: writes the .pyc files, fills the page cache
        events = counted.events or 0
        found = Measurement(case, size, seed, rounds, events, environment.describe())
        found.skipped = unusable(wanted, folder, events)
        able = [mode for mode in wanted if mode.name not in found.skipped]
        progress = Progress(rounds * len(able))
        try:
            for number in range(rounds):
                order = list(able)
                random.Random(seed + number).shuffle(order)
                for mode in order:
                    progress.say(f"round {number + 1} of {rounds}: {mode.title}")
                    found.runs += run_mode(case, mode, place, number)
        except KeyboardInterrupt:
            found.keep_whole_rounds(number)
            if number == 0:
                raise
        progress.done()
        found.environment["load after"] = ", ".join(f"{value:.2f}" for value in os.getloadavg())
        return found
    finally:
        shutil.rmtree(place.scratch, ignore_errors=True)
        place.log.unlink(missing_ok=True)


def run_mode(case: str, mode: modes.Mode, place: Place, number: int) -> list[Run]:
    """A run; after that of the text file a second one, which writes the same bytes and does nothing else."""
    if mode.name != modes.TEXT_FILE:
        run = run_once(case, mode.name, place, number, mode.environment)
        place.log.unlink(missing_ok=True)
        return [run]
    os.sync()  # both start with no write of somebody else's to wait for
    run = run_once(case, mode.name, place, number, mode.environment)
    return [run, run_once(case, modes.WRITE, place, number, {})]
