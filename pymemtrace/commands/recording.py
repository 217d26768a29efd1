"""A recording by options in words, those of `run` and of PYMEMTRACE; what is said at its end."""

from __future__ import annotations

import os
import sys

from ..errors import CommandError
from ..tracing import COMPUTES, ENGINES, FORMATS, LOGS, family, recover, script_name, trace
from . import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FLAGS = {
    "-f": "force",
    "--force": "force",
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--no-children": "no-children",
    "--no-comments": "no-comments",
}
VALUED = {
    "-o": "output",
    "--output": "output",
    "--log": "log",
    "--threshold": "threshold",
    "--compute": "compute",
    "--format": "format",
    "--keep": "keep",
    "--engine": "engine",
    "--sample": "sample",
}


def recorder(values: dict[str, str], command: list[str]) -> trace:
    """The recording that these options ask for, not started. Raises: CommandError.

    command: the program as Python's command line has it. A folder for the file is made by `make_folder`, when nothing
    else can be wrong.
    """
    if "quiet" in values and "verbose" in values:
        raise CommandError("-q and -v exclude each other")
    log, compute, form, engine = (values.get(key) for key in ("log", "compute", "format", "engine"))
    threshold, keep, sample = values.get("threshold"), values.get("keep"), values.get("sample")
    path = output(values, ".pmt" if form == "binary" or keep is not None else ".log")
    run = values.get("family"), values.get("beside")
    try:
        return trace(
            path,
            log=None if log is None else options.choice("--log", log, LOGS),
            threshold=None if threshold is None else options.size("--threshold", threshold),
            compute=options.choice("--compute", compute, COMPUTES) if compute is not None else "all",
            format=None if form is None else options.choice("--format", form, FORMATS),
            keep=None if keep is None else options.size("--keep", keep),
            engine=options.choice("--engine", engine, ENGINES) if engine is not None else "auto",
            children="no-children" not in values,
            overwrite="force" in values,
            comments="no-comments" not in values,
            sample=None if sample is None else options.interval("--sample", sample),
            _name=program_name(command),
            _run=run,
        )
    except ValueError as error:
        raise CommandError(f"{error}") from error


def program_name(command: list[str]) -> str:
    """What {name} in a path stands for. command: what follows `python`."""
    at = 0
    while at < len(command) and command[at].startswith("-") and len(command[at]) > 1:
        letters = "" if command[at].startswith("--") else command[at][1:]
        at += 2 if command[at] == "--check-hash-based-pycs" else 1
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "c":
                return "c"
            if letter in "mWX":
                value = letters or "".join(command[at : at + 1])
                if letter == "m":
                    return value.rpartition(".")[2] or "python"
                at, letters = at + (not letters), ""
    return script_name("".join(command[at : at + 1]))


def output(values: dict[str, str], suffix: str) -> str | None:
    """The path that -o names; in a directory, the default name. Raises: CommandError."""
    path = values.get("output")
    if path == "":
        raise CommandError("-o needs a path")
    if path is None or not _is_folder(path):
        return path
    if "{" in path and not os.path.isdir(path):
        raise CommandError(f"-o {path!r}: fields in braces are for the name of a file, not of a directory to be made")
    folder = path.replace("{", "{{").replace("}", "}}")
    return os.path.join(folder, "{time}_{pid}" + suffix)


def make_folder(values: dict[str, str]) -> None:
    """Make the directory of `-o PATH/`. Raises: CommandError."""
    path = values.get("output")
    if path is None or not _is_folder(path):
        return
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the directory {_named(error)}") from error


def _is_folder(path: str) -> bool:
    return path.endswith("/") or os.path.isdir(path)


def why_not(error: Exception) -> str:
    """Why a recording could not start, as a sentence."""
    if isinstance(error, FileExistsError):
        if str(error.filename).endswith(".ring"):
            return f"{error.filename!r} is in the way: {error.strerror}"
        return f"{error.filename!r} exists already: -f replaces it, -o names another"
    if isinstance(error, OSError):
        return f"cannot write {_named(error)}"
    return f"{error}"


def _named(error: OSError) -> str:
    """The file and what was wrong with it."""
    return f"{error.filename!r}: {error.strerror}" if error.filename is not None else f"the log: {error}"


def at_end(recorder: trace, quiet: bool, verbose: bool) -> Callable[[], None]:
    """What speaks when the program has ended."""
    from ..family import recover_left_overs
    from ..reporters import last_word  # now: a program may leave us without files to import from

    say = speaker()

    def at_end() -> None:
        members = family() or []
        recovered = recover_left_overs(members, recover)
        stats = recorder.stats()
        if quiet and stats["error"] is None and (stats["samples"] is None or stats["samples"]["error"] is None):
            return
        path = stats["path"]
        readable = path is not None and os.path.isfile(path)
        lines = last_word.lines(stats, recorder.growth(5), verbose=verbose, readable=readable)
        children = last_word.children(members, recovered, path)
        say([*lines, *children])

    return at_end


def speaker() -> Callable[[list[str]], None]:
    """What writes lines to stderr when the program has ended, and finds streams and descriptors as that left them."""
    stderr = _identity(2)

    def say(lines: list[str]) -> None:
        if stderr is None or _identity(2) != stderr:
            return  # descriptor 2 is the program's own by now
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                if stream is not None:
                    stream.flush()  # ours comes last
            except (OSError, ValueError):
                pass  # the interpreter finds that out by itself
        _write(2, "".join([f"{line}\n" for line in lines]))

    return say


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _write(descriptor: int, text: str) -> None:
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        pass  # nobody listens
