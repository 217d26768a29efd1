"""`summary`: what a recording says in short."""

from __future__ import annotations

import sys

from ..reader import read
from ..reporters import summary
from . import files

HELP = """\
usage: python -m pymemtrace summary FILE...

Say in short what is in a recording, a capture (*.pmt) or a text log: what ran, how many events, RSS at the first
event, at its peak and at the last; the ten functions that grew most; the temporaries that lifted the process's peak;
how exact the figures are; and what the recorder itself cost. Read-only.

  -h, --help  this text

how to read it:
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
  python -m pymemtrace summary before.pmt after.pmt | less -S

exit status: 0; 2 when a file cannot be read. Read more: docs/command-line.md.
"""


def main(argv: list[str]) -> int:
    """Print to stdout. Returns the exit status. Raises: CommandError."""
    return files.with_each("summary", argv, HELP, _show)


def _show(path: str) -> None:
    text = "".join(f"{line}\n" for line in summary.lines(summary.of(read(path))))
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    sys.stdout.flush()
