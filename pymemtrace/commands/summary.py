"""`summary`: what a recording, or a run of several processes, says in short."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..reader import read
from ..reporters import summary
from . import files

HELP = """\
usage: python -m pymemtrace summary (FILE | DIRECTORY)...

Say in short what is in a recording, a capture (*.pmt) or a text log: what ran, how many events, RSS at the first
event, at its peak and at the last; the ten functions that grew most; the temporaries that lifted the process's peak;
how exact the figures are; and what the recorder itself cost. Read-only.
Several files, or a DIRECTORY (its *.log and *.pmt), are taken as one run: first the tree of its processes, what was not
recorded and why, and the totals of all; then each file.

  -h, --help  this text

how to read it:
  processes   of a run: a child is below its parent, further to the right. How a recording ended, its events, the net
              change of RSS from its first event to its last, the largest RSS or temporary.
  grew most   net change of RSS that was charged to a function itself, not to what it called: bytes, how often, where
              the function begins (for a C function: the file that called it). A capture that has its end says it
              exactly as the recorder counted. Of a text log that has not every event it is worked out from the rows,
              which is said: a change counts for the function at which it was seen.
  peaks       memory that was taken and given back between two events; no event shows it.
  audit       the gate saves readings of RSS where it cannot have changed; some are made all the same, to see whether
              that holds. "N differed" should be 0 or next to it.
  INCOMPLETE  the program was killed, or the disk was full. What is there is right; more may be in FILE.ring:
              `python -m pymemtrace recover FILE` completes the file.

examples:
  python -m pymemtrace summary 261121_093042_8692.log
  python -m pymemtrace summary runs/261121/ | less -S

exit status: 0; 2 when a file cannot be read: the others are shown. Read more: docs/command-line.md.
"""


def main(argv: list[str]) -> int:
    """Print to stdout. Returns the exit status. Raises: CommandError."""
    found = files.asked(argv, HELP)
    return 0 if found is None else files.quietly(lambda: _show(found[1]))


def _show(paths: list[str]) -> int:
    run, status = files.find("summary", paths)
    if len(run.processes) == 1:
        status |= files.each("summary", [run.processes[0].path], lambda path: _print(summary.lines(_of(path))))
        _print(summary.skipped(run.skipped))
        return status
    found: dict[str, summary.Summary] = {}

    def keep(path: str) -> None:
        found[path] = _of(path)

    status |= files.each("summary", [process.path for process in run.processes], keep)
    if found:
        _print(summary.lines_of_run(run, found))
    for one in found.values():
        _print(["", *summary.lines(one)])
    return status


def _of(path: str) -> summary.Summary:
    return summary.of(read(path))  # a recording keeps what it has read: none is kept


def _print(lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    sys.stdout.flush()
