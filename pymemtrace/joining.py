"""A process that starts with PYMEMTRACE in its environment: hook/sitecustomize.py calls `join`.

The value has the options of `run`. With `--family PATH`, which the recorder adds for the children of a process that it
records, this process joins that run and never speaks. Without, it is the first of a run of its own, as a service is.
"""

from __future__ import annotations

import atexit
import os
import sys

from .commands import options, recording
from .errors import CommandError
from .shell import words
from .tracing import family_note, hide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

    from .tracing import trace


INTERNAL = {"--family": "family", "--beside": "beside"}  # the recorder writes them for children


def join(value: str, callers: Iterable[CodeType], unwanted: Callable[[], bool]) -> None:
    """Record this process from the return of `callers` on.

    callers: whose frames are to be no events. unwanted: asked when it fails, is that of no interest to anybody?
    """
    family = (
        value.rpartition("--family ")[2].strip() if "--family " in value else None
    )  # where to tell of wrong options
    try:
        values = _values(value)
        recorder = recording.recorder(values, _command())
        if family is None:
            recording.make_folder(values)
        speak = recording.at_end(recorder, "quiet" in values, "verbose" in values) if family is None else None
        end = _end(recorder, speak)
        for code in (*callers, join.__code__, end.__code__):
            hide(code)
        atexit.register(end)  # before the program can register any: it runs last
        try:
            recorder.start()
        except BaseException:
            atexit.unregister(end)
            raise
    except (CommandError, OSError, RuntimeError, ValueError) as error:
        if unwanted():
            return
        if family is not None:
            family_note(family, error.strerror or f"{error}" if isinstance(error, OSError) else f"{error}")
        elif sys.stderr is not None:
            sys.stderr.write(f"pymemtrace: PYMEMTRACE: {recording.why_not(error)}\n")


def _values(value: str) -> dict[str, str]:
    """The options by name. Raises: CommandError."""
    try:
        given = words(value)
    except ValueError as error:
        raise CommandError(f"{error}") from error
    values, at = options.parse(given, recording.FLAGS, {**recording.VALUED, **INTERNAL})
    if given[at:]:
        raise CommandError(f"it has options only; {given[at]!r} is none")
    return values


def _command() -> list[str]:
    """What follows `python` on the command line."""
    if sys.version_info < (3, 10):
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[1:-1]]
    else:
        return sys.orig_argv[1:]


def _end(recorder: trace, speak: Callable[[], None] | None) -> Callable[[], None]:
    pid = os.getpid()

    def end() -> None:
        recorder.stop()
        if speak is not None and os.getpid() == pid:  # a forked child has nothing to say
            speak()

    return end
