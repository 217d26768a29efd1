"""RSS as the tests read it, without the code under test."""

from __future__ import annotations

import os

PAGE = os.sysconf("SC_PAGESIZE")
_descriptor = os.open("/proc/self/statm", os.O_RDONLY)


def rss() -> int:
    """Resident set size of this process now, bytes."""
    return int(os.pread(_descriptor, 128, 0).split()[1]) * PAGE


def status(key: str) -> int:
    """A field of /proc/self/status that is given in kB, bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(key)
