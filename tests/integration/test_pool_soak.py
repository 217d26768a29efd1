"""A pool whose workers end in every way, for as long as `make soak` says: each worker's file has all that it did."""

from __future__ import annotations

import json
import mmap
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from support import child, pool

import pymemtrace
from pymemtrace import reader

SECONDS = float(os.environ.get("PYMEMTRACE_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("PYMEMTRACE_SEED", "20261"))
MOST = 20_000  # workers of one pool
LEFT = 100  # of the last workers, what they left behind is for the pool's process
MIB = 1 << 20
LATE = 60  # seconds

pytestmark = [pytest.mark.not_sanitized, pytest.mark.slow_once]


class Pool:
    """A pool under the launcher, watched from outside."""

    def __init__(self, folder: Path, suffix: str, seconds: float) -> None:
        self.files, self.root = folder / "files", folder / "files" / f"pool.{suffix}"
        self.files.mkdir()
        numbers, self.report = folder / "numbers", folder / "report"
        numbers.write_bytes(bytes(8 * pool.NUMBERS * MOST))
        self.report.touch()
        with open(numbers, "r+b") as file:
            self.numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        self.stderr = folder / "stderr"
        self.sampled = 0.0
        self.samples: list[tuple[int, int]] = []  # open descriptors, anonymous bytes
        reading, writing = os.pipe()
        command = ["run", "--log", "all", "-o", self.root, "-m", "support.pool", numbers, self.report, writing]
        command += ["--count", MOST, "--seconds", seconds, "--seed", SEED]
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pymemtrace", *map(str, command)],
                cwd=folder,
                env=child.environment(),
                stdin=subprocess.PIPE,
                bufsize=0,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
                pass_fds=[writing],
            )
        os.close(writing)
        self.allow(2 * LEFT)
        self.killer = threading.Thread(target=self.kill, args=[reading])
        self.killer.start()

    def allow(self, workers: int) -> None:
        """It may start that many more."""
        try:
            self.process.stdin.write(bytes(workers))
        except BrokenPipeError:
            pass  # it has ended

    def kill(self, reading: int) -> None:
        """At a random moment who asks for it."""
        rng = random.Random(SEED)
        with open(reading) as requests:
            for line in requests:
                process, number = map(int, line.split())
                time.sleep(rng.random() * 0.01)
                os.kill(process, number)

    def said(self) -> str:
        return f"alive: {child.session(self.process.pid)}; {self.stderr.read_text()[-4000:]}"

    def sample(self) -> None:
        """Of its process, not too often. The writer's own table of descriptors ends with it, at the next fork."""
        if time.monotonic() < self.sampled + 0.1:
            return
        self.sampled = time.monotonic()
        folder = Path(f"/proc/{self.process.pid}")
        try:
            descriptors = len(os.listdir(folder / "fd"))
            memory = (folder / "smaps_rollup").read_text()
        except OSError:
            return  # it has ended meanwhile
        anonymous = next(int(line.split()[1]) for line in memory.splitlines() if line.startswith("Anonymous:"))
        self.samples.append((descriptors, anonymous * 1024))

    def end(self) -> None:
        child.end_group(self.process)
        self.process.stdin.close()
        self.killer.join(LATE)

    def check(self, process: int, parent: int, steps: int, killed: bool, recover: bool) -> None:
        """Its file is whole, says what it did, and is the only one; then it is removed."""
        found = sorted(self.files.glob(f"{self.root.stem}_{process}{self.root.suffix}*"))
        path = found[0] if found else self.root
        said = f"{process}: {[file.name for file in found]}"
        assert found and path.suffix == self.root.suffix, said
        assert killed or len(found) == 1, said
        if recover:
            reader.recover(str(path))
        capture = pymemtrace.read(path)
        assert capture.why is None, f"{said}: {capture.why}"
        assert capture.header["pid"] == str(process) and capture.header["parent"] == str(parent), said
        calls = sum(1 for event in capture.events() if event.what == "CALL" and event.function == "step")
        # Killed between the event and the line that counts it.
        assert calls - steps in ((0, 1) if killed else (0,)), f"{said}: {calls} calls, {steps} counted"
        assert not list(self.files.glob(f"{path.name}.*")), said
        path.unlink()


@pytest.mark.slow_once
@pytest.mark.parametrize("suffix", ["pmt", "log"])
def test_pool(tmp_path: Path, suffix: str) -> None:
    # GIVEN a pool of forked workers that return, exit, raise, exec, crash and are killed
    seconds = SECONDS / 2
    running = Pool(tmp_path, suffix, seconds)
    until = time.monotonic() + seconds + LATE
    ways: Counter[str] = Counter()
    waiting: list[list] = []

    def check(number: int, process: int, way: str, status: int, recover: bool) -> None:
        ways[way] += 1
        assert status & 0xFF7F == pool.WAYS[way], f"{process} {way}: status {status}"
        steps, child_process, child_steps = running.numbers[number * pool.NUMBERS :][: pool.NUMBERS]
        killed = way in pool.KILLED
        running.check(process, running.process.pid, steps, killed, killed and recover)
        if child_process:
            running.check(child_process, process, child_steps, False, False)

    # WHEN it runs, and each worker's file is looked at when it has ended
    try:
        torn = ""  # what was written of a line so far
        with open(running.report) as report:
            while not waiting or waiting[-1] is not None:
                assert time.monotonic() < until and running.process.poll() is None, running.said()
                running.sample()
                if len(waiting) > LEFT:
                    check(*waiting.pop(0), recover=True)
                    running.allow(1)
                else:
                    time.sleep(0.05)
                *lines, torn = (torn + report.read()).split("\n")
                waiting += map(json.loads, lines)
        running.process.stdin.close()
        running.process.wait(LATE)
        # THEN nobody is left, it has recovered the last that were killed, and its own file has each fork
        assert running.process.returncode == 0, running.said()
        assert child.session(running.process.pid) == []
    finally:
        running.end()
    for worker in waiting[:-1]:
        check(*worker, recover=False)
    whole = pymemtrace.read(running.root)
    forks = sum(1 for event in whole.events() if event.what == "CALL" and event.function == "start")
    assert whole.why is None and forks == sum(ways.values())
    assert set(ways) == set(pool.WAYS), ways
    assert sorted(running.files.iterdir()) == [running.root]
    assert not list(Path("/dev/shm").glob(f"pymemtrace_{running.process.pid}_*"))
    assert running.said().count("events seen") == 1, running.said()
    # THEN it holds no more descriptors and memory after all these workers than after the first
    # (The medians: any one look may fall into a fork.)
    quarter = len(running.samples) // 4
    assert quarter, running.samples
    parts = running.samples[:quarter], running.samples[-quarter:]
    first, last = (tuple(map(statistics.median_high, zip(*part))) for part in parts)
    assert last[0] <= first[0] and last[1] <= first[1] + MIB, (first, last, sum(ways.values()))
