"""`run`: a program under the recorder, which it must not notice.

From the moment the program starts nothing of this file runs until it has ended.
"""

from __future__ import annotations

import os
import sys

from ..errors import CommandError
from ..reporters import last_word
from ..tracing import COMPUTES, ENGINES, FORMATS, LOGS, run_main, trace
from . import options, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HELP = """\
usage: python -m pymemtrace run [options] SCRIPT [ARGS...]
       python -m pymemtrace run [options] -m MODULE [ARGS...]
       python -m pymemtrace run [options] -c CODE [ARGS...]

Run a Python program as `python SCRIPT ARGS...` would, and record the process's resident set size (RSS) at every Python
and C call and return. SCRIPT may be a directory or zip file with a __main__.py. All that follows SCRIPT, MODULE or CODE
belongs to the program. The program's output and exit status are its own.

what is recorded:
  --log MODE         which events become rows of the log; every event is seen and numbered in any case
                       threshold  the first, and those where RSS has changed by the threshold or more since the row
                                  before: who grew, in few rows (the default)
                       previous   the same, each with the event just before it: the change happened between the two
                       all        every event: 220 bytes a row, millions of rows a second of run time
                       none       no rows; the totals at the end only
  --threshold BYTES  least change of RSS that makes a row: 4096, 64K, 10M, 1G (default: one page; 0: every event)
  --compute WHAT     nothing, rss or all (the default); other than all only with --log none, to measure overhead
  --engine NAME      profile (PyEval_SetProfile), monitoring (sys.monitoring, Python 3.12 and later: half the cost), or
                     auto (the default): the cheaper one that gives the same events
  --no-children      has no effect in this version: child processes are not recorded in any case

where it goes:
  -o, --output PATH  the log; PATH/ is a directory, made if need be (the default: YYMMDD_HHMMSS_PID.log here)
  -f, --force        replace an existing file
  --format FORMAT    text, or binary: a capture of every event in 1.5 bytes each, which `events`, `summary` and
                     pymemtrace.read() open (the default: by PATH, *.pmt is binary)
  --keep SIZE        a capture of the last events only, in SIZE bytes of disk (1M or more), for programs that run for
                     weeks; totals hold for the whole run
  --no-comments      the table alone, without the lines that start with `# `

what is said at the end, on stderr:
  -q, --quiet        nothing, unless the recording failed
  -v, --verbose      more: readings, audits, waits, the recorder's own memory
  -h, --help         this text

examples:
  python -m pymemtrace run job.py input.dat               which calls made RSS change?
  python -m pymemtrace run --threshold 10M job.py         only the big steps
  python -m pymemtrace run --log previous -o job.log -m package --option
  python -m pymemtrace run --log none -c 'import numpy'   the totals only

how to read the log:
  One row an event: number, seconds since the process started, CALL, RETURN, C_CALL, C_RETURN or C_EXCEPT, file#line,
  function, RSS and dRSS, both in bytes. dRSS is the change since the row before. A change seen at a RETURN was made by
  the function that returns, or after its last call; one seen at a CALL was made by the caller before it called. The
  largest steps first:
      grep -v '^#' job.log | awk '{$1=$1; print $NF, $0}' | sort -rn | head

The exit status is the program's; 2 if it could not be started. Read more: docs/command-line.md, docs/log-format.md.
"""

FLAGS = {
    "-f": "force",
    "--force": "force",
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "-h": "help",
    "--help": "help",
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
}


def main(argv: list[str]) -> int:
    """Returns only when the program was not started: the exit status. Raises: CommandError."""
    values, at = options.parse(argv, FLAGS, VALUED)
    if "help" in values:
        sys.stdout.write(HELP)
        return 0
    if "quiet" in values and "verbose" in values:
        raise CommandError("-q and -v exclude each other")
    given = argv[at:]
    if not given:
        raise CommandError("no program given: name a SCRIPT, -m MODULE or -c CODE")
    recorder = _recorder(values)  # first: a wrong option must not wait for the program
    found = program.prepare(argv, given)
    if found is None:
        return 1
    path = values.get("output")
    if path is not None and _is_folder(path):
        recorder = _recorder(values, _in_folder(path, values.get("format") == "binary" or "keep" in values))
    # One tuple and no other name for what is in it: run_main lets go of `__main__`, which then dies when it should.
    arguments = (*found, recorder, _at_end(recorder, "quiet" in values, "verbose" in values))
    del found
    try:
        run_main(*arguments)
    except FileExistsError as error:
        if str(error.filename).endswith(".ring"):
            raise CommandError(f"{error.filename!r} is in the way: {error.strerror}") from error
        raise CommandError(f"{error.filename!r} exists already: -f replaces it, -o names another") from error
    except OSError as error:
        raise CommandError(f"cannot write {_named(error)}") from error
    except (RuntimeError, ValueError) as error:
        raise CommandError(f"{error}") from error


def _recorder(values: dict[str, str], path: str | None = None) -> trace:
    log, compute, form, engine = (values.get(key) for key in ("log", "compute", "format", "engine"))
    threshold, keep = values.get("threshold"), values.get("keep")
    if path is None:
        path = values.get("output")
    if path == "":
        raise CommandError("-o needs a path")
    try:
        return trace(
            path,
            log=None if log is None else options.choice("--log", log, LOGS),
            threshold=None if threshold is None else options.size("--threshold", threshold),
            compute=options.choice("--compute", compute, COMPUTES) if compute is not None else "all",
            format=None if form is None else options.choice("--format", form, FORMATS),
            keep=None if keep is None else options.size("--keep", keep),
            engine=options.choice("--engine", engine, ENGINES) if engine is not None else "auto",
            children=False,
            overwrite="force" in values,
            comments="no-comments" not in values,
        )
    except ValueError as error:
        raise CommandError(f"{error}") from error


def _is_folder(path: str) -> bool:
    return path.endswith("/") or os.path.isdir(path)


def _in_folder(path: str, capture: bool) -> str:
    """The default name in this folder, which is made."""
    import time

    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the directory {_named(error)}") from error
    suffix = "pmt" if capture else "log"
    return os.path.join(path, f"{time.strftime('%y%m%d_%H%M%S')}_{os.getpid()}.{suffix}")


def _named(error: OSError) -> str:
    """The file and what was wrong with it."""
    return f"{error.filename!r}: {error.strerror}" if error.filename is not None else f"the log: {error}"


def _at_end(recorder: trace, quiet: bool, verbose: bool) -> Callable[[], None]:
    """What speaks when the program has ended. It finds the program's streams and descriptors as that left them."""
    stderr = _identity(2)

    def at_end() -> None:
        if stderr is None or _identity(2) != stderr:
            return  # descriptor 2 is the program's own by now
        stats = recorder.stats()
        if quiet and stats["error"] is None:
            return
        path = stats["path"]
        readable = path is not None and os.path.isfile(path)
        lines = last_word.lines(stats, recorder.growth(5), verbose=verbose, readable=readable)
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                if stream is not None:
                    stream.flush()  # ours comes last
            except (OSError, ValueError):
                pass  # the interpreter finds that out by itself
        _write(2, "".join(f"{line}\n" for line in lines))

    return at_end


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
