"""`sample`: memory and CPU time against time, without a recording: of a program, or of processes that run already."""

from __future__ import annotations

import os
import sys

from ..errors import CommandError
from ..process import log_process
from ..tracing import run_main
from . import options, program, recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HELP = """\
usage: python -m pymemtrace sample [options] SCRIPT [ARGS...]
       python -m pymemtrace sample [options] -m MODULE [ARGS...]
       python -m pymemtrace sample [options] -c CODE [ARGS...]
       python -m pymemtrace sample [options] [--tree] --pid PID

Run a Python program as `python SCRIPT ARGS...` would, and read its resident set size (RSS) and its parts, page
faults, CPU time and threads at regular intervals, by a thread of the process that never waits for Python. With --tree
or --pid: look at other processes from this one. All that follows SCRIPT, MODULE or CODE belongs to the program.

options:
  -i, --interval SECONDS  between two samples: 0.001 to 86400 (default: 0.25)
  --pss SECONDS      least time between two readings of PSS and USS, which take long in a large process, but never more
                     than a hundredth of the time; 0: none (default: 1; not with --tree and --pid)
  -o, --output PATH  the file (the default: YYMMDD_HHMMSS_PID.rss here). For a program that samples itself, PATH/ is a
                     directory, made if need be, and fields in its name are {pid} {host} {name} {time}; {{ and }} are
                     braces
  -f, --force        replace an existing file
  --pid PID          a process that runs already, until it ends or this is interrupted
  --tree             with its descendants
  -q, --quiet        no last word, unless sampling failed
  -h, --help         this text

examples:
  python -m pymemtrace sample job.py input.dat          what does it use without being traced?
  python -m pymemtrace sample -i 0.01 -o job.rss job.py
  python -m pymemtrace sample --tree -m package         a program and all processes that it starts
  python -m pymemtrace sample --tree --pid 8692

The file has a JSON object a line (docs/samples.md); `python -m pymemtrace plot` shows it. Phases of a program are
named by pymemtrace.process.write_marker(TEXT). The exit status is the program's, with --pid 0; 2 if the program could
not be started, the process not watched or the file not written.
"""

FLAGS = {
    "-f": "force",
    "--force": "force",
    "-q": "quiet",
    "--quiet": "quiet",
    "--tree": "tree",
    "-h": "help",
    "--help": "help",
}
VALUED = {
    "-i": "interval",
    "--interval": "interval",
    "--pss": "pss",
    "-o": "output",
    "--output": "output",
    "--pid": "pid",
}
INTERVAL = "0.25"


def main(argv: list[str]) -> int:
    """Returns only when the program was not started, or was another process: the exit status. Raises: CommandError."""
    values, at = options.parse(argv, FLAGS, VALUED)
    if "help" in values:
        sys.stdout.write(HELP)
        return 0
    given = argv[at:]
    interval = options.interval("-i", values.get("interval", INTERVAL))
    if "pid" in values or "tree" in values:
        return _others(values, interval, argv, given)
    if not given:
        raise CommandError("no program given: name a SCRIPT, -m MODULE or -c CODE, or a process by --pid PID")
    sampler = _sampler(values, interval, given)  # first: a wrong option must not wait for the program
    found = program.prepare(argv, given)
    if found is None:
        return 1
    recording.make_folder(values)
    # One tuple and no other name for what is in it: see `run`.
    arguments = (*found, sampler, _at_end(sampler, "quiet" in values))
    del found
    try:
        run_main(*arguments)
    except (OSError, RuntimeError, ValueError) as error:
        raise CommandError(recording.why_not(error)) from error


def _sampler(values: dict[str, str], interval: float, given: list[str]) -> log_process:
    pss = options.interval("--pss", values.get("pss", "1"), zero=True)
    try:
        return log_process(
            interval,
            recording.output(values, ".rss"),
            pss_interval=pss,
            overwrite="force" in values,
            _name=recording.program_name(given),
        )
    except ValueError as error:
        raise CommandError(f"{error}") from error


def _at_end(sampler: log_process, quiet: bool) -> Callable[[], None]:
    from ..reporters import last_word  # now: a program may leave us without files to import from

    say = recording.speaker()

    def at_end() -> None:
        stats = sampler.stats()
        if not quiet or stats["error"] is not None:
            say(list(last_word.samples(stats, readable=os.path.isfile(stats["path"]))))

    return at_end


def _others(values: dict[str, str], interval: float, argv: list[str], given: list[str]) -> int:
    from . import watched  # psutil, and what it needs

    path = values.get("output")
    if path == "":
        raise CommandError("-o needs a path")
    force, quiet, tree = ("force" in values, "quiet" in values, "tree" in values)
    if "pss" in values:
        raise CommandError("--pss is for a program that samples itself, not for --pid and --tree")
    if "pid" in values:
        if given:
            raise CommandError(f"--pid is for a process that runs already; {given[0]!r} is one argument too many")
        return watched.process(values["pid"], interval=interval, tree=tree, path=path, force=force, quiet=quiet)
    if not given:
        raise CommandError("no program given: name a SCRIPT, -m MODULE or -c CODE, or a process by --pid PID")
    command = program.command_line(argv, given) or [sys.executable, *given]
    return watched.program(command, interval=interval, path=path, force=force, quiet=quiet)
