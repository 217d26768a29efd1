"""A program that counts its own calls where a test can see them, until it is killed.

python -m support.victim VARIANT COUNTERS [--path PATH --log MODE] [--spin N] [--calls N]

COUNTERS is a file of 8-byte numbers, shared with the test: 0 is the state (1: recording has begun, 2: it is about to
end, 3: it has ended), 1 the number of threads that count; then each such thread has two, the kernel's number of it and
how often it has entered its function. With --path it records itself; without, somebody else does.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import signal
import sys
import threading
from typing import Any

PAGE = mmap.PAGESIZE
SIZE = 4096
STATE, THREADS, FIRST = 0, 1, 8
MADE_LINE = 3
MOST_PAGES = 10_000

shared: Any = None  # memoryview of 8-byte numbers
lock = threading.Lock()


def attach(path: str) -> None:
    global shared
    with open(path, "r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), SIZE)).cast("Q")


def slot_of_this_thread() -> int:
    """Index of its count."""
    with lock:
        slot = FIRST + 2 * shared[THREADS]
        shared[slot] = threading.get_native_id()
        shared[THREADS] += 1
    return int(slot) + 1


def enter(slot: int, spin: int) -> None:
    shared[slot] += 1
    for _ in range(spin):
        pass


def grow(slot: int, memory: Any, at: int) -> None:
    shared[slot] += 1
    memory[at] = 1


def source_of(n: int) -> tuple[str, str, str]:
    """Source, file and name of the n-th function that is made."""
    name = f"made_{n}_" + "x" * (n * 37 % 1500)
    return f"#\n#\ndef {name}(slot):\n    shared[slot] += 1\n", f"/made/in {n}.py", name


def plain(args: argparse.Namespace) -> None:
    slot, left = slot_of_this_thread(), args.calls
    while left:
        enter(slot, args.spin)
        left -= 1


def stopping(args: argparse.Namespace) -> None:
    """Stands still after 2,000 calls, until it is told to go on."""
    slot = slot_of_this_thread()
    for n in range(args.calls):
        if n == 2000:
            os.kill(os.getpid(), signal.SIGSTOP)
        enter(slot, args.spin)


def threads(args: argparse.Namespace) -> None:
    sys.setswitchinterval(1e-4)
    many = [threading.Thread(target=plain, args=(args,), name=f"thread {n} #") for n in range(3)]
    for thread in many:
        thread.start()
    plain(args)
    for thread in many:
        thread.join()


def making(args: argparse.Namespace) -> None:
    slot = slot_of_this_thread()
    n = 0
    while n != args.calls:
        source, file, name = source_of(n)
        namespace = {"shared": shared}
        exec(compile(source, file, "exec"), namespace)
        namespace[name](slot)
        n += 1


def growing(args: argparse.Namespace) -> None:
    slot = slot_of_this_thread()
    memory = mmap.mmap(-1, MOST_PAGES * PAGE)
    n = 0
    while n != args.calls:
        grow(slot, memory, n % MOST_PAGES * PAGE)
        for _ in range(args.spin):
            pass
        n += 1


def forking(args: argparse.Namespace) -> None:
    slot, left = slot_of_this_thread(), args.calls
    while left:
        enter(slot, args.spin)
        left -= 1
        if left % 64 == 0:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)


def talking(args: argparse.Namespace) -> None:
    """Messages, and temporaries that lift the peak."""
    from pymemtrace import cPyMemTrace

    slot = slot_of_this_thread()
    n = 0
    while n != args.calls:
        enter(slot, args.spin)
        n += 1
        if n % 16 == 0:
            cPyMemTrace.profile_write_message_to_log(f"message {n}\nof two lines" + "." * (n % 300))
        if n % 512 == 0:
            bytes(min(n * 2048, 64 << 20))


def starving(args: argparse.Namespace) -> None:
    """Takes memory until somebody ends it."""
    slot = slot_of_this_thread()
    kept = []
    while True:
        enter(slot, args.spin)
        kept.append(b"x" * (256 << 10))


def aborting(args: argparse.Namespace) -> None:
    library = ctypes.CDLL(None)
    plain(args)
    library.abort()


def crashing(args: argparse.Namespace) -> None:
    plain(args)
    ctypes.string_at(0)


VARIANTS = {
    each.__name__: each
    for each in (plain, stopping, threads, making, growing, forking, talking, starving, aborting, crashing)
}


def record(args: argparse.Namespace) -> None:
    import pymemtrace

    with pymemtrace.trace(args.path, log=args.log):
        shared[STATE] = 1
        VARIANTS[args.variant](args)
        shared[STATE] = 2
    shared[STATE] = 3


def nested(args: argparse.Namespace) -> None:
    """1,000 calls in a recording, then others in a second one within it."""
    import pymemtrace

    outer, inner = slot_of_this_thread(), slot_of_this_thread()
    with pymemtrace.trace(args.path, log=args.log):
        for _ in range(1000):
            enter(outer, 0)
        with pymemtrace.trace(args.inner, log=args.log):
            shared[STATE] = 1
            left = args.calls
            while left:
                enter(inner, args.spin)
                left -= 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("variant")
    parser.add_argument("counters")
    parser.add_argument("--path")
    parser.add_argument("--inner")
    parser.add_argument("--log", default="all")
    parser.add_argument("--spin", type=int, default=0)
    parser.add_argument("--calls", type=int, default=-1)  # -1: for ever
    parser.add_argument("--cgroup")
    args = parser.parse_args()
    attach(args.counters)
    if args.cgroup:
        with open(args.cgroup, "w") as file:
            file.write("0")
    if args.variant == "nested":
        nested(args)
    elif args.path:
        record(args)
    else:
        shared[STATE] = 1
        VARIANTS[args.variant](args)
        shared[STATE] = 2


if __name__ == "__main__":
    main()
