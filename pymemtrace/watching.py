"""`watch`: samples of another process, or of a process and all its descendants, as docs/samples.md has them.

This is the outer process. What is watched does not notice, and may end between any two lines of this file: then there
is nothing of it in this tick, and a line that it has ended in the next.
"""

from __future__ import annotations

import datetime
import json
import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from . import procfs
from .errors import PymemtraceError

FORMAT_VERSION = 1
MAX_COMMAND = 4096  # bytes of a command line that are kept
FROM_STAT = ("minor_faults", "major_faults", "user", "system", "children_user", "children_system", "threads")
PSS_INTERVAL = 0.5  # seconds: the kernel walks all page tables for PSS, with their lock held
PSS_SHARE = 0.05  # of the time may go into reading it


class CannotWatch(PymemtraceError):
    """One sentence for the user."""


@dataclass
class Watched:
    """What a watch has done. error: why the file is not complete. unreadable: by what it was: processes and why."""

    ticks: int = 0
    missed: int = 0
    processes: int = 0
    error: OSError | None = None
    unreadable: dict[str, dict[int, str]] = field(default_factory=dict)


@dataclass
class _Process:
    """One that was seen, and has not been seen to have ended."""

    pid: int
    start: int
    name: str = ""
    command: list[str] = field(default_factory=list)
    looks: int = 0


class Watch:
    """Samples of a process, and of its descendants.

    interval: seconds. command: its command line, if it was only just started and the kernel may not have it yet.
    orphans: also of the children of this process: it gets those whose parents end before them. version: of this
    package. Raises: CannotWatch.
    """

    def __init__(
        self,
        pid: int,
        *,
        interval: float,
        tree: bool,
        version: str,
        command: Sequence[str] = (),
        orphans: bool = False,
    ) -> None:
        self.pid, self.interval, self.tree, self.orphans = pid, interval, tree, orphans
        self._fd = -1
        self.result = Watched()
        self._lines: list[str] = []
        self._known: dict[int, _Process] = {}
        self._zombies: dict[int, int] = {}  # what has ended and is still there, by number: its start
        self._next_pss = 0.0
        root = _stat_of_root(pid)
        self._start = root.start
        self._begin = time.monotonic()
        self._offset = root.clock - self._begin
        self._now = self._clock()  # of the tick: all its lines have it
        self._say(
            pymemtrace=version,
            format="samples",
            version=FORMAT_VERSION,
            scope="tree" if tree else "pid",
            command=_short(_command(pid) or command),
            pid=pid,
            parent=root.parent,
            host=os.uname().nodename,
            start=datetime.datetime.now().astimezone().isoformat(timespec="microseconds"),
            time=self._now,
            interval=interval,
            pss_interval=max(PSS_INTERVAL, interval),
            page_size=os.sysconf("SC_PAGE_SIZE"),
        )

    def run(self, fd: int, stopped: Callable[[], bool]) -> Watched:
        """Sample into a descriptor until the process has ended, or `stopped` says so, which is asked often."""
        self._fd = fd
        ended = _End(self.pid, self._start)
        number = 0
        try:
            while True:
                late = int((time.monotonic() - self._begin) / self.interval) - number
                if not self._tick(max(0, late)):
                    break
                number += max(0, late) + 1
                if ended.within(self._begin + number * self.interval - time.monotonic(), stopped) or stopped():
                    self._tick(0)  # for the last time: of what is left
                    break
        finally:
            ended.close()
        return self.result

    def _tick(self, missed: int) -> bool:
        """False: the process has ended, or the file cannot be written."""
        begin = time.monotonic()
        self._now = self._clock()
        with_pss = begin >= self._next_pss
        found = self._look()
        for process in list(self._known.values()):
            if process.pid not in found or found[process.pid].start != process.start:
                self._ended(process)
        self._zombies = {pid: start for pid, start in self._zombies.items() if pid in found}
        total = _Total()
        for pid, stat in sorted(found.items(), key=lambda item: (item[1].start, item[0])):
            values = self._sample(pid, stat, with_pss)
            if missed and not self.tree and values:
                values["missed"] = missed
            total.add(stat, values)
            self._say(**values)
        if self.tree and total.processes:
            self._say(time=self._now, tree=total.values(with_pss), **({"missed": missed} if missed else {}))
        if with_pss:
            self._next_pss = begin + max(PSS_INTERVAL, self.interval, (time.monotonic() - begin) / PSS_SHARE)
        self.result.ticks += 1
        self.result.missed += missed
        return self._write() and self.pid in self._known

    def _look(self) -> dict[int, procfs.Stat]:
        """Those that are to be sampled now. One known before stays, also when its parent has ended."""
        if not self.tree:
            stat = self._stat(self.pid)
            return {} if stat is None or stat.start != self._start else {self.pid: stat}
        every = {pid: stat for pid in psutil.pids() if (stat := self._stat(pid)) is not None}
        below: dict[int, list[int]] = {}
        for pid, stat in every.items():
            below.setdefault(stat.parent, []).append(pid)
        starts = {self.pid: self._start, **{one.pid: one.start for one in self._known.values()}}
        waiting = [pid for pid, start in starts.items() if pid in every and every[pid].start == start]
        if self.orphans:
            waiting += below.get(os.getpid(), [])
        found: dict[int, procfs.Stat] = {}
        while waiting:
            pid = waiting.pop()
            if pid in every and pid not in found and pid != os.getpid():
                found[pid] = every[pid]
                waiting += below.get(pid, [])
        return found

    def _stat(self, pid: int) -> procfs.Stat | None:
        try:
            return procfs.stat(pid)
        except PermissionError as error:
            if pid == self.pid or pid in self._known:
                self._unreadable(pid, "anything", error)
            return None

    def _sample(self, pid: int, stat: procfs.Stat, with_pss: bool) -> dict[str, Any]:
        """Empty: it has ended, or cannot be read."""
        if self._zombies.get(pid) == stat.start:
            return {}
        process = self._known.get(pid)
        if process is None:
            process = self._known[pid] = _Process(pid, stat.start)
            self.result.processes += 1
        self._name(process, stat)
        if stat.ended:
            self._zombies[pid] = stat.start
            self._ended(process)
            return {}
        try:
            memory = procfs.memory(pid)
        except PermissionError as error:
            self._unreadable(pid, "memory", error)
            return {}
        if memory is None:
            return {}  # the next tick says that it has ended
        values: dict[str, Any] = {"time": self._now, "pid": pid}
        values.update({key: value for key, value in memory._asdict().items() if value is not None}, vms=stat.vms)
        if with_pss:
            values.update(self._shared(pid))
        values.update({key: getattr(stat, key) for key in FROM_STAT})
        return values

    def _name(self, process: _Process, stat: procfs.Stat) -> None:
        """A line when it is seen first, and when its command line has changed: it was forked, then called exec.

        The command line is read again at the second look and when the name changes.
        """
        process.looks += 1
        if process.looks > 2 and process.name == stat.name:
            return
        process.name = stat.name
        command = _short(_command(process.pid)) or process.command or [stat.name]
        if self.tree and command != process.command:
            self._say(time=self._now, pid=process.pid, process="began", parent=stat.parent, command=command)
        process.command = command

    def _shared(self, pid: int) -> dict[str, int]:
        """PSS and USS, where the rights allow."""
        try:
            memory = psutil.Process(pid).memory_full_info()
        except psutil.AccessDenied:
            self._unreadable(pid, "PSS and USS", PermissionError(1, "not permitted"))
        except (psutil.NoSuchProcess, OSError, ValueError):  # ZombieProcess is the former
            pass
        else:
            return {"pss": memory.pss, "uss": memory.uss}
        return {}

    def _unreadable(self, pid: int, what: str, error: OSError) -> None:
        """Said in the file once for each process."""
        processes = self.result.unreadable.setdefault(what, {})
        if pid not in processes:
            processes[pid] = error.strerror or f"{error}"
            self._say(time=self._now, pid=pid, note=f"{what} cannot be read: {processes[pid]}")

    def _ended(self, process: _Process) -> None:
        del self._known[process.pid]
        if self.tree:
            self._say(time=self._now, pid=process.pid, process="ended")

    def _clock(self) -> float:
        return round(time.monotonic() + self._offset, 6)

    def _say(self, **values: object) -> None:
        if values:
            self._lines.append(json.dumps(values, separators=(",", ":")) + "\n")

    def _write(self) -> bool:
        """All that was said, in one write. After an error nothing is written any more."""
        data = "".join(self._lines).encode("ascii")
        self._lines.clear()
        try:
            while data and self.result.error is None:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.result.error = error
        return self.result.error is None


class _Total:
    """Of the processes of a tree, in one tick. Sizes in bytes, times in seconds."""

    def __init__(self) -> None:
        self.processes = 0
        self._sums = {"rss": 0, "pss": 0, "uss": 0}
        self._times = {"user": 0.0, "system": 0.0}
        self._whole = True

    def add(self, stat: procfs.Stat, sample: dict[str, Any]) -> None:
        """CPU is with that of zombies and of children that were waited for, so that it does not fall when one ends."""
        self._times["user"] += stat.user + stat.children_user
        self._times["system"] += stat.system + stat.children_system
        if sample:
            self.processes += 1
            self._whole = self._whole and "pss" in sample
            for key in self._sums:
                self._sums[key] += sample.get(key, 0)

    def values(self, with_pss: bool) -> dict[str, float]:
        """PSS and USS only if every process let them be read."""
        kept = self._sums if with_pss and self._whole else {"rss": self._sums["rss"]}
        return {"processes": self.processes, **kept, **{key: round(value, 6) for key, value in self._times.items()}}


class _End:
    """Waits for the end of a process, which need not be a child of this one."""

    def __init__(self, pid: int, start: int) -> None:
        self._fd: int | None = None
        try:
            self._fd = os.pidfd_open(pid)
            now = procfs.stat(pid)
            if now is None or now.start != start:  # the number was given again: the next look will see that
                self.close()
        except (AttributeError, OSError):  # an old kernel, an old C library, ended
            pass

    def within(self, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Sleep so long, or until `stopped` says so. True: the process has ended meanwhile."""
        until = time.monotonic() + seconds
        poll = select.poll()
        if self._fd is not None:
            poll.register(self._fd, select.POLLIN)
        while not stopped():
            left = until - time.monotonic()
            if left <= 0:
                return False
            if poll.poll(min(left, 0.1) * 1000):
                return True
        return False

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _stat_of_root(pid: int) -> procfs.Stat:
    """Raises: CannotWatch."""
    try:
        found = procfs.stat(pid)
        memory = procfs.memory(pid)
    except PermissionError:
        raise CannotWatch(f"process {pid} may not be read: it is another user's") from None
    if found is None:
        raise CannotWatch(f"there is no process {pid} that can be seen from here")
    if found.ended:
        raise CannotWatch(f"process {pid} has ended: its parent has not asked for its exit status yet")
    if memory is None:
        raise CannotWatch(f"process {pid} ({found.name}) is a thread of the kernel: it has no memory")
    return found


def _command(pid: int) -> list[str]:
    """Empty: it has none (a zombie, a thread of the kernel), or it may not be read."""
    try:
        return list(psutil.Process(pid).cmdline())
    except (psutil.Error, OSError):
        return []


def _short(command: Sequence[str]) -> list[str]:
    """At most MAX_COMMAND bytes of it; then the last word is `...`."""
    kept: list[str] = []
    size = 0
    for word in command:
        size += len(os.fsencode(word)) + 1
        if size > MAX_COMMAND:
            return [*kept, "..."]
        kept.append(word)
    return kept
