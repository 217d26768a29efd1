"""Coroutines on an event loop of our own."""

from collections import deque
from types import coroutine


@coroutine
def pause(value):
    got = yield value
    return got


class Awaitable:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        got = yield self.value
        return got


async def worker(name, steps):
    total = 0
    for step in range(steps):
        total += await pause((name, step))
        total += await Awaitable((name, -step))
    return total


async def failing():
    await pause("before the failure")
    raise LookupError("failed")


async def guard(inner):
    try:
        return await inner
    except LookupError as error:
        return str(error)


class Manager:
    async def __aenter__(self):
        return await pause("enter")

    async def __aexit__(self, kind, value, traceback):
        await pause("exit")
        return kind is ZeroDivisionError


async def managed():
    async with Manager() as got:
        await pause(got)
        raise ZeroDivisionError
    return "managed"


def run_all(coroutines):
    """A loop that takes each coroutine one step in turn; pause() and Awaitable get 0 back."""
    ready = deque((number, each, None) for number, each in enumerate(coroutines))
    results = {}
    while ready:
        number, each, value = ready.popleft()
        try:
            each.send(value)
        except StopIteration as stop:
            results[number] = stop.value
        else:
            ready.append((number, each, 0))
    return sorted(results.items())


def main():
    out = []
    single = worker("x", 2)
    got = single.send(None)
    while True:
        out.append(got)
        try:
            got = single.send(2)
        except StopIteration as stop:
            out.append(stop.value)
            break
    out.append(run_all([worker("a", 2), guard(failing()), managed(), worker("b", 3)]))
    closed = worker("closed", 3)
    closed.send(None)
    closed.close()
    thrown = guard(worker("thrown", 3))
    thrown.send(None)
    try:
        thrown.throw(LookupError("thrown in"))
    except StopIteration as stop:
        out.append(stop.value)
    return out
