"""A small job whose memory is easy to name: docs/reports.md shows what each report says of it."""

import time

MIB = 2**20
cache = {}
rows = []


def take(size):
    """So many bytes, each of them written."""
    return b"\1" * size


def get():
    """Fills the cache when it is called first."""
    if not cache:
        cache["table"] = take(64 * MIB)
    return cache["table"]


def begin_job():
    return len(get())


def event():
    return len(get())


def descend(levels):
    """Keeps a MiB at each level."""
    rows.append(take(MIB))
    if levels > 1:
        descend(levels - 1)


def pack():
    """Takes 48 MiB, and gives them back when it returns."""
    return len(take(48 * MIB))


def check():
    """Takes 96 MiB and gives them back, without a call in between: RSS is the same before and after."""
    everything = b"\1" * (96 * MIB)
    del everything


def main():
    begin_job()
    for _ in range(19):
        event()
    descend(8)
    pack()
    check()
    time.sleep(0.2)


main()
