"""`events`: a capture as a text log."""

from __future__ import annotations

import os
import stat
import sys

from ..errors import CommandError
from ..reader import Capture, read
from ..reporters import printable
from . import files, options

LOGS = ("all", "threshold", "previous")

HELP = """\
usage: python -m pymemtrace events FILE [options]

Print the events of a capture (*.pmt) as a text log: one line an event, the same that `run` would have written as text.
A text log is copied as it is. Where a capture was cut, the log ends there, without `# end`, and stderr says so.

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

exit status: 0; 2 when FILE cannot be read or PATH cannot be written. Read more: docs/log-format.md.
"""

FLAGS = {"-f": "force", "--force": "force", "--no-comments": "no-comments", "-h": "help", "--help": "help"}
VALUED = {"--log": "log", "--threshold": "threshold", "-o": "output", "--output": "output"}


def main(argv: list[str]) -> int:
    """Print to stdout or into a file. Returns the exit status. Raises: CommandError."""
    values, paths = options.parse_mixed(argv, FLAGS, VALUED)
    if "help" in values:
        sys.stdout.write(HELP)
        return 0
    if len(paths) != 1:
        raise CommandError("name one capture or text log" + (f", not {len(paths)}" if paths else ""))
    log, size = values.get("log"), values.get("threshold")
    if log is not None:
        options.choice("--log", log, LOGS)
    threshold = None if size is None else options.size("--threshold", size)
    if values.get("output") == "":
        raise CommandError("-o needs a path")

    def print_it() -> int:
        with files.sentences():
            capture = read(paths[0])
            _write(capture, values.get("output"), "force" in values, log, threshold, "no-comments" not in values)
        if capture.why is not None:
            hint = f"; python -m pymemtrace recover {printable(capture.path)}" if capture.left_over else ""
            sys.stderr.write(f"pymemtrace events: {printable(capture.why)}{hint}\n")
        return 0

    return files.quietly(print_it)


def _write(
    capture: Capture, path: str | None, force: bool, log: str | None, threshold: int | None, comments: bool
) -> None:
    if path is None:
        sys.stdout.flush()
        capture.write_log(sys.stdout.fileno(), log, threshold, comments)
        return
    fd, written, made = _open(path, force)
    try:
        capture.write_log(fd, log, threshold, comments)
        if written != path:
            os.replace(written, path)
    except BaseException:
        if made:
            os.unlink(written)
        raise
    finally:
        os.close(fd)


def _open(path: str, force: bool) -> tuple[int, str, bool]:
    """A descriptor, what is written to (`path`, or what takes its place at the end), and whether that is a new file. As
    `run` has it: only an empty file, a device or a pipe is used as it is. Raises: CommandError, OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return os.open(path, flags | os.O_EXCL, 0o666), path, True
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC), path, False
    if not force:
        raise CommandError(f"{path!r} exists already: -f replaces it, -o names another")
    fresh = f"{path}.{os.getpid()}.part"
    return os.open(fresh, flags | os.O_EXCL, 0o666), fresh, True
