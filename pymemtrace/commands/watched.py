"""`sample --pid` and `sample --tree`: this process looks at others. psutil is loaded here, never in what is watched."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .. import __version__
from ..errors import CommandError
from ..reporters import count, printable
from ..shell import quoted
from ..watching import CannotWatch, Watch, Watched
from . import files

PR_SET_CHILD_SUBREAPER = 36
LATE = (signal.SIGINT, signal.SIGQUIT)  # from a terminal the program gets them, too: its end is waited for


def process(text: str, *, interval: float, tree: bool, path: str | None, force: bool, quiet: bool) -> int:
    """Watch a process that runs, until it ends or a signal ends this. Returns the exit status. Raises: CommandError."""
    if not (text.isascii() and text.isdigit()) or int(text) == 0 or len(text) > 10:
        raise CommandError(f"--pid must be the number of a process; it is {text!r}")
    watch = _watch(int(text), interval, tree)
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        _handle(number, stop)
    path = path or _default_name(int(text))
    with _file(path, force) as fd:
        done = watch.run(fd, lambda: bool(stopped))
    _say(done, path, quiet)
    return 0 if done.error is None else 2


def program(command: list[str], *, interval: float, path: str | None, force: bool, quiet: bool) -> int:
    """Start a program and watch it and its descendants until it ends. Returns its exit status, or ends by its signal.

    Raises: CommandError.
    """
    named = path or _default_name(os.getpid())
    with _file(named, force) as fd:
        orphans = _adopt_orphans()
        child: subprocess.Popen[bytes] | None = None
        early: list[int] = []  # came while the program was being started

        def pass_on(number: int, frame: FrameType | None) -> None:
            if child is None:
                early.append(number)
            else:
                child.send_signal(number)

        _handle(signal.SIGTERM, pass_on)
        for number in LATE:
            _handle(number, lambda number, frame: None)
        try:
            child = subprocess.Popen(command)
        except OSError as error:
            raise CommandError(f"cannot start {command[0]!r}: {error.strerror}") from error
        for missed in early:
            child.send_signal(missed)
        running = child
        try:
            watch = Watch(
                child.pid, interval=interval, tree=True, version=__version__, command=command, orphans=orphans
            )
        except CannotWatch:
            done = Watched()  # it has ended already
        else:
            done = watch.run(fd, lambda: _reap(running.pid))
        status = child.wait()
    _say(done, named, quiet)
    return status if status >= 0 else _end_by(-status)


def _watch(pid: int, interval: float, tree: bool) -> Watch:
    try:
        return Watch(pid, interval=interval, tree=tree, version=__version__)
    except CannotWatch as error:
        raise CommandError(f"--pid {pid}: {error}") from error


def _handle(number: int, handler: object) -> None:
    """What was ignored when this began, as under nohup, stays so."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)  # type: ignore[arg-type]


def _default_name(pid: int) -> str:
    return f"{time.strftime('%y%m%d_%H%M%S')}_{pid}.rss"


@contextmanager
def _file(path: str, force: bool) -> Iterator[int]:
    """In its place from the first: it can be read while it grows. Empty at the end, it goes."""
    with files.sentences():
        fd, made = _open(path, force)
    try:
        yield fd
    finally:
        if made and os.fstat(fd).st_size == 0:
            os.unlink(path)
        os.close(fd)


def _open(path: str, force: bool) -> tuple[int, bool]:
    """Its descriptor, and whether it was made. Raises: CommandError, OSError."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    if not files.is_to_be_made(path, force):
        return os.open(path, flags), False
    written = f"{path}.{os.getpid()}.part"
    fd = os.open(written, flags | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        files.put(written, path, force)
    except BaseException:
        os.close(fd)
        os.unlink(written)
        raise
    return fd, True


def _adopt_orphans() -> bool:
    """Processes below this one whose parents end get this one as their parent: they stay in the tree."""
    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def _reap(but: int) -> bool:
    """Ask for the exit status of all children that have ended but that one. Returns False: nobody wants to stop."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        if ended is None or ended.si_pid == but:
            return False
        os.waitpid(ended.si_pid, 0)


def _end_by(number: int) -> int:
    """End as the program did. Returns when the signal does not end this process: what a shell would say."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # one core file is enough
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _say(done: Watched, path: str, quiet: bool) -> None:
    if sys.stderr is None or (quiet and done.error is None):
        return
    missed = f", {done.missed:,} missed" if done.missed else ""
    lines = [f"pymemtrace: {count(done.ticks, 'tick')}{missed}, {count(done.processes, 'process')}"]
    for what, why in done.unreadable.items():
        reasons = ", ".join(sorted(set(why.values())))
        consequence = ": memory that processes share counts in each of them" if what.startswith("PSS") else ""
        lines.append(f"  NOT READ    {what} of {count(len(why), 'process')}, {reasons}{consequence}")
    if done.error is not None:
        lines.append(
            f"  INCOMPLETE  {printable(path)} could not be written: {done.error.strerror}; it is whole up to there"
        )
    lines.append(f"  samples     {printable(path)}")
    lines.append(f"  next        python -m pymemtrace plot {quoted(path)}")
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
