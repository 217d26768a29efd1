"""One run of one case in one mode, in a process of its own.

    python -m benchmarks.run_one CASE MODE DATA SCRATCH LOG FLOOR CPUS

Prints one JSON object: work (seconds in the case's program), stop (seconds to end the recording after it: the writer
drains), events, peak (bytes: the largest RSS of the process), and the recorder's own counters. CPUS is how many of the
usable ones this process may use, 0 for all. MODE `write` instead writes as many bytes as the file LOG has, taken from
it, and prints the seconds; the file is removed first, so that two copies of it never wait for the disk at once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from benchmarks import cases, floor, modes

BLOCK = 128 * 1024  # bytes of one write(2), in the range in which they are fastest
SAMPLE = 8 * 1024 * 1024  # bytes of the real log that are kept in memory and written over and over
# What is kept of the recorder's counters: nothing that says where it ran, for a report may be published as it is.
COUNTERS = (
    "events",
    "logged",
    "readings",
    "skipped",
    "audit_tried",
    "audit_differed",
    "waits",
    "sites",
    "tracer_bytes",
)
KEPT = (*COUNTERS, "engine", "gate_first", "gate_last", "rss_first", "rss_peak")
Result = dict[str, object]


def use_cpus(count: int) -> None:
    """This process and what it starts; 0: as it is."""
    if count:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def untraced(work: Callable[[], object]) -> Result:
    begin = time.perf_counter()
    work()
    return {"work": time.perf_counter() - begin, "stop": 0.0}


def on_the_floor(work: Callable[[], object], library: Path, count: bool) -> Result:
    extension = floor.load(library)
    threading.setprofile(extension.attach)
    extension.start(count)
    begin = time.perf_counter()
    work()
    middle = time.perf_counter()
    events = extension.stop()
    return {"work": middle - begin, "stop": time.perf_counter() - middle, "events": events if count else None}


def by_cprofile(work: Callable[[], object]) -> Result:
    import cProfile

    profiler = cProfile.Profile()
    profiler.enable()
    begin = time.perf_counter()
    work()
    middle = time.perf_counter()
    profiler.disable()
    return {"work": middle - begin, "stop": time.perf_counter() - middle}


def by_tracemalloc(work: Callable[[], object]) -> Result:
    import tracemalloc

    tracemalloc.start()
    begin = time.perf_counter()
    work()
    middle = time.perf_counter()
    tracemalloc.stop()
    return {"work": middle - begin, "stop": time.perf_counter() - middle}


def sampled(work: Callable[[], object], interval: float, log: Path) -> Result:
    from pymemtrace.process import log_process

    begin = time.perf_counter()
    with log_process(interval=interval, path=log, overwrite=True):
        work()
        middle = time.perf_counter()
    return {"work": middle - begin, "stop": time.perf_counter() - middle}


def with_import(work: Callable[[], object]) -> Result:
    importlib.import_module("pymemtrace.process")
    return untraced(work)


def by_psutil(work: Callable[[], object], interval: float, log: Path) -> Result:
    """As programs do it without us: a thread in Python, which reads about what the sampler reads."""
    import psutil

    process = psutil.Process()
    stopped = threading.Event()

    def ticks(file: TextIO) -> None:
        start = time.perf_counter()
        file.write(json.dumps({"time": 0.0, "interval": interval}) + "\n")
        due = 0
        while not stopped.is_set():
            now = time.perf_counter() - start
            missed = max(0, int(now / interval) - due)
            with process.oneshot():
                memory, cpu, threads = process.memory_info(), process.cpu_times(), process.num_threads()
            sample = {"time": now, "rss": memory.rss, "vms": memory.vms, "user": cpu.user, "system": cpu.system}
            file.write(json.dumps({**sample, "threads": threads, "missed": missed}) + "\n")
            due += missed + 1
            stopped.wait(max(0.0, start + due * interval - time.perf_counter()))

    begin = time.perf_counter()
    with log.open("w", encoding="utf-8", buffering=1) as file:
        thread = threading.Thread(target=ticks, args=(file,))
        thread.start()
        work()
        middle = time.perf_counter()
        stopped.set()
        thread.join()
    return {"work": middle - begin, "stop": time.perf_counter() - middle}


def peak_rss() -> int:
    """Of this process, bytes. Not getrusage: that is the parent's where it was larger at the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def recorded(work: Callable[[], object], mode: modes.Mode, log: Path) -> Result:
    from pymemtrace.cPyMemTrace import Tracer

    path = os.devnull if mode.output == "null" else str(log)
    tracer = Tracer(path, overwrite=mode.output != "null", **mode.options)  # type: ignore[arg-type]
    tracer.start()
    begin = time.perf_counter()
    work()
    middle = time.perf_counter()
    error = tracer.stop()
    end = time.perf_counter()
    if error is not None:
        raise error
    size = log.stat().st_size if mode.output == "file" else None
    stats = tracer.stats()
    counters = {name: stats[name] for name in KEPT if name in stats}
    return {"work": middle - begin, "stop": end - middle, "events": tracer.events, "bytes": size, "stats": counters}


def written(log: Path) -> Result:
    """Seconds to write the log's bytes again with nothing else to do."""
    size = log.stat().st_size
    with log.open("rb") as source:
        sample = memoryview(source.read(SAMPLE))
    log.unlink()
    os.sync()
    again = log.with_suffix(".again")
    fd = os.open(again, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        begin = time.perf_counter()
        done = 0
        while done < size:
            offset = done % len(sample)
            done += os.write(fd, sample[offset : offset + min(BLOCK, size - done)])
        seconds = time.perf_counter() - begin
    finally:
        os.close(fd)
        again.unlink()
    return {"work": seconds, "stop": 0.0, "bytes": size}


def measured(case: str, mode_name: str, data: Path, scratch: Path, log: Path, library: Path) -> Result:
    if mode_name == modes.WRITE:
        return written(log)
    work = cases.load(case).program(data, scratch)
    if mode_name == "count":
        return on_the_floor(work, library, count=True)
    mode = modes.find(mode_name)
    if mode.kind == "none":
        return untraced(work)
    if mode.kind == "floor":
        return on_the_floor(work, library, count=False)
    if mode.kind == "cprofile":
        return by_cprofile(work)
    if mode.kind == "tracemalloc":
        return by_tracemalloc(work)
    if mode.kind == "import":
        return with_import(work)
    if mode.kind == "sampler":
        return sampled(work, modes.SAMPLERS[mode.name], log)
    if mode.kind == "psutil":
        return by_psutil(work, modes.SAMPLERS[mode.name], log)
    return recorded(work, mode, log)


def main(argv: list[str]) -> None:
    use_cpus(int(argv[6]))
    answer = os.dup(1)  # stdout is the program's, and thrown away
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    data, scratch, log, library = map(Path, argv[2:6])
    result = measured(argv[0], argv[1], data, scratch, log, library)
    result["peak"] = peak_rss()
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1:])
