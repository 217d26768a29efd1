"""asyncio.run: tasks, gather, queues, events, cancellation, an exception."""

import asyncio


async def child(number, queue):
    await asyncio.sleep(0)
    await queue.put(number)
    return number * number


async def failing():
    await asyncio.sleep(0)
    raise LookupError("child failed")


async def forever():
    try:
        while True:
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)


async def generator(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


async def amain():
    queue = asyncio.Queue()
    squares = await asyncio.gather(*(child(i, queue) for i in range(4)))
    got = [queue.get_nowait() for _ in range(queue.qsize())]
    results = await asyncio.gather(failing(), child(9, queue), return_exceptions=True)
    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        got.append("cancelled")
    async for value in generator(3):
        got.append(value)
    return squares, got, [str(result) for result in results]


def main():
    return asyncio.run(amain())
