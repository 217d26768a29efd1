"""Eight threads that compute in turns, under the GIL, and add up under a lock. cProfile sees the main thread only
before Python 3.12."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number
from benchmarks.cases.calls import fibonacci

FULL = "160"
QUICK = "8"
THREADS = 8
ARGUMENT = 16  # 3,193 calls


def prepare(folder: Path, size: str) -> None:
    """The size is the number of results that each thread computes."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)
    lock = threading.Lock()
    results: list[int] = []

    def compute() -> None:
        for _ in range(count):
            value = fibonacci(ARGUMENT)
            with lock:
                results.append(value)

    def work() -> int:
        threads = [threading.Thread(target=compute) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(results)

    return work
