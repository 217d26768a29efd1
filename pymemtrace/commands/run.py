"""`run`: a program under the recorder, which it must not notice.

From the moment the program starts nothing of this file runs until it has ended.
"""

from __future__ import annotations

import sys

from ..errors import CommandError
from ..tracing import run_main
from . import options, program, recording

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
  --sample SECONDS   besides, read memory and CPU time at this interval, in NAME.rss beside NAME.log (docs/samples.md)
  --no-children      record this process only; else each Python child has a file of its own (docs/children.md)

where it goes:
  -o, --output PATH  the log; PATH/ is a directory, made if need be (the default: YYMMDD_HHMMSS_PID.log here). Fields in
                     its name: {pid} {host} {seq} {name} {time}; {{ and }} are braces. Child processes write PATH_PID
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

FLAGS = {**recording.FLAGS, "-h": "help", "--help": "help"}
VALUED = recording.VALUED


def main(argv: list[str]) -> int:
    """Returns only when the program was not started: the exit status. Raises: CommandError."""
    values, at = options.parse(argv, FLAGS, VALUED)
    if "help" in values:
        sys.stdout.write(HELP)
        return 0
    given = argv[at:]
    if not given:
        raise CommandError("no program given: name a SCRIPT, -m MODULE or -c CODE")
    recorder = recording.recorder(values, given)  # first: a wrong option must not wait for the program
    found = program.prepare(argv, given)
    if found is None:
        return 1
    recording.make_folder(values)
    # One tuple and no other name for what is in it: run_main lets go of `__main__`, which then dies when it should.
    arguments = (*found, recorder, recording.at_end(recorder, "quiet" in values, "verbose" in values))
    del found
    try:
        run_main(*arguments)
    except (OSError, RuntimeError, ValueError) as error:
        raise CommandError(recording.why_not(error)) from error
