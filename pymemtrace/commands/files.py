"""What the commands share that read recordings: opening them, errors as sentences, where their output goes."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

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


@contextmanager
def output(path: str | None, force: bool) -> Iterator[BinaryIO]:
    """What a command writes to: stdout, where path is None; or a file, which is there when all is written, or not at
    all. An empty file, a device or a pipe is used as it is.

    Raises: CommandError when the file exists and `force` is not set; OSError.
    """
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path == "":
        raise CommandError("-o needs a path")
    fresh = is_to_be_made(path, force)
    written = f"{path}.{os.getpid()}.part" if fresh else path
    opened = False
    try:
        with open(written, "xb" if fresh else "wb") as file:
            opened = True
            yield file
        if fresh:
            put(written, path, force)
    except BaseException as error:
        if opened:
            _undo(written, fresh)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and error.filename in (None, written):
            raise OSError(error.errno, error.strerror, path) from None
        raise


def is_to_be_made(path: str, force: bool) -> bool:
    """False: it is there, and used as it is. Raises: CommandError when it would be lost; OSError."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return False
    if not force:
        raise _exists(path)
    return True


def _exists(path: str) -> CommandError:
    return CommandError(f"{path!r} exists already: -f replaces it, -o names another")


def put(written: str, path: str, force: bool) -> None:
    """Give the file its name. Raises: CommandError when there is such a file now; OSError."""
    if not force:
        try:
            os.link(written, path)
            os.unlink(written)
            return
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise _exists(path) from None
    os.replace(written, path)


def _undo(written: str, fresh: bool) -> None:
    if fresh:
        os.unlink(written)
    elif os.path.isfile(written):
        os.truncate(written, 0)


RECORDINGS = "a capture, a text log, or a directory of them"
HELP = {"-h": "help", "--help": "help"}


def asked(
    argv: list[str],
    text: str,
    what: str = RECORDINGS,
    flags: Mapping[str, str] | None = None,
    valued: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], list[str]] | None:
    """Options and files of a command line; None: it asked for help, which was printed: `text`.

    flags, valued: the options beside --help, as options.parse has them. Raises: CommandError, also when no file
    is named: name `what`.
    """
    values, paths = options.parse_mixed(argv, {**HELP, **(flags or {})}, dict(valued or {}))
    if "help" in values:
        sys.stdout.write(text)
        return None
    if not paths:
        raise CommandError(f"no file given: name {what}")
    return values, paths


def with_each(who: str, argv: list[str], text: str, do: Callable[[str], None]) -> int:
    """A command for files, with no option but --help, which prints `text`: its exit status. Raises: CommandError."""
    found = asked(argv, text, "a capture or a text log")
    return 0 if found is None else quietly(lambda: each(who, found[1], do))
