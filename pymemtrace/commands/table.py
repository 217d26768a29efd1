"""`table`: functions, files, modules or lines, and what became of memory in each."""

from __future__ import annotations

from ..errors import CommandError
from ..reporters import table
from ..reporters.contexts import Contexts, matching
from . import reporting

USES = reporting.Uses(by="function", measure="net", sort="own", limit=25, filter=True)

HELP = f"""\
usage: python -m pymemtrace table (FILE | DIRECTORY)... [options]

A row for each function: how RSS changed in it, how large the process was meanwhile, how often it was called, how long
it took. Of captures (*.pmt) and text logs; several files, or a DIRECTORY (its *.log and *.pmt), are added up.

{reporting.help_of(USES)}
  --csv              comma-separated values: every row if --limit does not say otherwise, bytes and seconds

how to read it:
  own, total  own is what happened in the function itself; total has what it called, too. A function that calls itself
              is counted once: total is what happened between its outermost calls and their returns.
  net         RSS when it was left less RSS when it was entered, added up over all calls.
  growth      the same without what was given back: how much it took in all.
  peak        the largest RSS of the process while it ran, or a temporary that was larger still.
  time        of the thread that ran it, waiting included.
  C functions have the name of the file that called them, since they have none.
  <before the recording>, <tracer>, <suspended>   what is nobody's: frames that were open when the recording began, the
              recorder's own memory, nested recordings. They are there where RSS changed by them.
  total       the last row: its net is RSS at the last event less RSS at the first.

examples:
  python -m pymemtrace table job.pmt
  python -m pymemtrace table job.pmt --by module --measure growth --sort total
  python -m pymemtrace table runs/261121/ --filter '*/numpy/*' --csv > numpy.csv

exit status: 0; 2 when a FILE cannot be read (the others are shown) or PATH cannot be written.
Read more: docs/reports.md.
"""


def main(argv: list[str]) -> int:
    """Print, or write to a file. Returns the exit status. Raises: CommandError."""
    options = reporting.parse(argv, HELP, USES, {"--csv": "csv"})
    if options is None:
        return 0
    return reporting.report("table", options, lambda contexts: _report(contexts, options))


def _report(contexts: Contexts, options: reporting.Options) -> reporting.Report:
    as_csv = "csv" in options.more
    limit = 0 if as_csv and "limit" not in options.more else options.limit
    wanted = None if options.filter is None else matching(options.filter)
    choice = table.Choice(options.by, options.measure, options.sort, limit, wanted)
    rows = table.rows_of(contexts, choice)
    if wanted is not None and all(one.kind == "special" for one in rows.groups):
        raise CommandError(f"no {options.by} matches {options.filter!r}")
    if as_csv:
        return reporting.Report(lines=table.csv_lines(rows))
    return reporting.Report(sheet=lambda exact: table.sheet(rows, choice, exact))
