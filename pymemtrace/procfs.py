"""What the kernel says of a process by its number: /proc/PID/stat and status (proc_pid_stat(5), proc_pid_status(5)).

psutil has neither the peak, nor the parts of RSS, nor faults. And `stat` names parent, start and figures in one
reading, so that a number which was given again is never taken for the process that had it.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

_HZ = os.sysconf("SC_CLK_TCK")
_MEMORY_KEYS = (b"VmRSS", b"VmHWM", b"RssAnon", b"RssFile", b"RssShmem")
_GONE = (FileNotFoundError, ProcessLookupError)


class Stat(NamedTuple):
    """Times in seconds, `vms` in bytes."""

    name: str
    state: str  # R, S, D, T, Z, ...
    parent: int
    minor_faults: int
    major_faults: int
    user: float
    system: float
    children_user: float  # of children that have ended and were waited for, and of theirs
    children_system: float
    threads: int
    start: int  # clock ticks since boot: with its number it is the process's identity
    vms: int

    @property
    def ended(self) -> bool:
        """Is it a zombie? One whose first thread has ended, while others run, is none."""
        return self.state in "ZX" and self.threads <= 1

    @property
    def clock(self) -> float:
        """Wall seconds since it started, now: the clock of logs and samples."""
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.start / _HZ)


class Memory(NamedTuple):
    """Bytes. None: the kernel does not tell."""

    rss: int
    peak_rss: int | None
    anon: int | None
    file: int | None
    shmem: int | None


def stat(pid: int) -> Stat | None:
    """None: there is no such process. Raises: PermissionError."""
    data = _read(pid, "stat")
    if data is None:
        return None
    head, _, tail = data.rpartition(b")")
    fields = tail.split()
    if len(fields) < 21:  # cut: it ended in between
        return None
    return Stat(
        name=head.partition(b"(")[2].decode("utf-8", "surrogateescape"),
        state=fields[0].decode("ascii", "replace"),
        parent=int(fields[1]),
        minor_faults=int(fields[7]),
        major_faults=int(fields[9]),
        user=int(fields[11]) / _HZ,
        system=int(fields[12]) / _HZ,
        children_user=int(fields[13]) / _HZ,
        children_system=int(fields[14]) / _HZ,
        threads=int(fields[17]),
        start=int(fields[19]),
        vms=int(fields[20]),
    )


def memory(pid: int) -> Memory | None:
    """None: there is no such process, or it has no memory: it has ended, or is a thread of the kernel.

    Raises: PermissionError.
    """
    data = _read(pid, "status")
    if data is None:
        return None
    found: dict[bytes, int] = {}
    for line in data.split(b"\n"):
        key, _, value = line.partition(b":")
        if key in _MEMORY_KEYS:
            digits = value.split()[:1]
            if digits and digits[0].isdigit():
                found[key] = int(digits[0]) * 1024
    rss = found.get(b"VmRSS")
    return None if rss is None else Memory(rss, *(found.get(key) for key in _MEMORY_KEYS[1:]))


def _read(pid: int, name: str) -> bytes | None:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()
    except _GONE:
        return None
