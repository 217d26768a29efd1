"""Asynchronous generators and comprehensions, driven by hand."""

from types import coroutine


@coroutine
def pause():
    yield


def drive(awaitable):
    steps = 0
    try:
        while True:
            awaitable.send(None)
            steps += 1
    except StopIteration as stop:
        return steps, stop.value


async def ticks(n):
    try:
        for i in range(n):
            await pause()
            yield i
    finally:
        await pause()


async def comprehension():
    return [i async for i in ticks(3) if i != 1]


async def consume():
    total = 0
    async for value in ticks(4):
        total += value
    return total


async def sent():
    generator = ticks(5)
    first = await generator.__anext__()
    second = await generator.asend(None)
    try:
        await generator.athrow(ValueError("thrown"))
    except ValueError as error:
        third = str(error)
    return first, second, third


async def closed():
    generator = ticks(5)
    first = await generator.__anext__()
    await generator.aclose()
    return first


async def expression():
    generator = (i * 2 async for i in ticks(3))
    return [value async for value in generator]


def main():
    return [drive(each()) for each in (comprehension, consume, sent, closed, expression)]
