"""What the commands share that read recordings: opening them, errors as sentences, output that nobody may want."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import CommandError
from ..reader import Run, find_run, sentence
from . import options

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def sentences() -> Iterator[None]:
    """What goes wrong within becomes a CommandError with the file in it. BrokenPipeError passes through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise CommandError(sentence(error)) from error
    except MemoryError as error:
        raise CommandError("there is not enough memory for it") from error


def each(who: str, paths: Iterable[str], do: Callable[[str], None]) -> int:
    """Do it with every file, whatever happens with another; the exit status. Each error is a sentence on stderr."""
    status = 0
    for path in paths:
        try:
            with sentences():
                do(path)
        except CommandError as error:
            status = say(who, error)
    return status


def say(who: str, error: CommandError) -> int:
    """A sentence on stderr; the exit status."""
    sys.stdout.flush()
    if sys.stderr is not None:
        sys.stderr.write(f"pymemtrace {who}: {error}\n")
    return error.exit_status


def find(who: str, paths: Iterable[str]) -> tuple[Run, int]:
    """What is in these files and directories, and the exit status so far: what cannot be read is said."""
    run = find_run(*paths)
    status = 0
    for problem in run.problems:
        status = say(who, CommandError(problem.why))
    return run, status


def quietly(do: Callable[[], int]) -> int:
    """The exit status of `do`; 0 when nobody reads its output to the end, as in `... | head`."""
    try:
        status = do()
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # what is still in the buffer goes nowhere when the interpreter ends
        os.close(null)
        return 0
    return status


def with_each(who: str, argv: list[str], text: str, do: Callable[[str], None]) -> int:
    """A command for files, with no option but --help, which prints `text`: its exit status. Raises: CommandError."""
    values, paths = options.parse_mixed(argv, {"-h": "help", "--help": "help"}, {})
    if "help" in values:
        sys.stdout.write(text)
        return 0
    if not paths:
        raise CommandError("no file given: name a capture or a text log")
    return quietly(lambda: each(who, paths, do))
