"""asyncio: many small tasks, a queue between two sides, and steps of coroutines instead of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "150"
QUICK = "8"
TOGETHER = 100  # tasks that are alive at a time


async def step(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def send(queue: asyncio.Queue[int], count: int) -> None:
    for number in range(count):
        await queue.put(await step(number))


async def receive(queue: asyncio.Queue[int], count: int) -> int:
    return sum([await queue.get() for _ in range(count)])


async def rounds(count: int) -> int:
    found = 0
    for _ in range(count):
        found += sum(await asyncio.gather(*(step(number) for number in range(TOGETHER))))
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=10)
        sender = asyncio.create_task(send(queue, TOGETHER))
        found += await receive(queue, TOGETHER)
        await sender
    return found


def prepare(folder: Path, size: str) -> None:
    """The size is the number of rounds, each with a hundred tasks and a hundred items through a queue."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)
    return lambda: asyncio.run(rounds(count))
