"""The command line. Only the chosen command is imported: what it loads is in the traced program's first RSS."""

from __future__ import annotations

import sys

from ..errors import CommandError

COMMANDS = {  # a command is a module here with main(argv) -> exit status
    "run": "run a program and record its memory",
    "sample": "run a program and sample its memory and CPU time, or those of other processes",
    "summary": "what a recording, or a run of many processes, says in short: who grew, the peaks, how exact that is",
    "table": "a row for each function, file, module or line: how memory changed in it",
    "tree": "who called whom, and how memory changed there",
    "flamegraph": "one HTML page: RSS over time, with the stack at any moment, and the tree of calls",
    "plot": "RSS and CPU over time, as SVG or PNG: samples, captures and logs over each other",
    "events": "print captures as text logs",
    "export": "write recordings for other tools: pstats, collapsed stacks, Chrome trace (Perfetto), CSV",
    "recover": "complete what a killed program left behind",
    "info": "what this machine offers: clock, gate, granularity of the RSS counter, engines",
}

HELP = """\
usage: python -m pymemtrace COMMAND ...

A memory flight recorder for Python programs: it sees every Python and C call and return, reads the process's
resident set size (RSS) there, and writes a log that shows which call made the process grow.

commands:
{commands}
options:
  --version   the version of pymemtrace and of this Python
  -h, --help  this text; `COMMAND --help` says more about a command

example:
  python -m pymemtrace run job.py input.dat
      runs `python job.py input.dat`, writes YYMMDD_HHMMSS_PID.log, says at the end which functions grew most

Read more: docs/command-line.md, docs/api.md (the same from inside a program), docs/log-format.md.
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 2 for our own errors, each one sentence on stderr.

    argv: without the program's name; None: sys.argv. `run` does not return when it has started the program.
    """
    args = sys.argv[1:] if argv is None else argv
    name = args[0] if args else ""
    if name in ("-h", "--help"):
        sys.stdout.write(HELP.format(commands="".join(f"  {key:<10}  {text}\n" for key, text in COMMANDS.items())))
        return 0
    if name == "--version":
        from .. import __version__

        sys.stdout.write(f"pymemtrace {__version__} (Python {sys.version.split()[0]})\n")
        return 0
    try:
        if name not in COMMANDS:
            known = " or ".join(COMMANDS)
            raise CommandError(f"unknown command {name!r}: use {known}" if name else f"no command given: use {known}")
        import importlib  # not at the top: children that join load this package, too

        status: int = importlib.import_module(f".{name}", __name__).main(args[1:])
        return status
    except CommandError as error:
        who = f"pymemtrace {name}" if name in COMMANDS else "pymemtrace"
        if sys.stderr is not None:
            sys.stderr.write(f"{who}: {error}\n")
        return error.exit_status
