"""`events`: captures as text logs."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from ..errors import CommandError
from ..reader import Capture, read, sentence
from ..reporters import printable
from . import files, options

LOGS = ("all", "threshold", "previous")

HELP = """\
usage: python -m pymemtrace events (FILE | DIRECTORY)... [options]

Print the events of a capture (*.pmt) as a text log: one line an event, the same that `run` would have written as text.
A text log is copied as it is. Where a capture was cut, the log ends there, without `# end`, and stderr says so.
Of several files, or of a DIRECTORY (its *.log and *.pmt), one log is printed after the other, in the order in which the
processes started, each after a line `# file: FILE`.

  --log MODE         which events become rows
                       all        every event (the default): 220 bytes a row
                       threshold  the first, and those where RSS has changed by the threshold or more since the row
                                  before
                       previous   the same, each with the event just before it
  --threshold BYTES  least change of RSS that makes a row: 4096, 64K, 10M, 1G (default: one page; 0: every event)
  --no-comments      the table alone, without the lines that start with `# `
  -o, --output PATH  write to PATH, not to stdout
  -f, --force        replace an existing file
  -h, --help         this text

examples:
  python -m pymemtrace events job.pmt | less -S
  python -m pymemtrace events job.pmt --log previous --threshold 1M
      each step of a MiB or more with the event before it: the change was made between the two
  python -m pymemtrace events job.pmt --no-comments | awk '{print $NF}'
      the changes of RSS alone; in names there are no spaces but in the file's

A capture has every event, whatever is printed of it: other thresholds can be tried without recording again.

exit status: 0; 2 when a FILE cannot be read (the others are printed) or PATH cannot be written.
Read more: docs/log-format.md.
"""

FLAGS = {"-f": "force", "--force": "force", "--no-comments": "no-comments"}
VALUED = {"--log": "log", "--threshold": "threshold", "-o": "output", "--output": "output"}


def main(argv: list[str]) -> int:
    """Print to stdout or into a file. Returns the exit status. Raises: CommandError."""
    found = files.asked(argv, HELP, flags=FLAGS, valued=VALUED)
    if found is None:
        return 0
    values, paths = found
    log, size = values.get("log"), values.get("threshold")
    if log is not None:
        options.choice("--log", log, LOGS)
    threshold = None if size is None else options.size("--threshold", size)
    what = _What(log, threshold, "no-comments" not in values, len(paths) > 1 or os.path.isdir(paths[0]))
    return files.quietly(lambda: _print(paths, values.get("output"), "force" in values, what))


class _What(NamedTuple):
    """is to be printed."""

    log: str | None
    threshold: int | None
    comments: bool
    named: bool  # each file after a line that names it


class _Nothing(Exception):
    """could be written: there is to be no file."""


def _print(paths: list[str], output: str | None, force: bool, what: _What) -> int:
    run, status = files.find("events", paths)
    names = [process.path for process in run.processes]
    if not names:
        return status
    try:
        with files.sentences(), files.output(output, force) as file:
            failed, done = _write_each(file.fileno(), names, what)
            if not done:
                raise _Nothing
    except _Nothing:  # each error was said
        pass
    return failed | status


def _write_each(fd: int, names: list[str], what: _What) -> tuple[int, int]:
    """The exit status, and how many were written. Raises: OSError when the output cannot be written."""
    status, done = 0, 0
    for name in names:
        try:
            capture = read(name)
            _write(fd, capture, what)
            done += 1
            why = capture.why
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.filename is None:  # of the output, and so of all that follow
                raise
            status = files.say("events", CommandError(sentence(error)))
            continue
        if why is not None and sys.stderr is not None:
            hint = f"; python -m pymemtrace recover {printable(name)}" if capture.left_over else ""
            sys.stderr.write(f"pymemtrace events: {printable(why)}{hint}\n")
    return status, done


def _write(fd: int, capture: Capture, what: _What) -> None:
    if what.named and what.comments:
        with open(fd, "wb", closefd=False) as file:
            file.write(f"# file: {printable(capture.path)}\n".encode())
    capture.write_log(fd, what.log, what.threshold, what.comments)
