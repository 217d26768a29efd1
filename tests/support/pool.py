"""A pool that forks workers, loses them in every way, and starts new ones, until its time or their number is up.

python -m support.pool SHARED REPORT KILLER --count N --seconds S --seed X

SHARED is a file of 8-byte numbers, three for each worker: how often it has called step(), the process of its own child,
and how often that has called step(). REPORT gets a line of JSON for each worker that was waited for: number, process,
way to end, status; null when there will be no more. KILLER is a descriptor: who wants to be killed writes a line with
process and signal there. Each byte of stdin is the leave to start a worker, so that who looks at the files is not left
behind; its end is the leave to end.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import random
import resource
import signal
import sys
import time
from typing import Any

AT_ONCE = 4
NUMBERS = 3  # of each worker
STEPS, CHILD, CHILD_STEPS = range(NUMBERS)
MOST_STEPS = 1000

# Way to end -> what waitpid says of it. `killed` and `terminated` ask for it, and go on meanwhile.
WAYS = {
    "returns": 0,  # as a child of multiprocessing does
    "os._exit": 7 << 8,
    "sys.exit": 5 << 8,
    "raises": 1 << 8,
    "has a child": 0,
    "execs": 3 << 8,
    "kills itself": signal.SIGKILL,
    "aborts": signal.SIGABRT,
    "segmentation fault": signal.SIGSEGV,
    "killed": signal.SIGKILL,
    "terminated": signal.SIGTERM,
}
KILLED = ("kills itself", "segmentation fault", "killed", "terminated")  # no event tells the recorder of it

shared: Any = None  # memoryview of 8-byte numbers
killer = -1


def step(at: int) -> None:
    shared[at] += 1


def work(number: int, way: str, steps: int) -> None:
    """In the worker."""
    at = number * NUMBERS
    for _ in range(steps):
        step(at + STEPS)
    if way == "has a child":
        child = os.fork()
        if child == 0:
            shared[at + CHILD] = os.getpid()
            for _ in range(steps):
                step(at + CHILD_STEPS)
            os._exit(0)
        os.waitpid(child, 0)
    elif way == "os._exit":
        os._exit(7)
    elif way == "sys.exit":
        sys.exit(5)
    elif way == "raises":
        raise ValueError("of a worker, meant to be")
    elif way == "execs":
        os.execv("/bin/sh", ["sh", "-c", "exit 3"])
    elif way == "kills itself":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "aborts":
        os.abort()
    elif way == "segmentation fault":
        ctypes.string_at(0)
    elif way in ("killed", "terminated"):
        signal.alarm(60)  # nobody does it: a test that was broken off
        os.write(killer, b"%d %d\n" % (os.getpid(), WAYS[way]))
        while True:
            if shared[at + STEPS] < MOST_STEPS:
                step(at + STEPS)
            else:
                signal.pause()
    os._exit(0)


def start(number: int, way: str, steps: int) -> int:
    process = os.fork()
    if process == 0:
        work(number, way, steps)
    return process


def main() -> None:
    global killer, shared
    parser = argparse.ArgumentParser()
    parser.add_argument("shared")
    parser.add_argument("report")
    parser.add_argument("killer", type=int)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    values = parser.parse_args()
    killer = values.killer
    with open(values.shared, "r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rng, ways = random.Random(values.seed), tuple(WAYS)
    until, started, alive = time.monotonic() + values.seconds, 0, {}
    with open(values.report, "w", buffering=1) as report:
        while True:
            while len(alive) < AT_ONCE and started < values.count and time.monotonic() < until and os.read(0, 1):
                way = rng.choice(ways)
                process = start(started, way, rng.randrange(300))
                alive[process] = started, way
                started += 1
            if not alive:
                break
            process, status = os.wait()
            number, way = alive.pop(process)
            report.write(json.dumps([number, process, way, status]) + "\n")
        report.write("null\n")
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
