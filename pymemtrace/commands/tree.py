"""`tree`: who called whom, and what became of memory there."""

from __future__ import annotations

from ..reporters import tree
from ..reporters.contexts import Contexts
from . import reporting

USES = reporting.Uses(by="function", measure="net", sort="total", limit=40, filter=True)

HELP = f"""\
usage: python -m pymemtrace tree (FILE | DIRECTORY)... [options]

Who called whom: a row for each function in the place from which it was called, below its caller. Of captures (*.pmt)
and text logs that have every event; several files, or a DIRECTORY (its *.log and *.pmt), are added up.

{reporting.help_of(USES)}
how to read it:
  own, total  own is what happened in the function itself, when called from there; total has what it called, too.
  (recursive) a function that was called again below itself, directly or by others, has one row: the outermost. What it
              called in its inner calls is below that row.
  ... N more  what is below 1 % of the largest total of the measure, and has nothing larger below it, in one row; or
              what --limit leaves out. In such a row, own has everything that is below, too. There is none where the
              measure is nothing. The path to the largest is always shown to its end.
  --sort      is the order of what a function called; which rows are shown, the measure decides.
  net, growth, peak, time, and <before the recording>, <tracer>, <suspended>: see `table --help`.
  --filter shows what has a match on its path, and what leads there; all else is added up in <not selected>.

examples:
  python -m pymemtrace tree job.pmt
  python -m pymemtrace tree job.pmt --measure peak --limit 0 | less -S
  python -m pymemtrace tree job.pmt --filter begin_job

exit status: 0; 2 when a FILE cannot be read (the others are shown) or PATH cannot be written.
Read more: docs/reports.md.
"""


def main(argv: list[str]) -> int:
    """Print, or write to a file. Returns the exit status. Raises: CommandError."""
    options = reporting.parse(argv, HELP, USES)
    if options is None:
        return 0
    return reporting.report("tree", options, lambda contexts: _report(contexts, options))


def _report(contexts: Contexts, options: reporting.Options) -> reporting.Report:
    chosen = reporting.chosen(contexts, options)
    return reporting.Report(
        sheet=lambda exact: tree.sheet(chosen, options.by, options.measure, options.sort, options.limit, exact)
    )
