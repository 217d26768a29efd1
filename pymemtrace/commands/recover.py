"""`recover`: completes what a killed program left behind."""

from __future__ import annotations

import sys

from ..reader import read, recover
from ..reporters import count, printable
from . import files

HELP = """\
usage: python -m pymemtrace recover FILE...

Complete a capture (*.pmt) or a text log whose program was killed (SIGKILL, the kernel's out-of-memory killer, a crash).
The recorder writes a little behind the program. While it runs, what is still to be written stands in FILE.ring beside
FILE, in pages that outlive the process. This command writes those events where they belong and removes FILE.ring.
It never changes what FILE has already, and may be run again.

  -h, --help  this text

examples:
  python -m pymemtrace recover 261121_093042_8692.log
  python -m pymemtrace recover *.pmt && python -m pymemtrace summary *.pmt

Says for each file how many events were recovered, or that there is nothing to recover.

exit status: 0; 2 when a file cannot be completed. Read more: docs/command-line.md.
"""


def main(argv: list[str]) -> int:
    """Print to stdout. Returns the exit status. Raises: CommandError."""
    return files.with_each("recover", argv, HELP, _recover)


def _recover(path: str) -> None:
    found = recover(path)
    if found is None:
        read(path)  # a name that is wrong, or of something else, must not pass for a whole recording
        sys.stdout.write(f"{printable(path)}: nothing to recover\n")
    else:
        sys.stdout.write(f"{printable(path)}: {count(found['events'], 'event')} recovered\n")
