"""`flamegraph`: an HTML page of RSS over time and the calling contexts."""

from __future__ import annotations

import os
import sys

from ..reader import Capture
from ..reporters import flamegraph, printable, size
from ..reporters.contexts import Contexts
from . import files, options, reporting

USES = reporting.Uses(by="function", limit=flamegraph.ROWS, filter=True, rows="calling contexts")

HELP = f"""\
usage: python -m pymemtrace flamegraph (FILE | DIRECTORY)... [options]

Make one HTML page of captures (*.pmt) or text logs: RSS over time, where a click shows the stack at that moment, and
below it the calling contexts, each row below its caller and as wide as its share. Click on a row to enlarge it, on one
above it to go back; type to search functions and files; point at a row for all its figures. The page needs no network.
Several files, or a DIRECTORY (its *.log and *.pmt), are added up.

  --measure NAME     what the page shows first: peak (what was held when RSS was highest), growth (sum of the rises of
                     RSS), net (rises less falls), time, calls; the others are a click away (default: peak)
{reporting.help_of(USES).replace("PATH, not to stdout", "PATH (default: FILE with .html as its suffix)")}
It is drawn by plotly: `pip install plotly`.

examples:
  python -m pymemtrace flamegraph job.pmt
      writes job.html
  python -m pymemtrace flamegraph runs/261121/ -o run.html --filter '*/numpy/*'

exit status: 0; 2 when a FILE cannot be read (the others are shown) or PATH cannot be written.
Read more: docs/reports.md.
"""


def main(argv: list[str]) -> int:
    """Write the page. Returns the exit status. Raises: CommandError."""
    chosen = reporting.parse(argv, HELP, USES, valued={"--measure": "view"})
    if chosen is None:
        return 0
    view = options.choice("--measure", chosen.more.get("view", "peak"), tuple(flamegraph.VIEWS))
    plotly = flamegraph.plotly_script()  # before anything is read: it may be missing
    times: list[flamegraph.OverTime] = []

    def also(capture: Capture, contexts: Contexts, numbers: list[int]) -> None:
        times.append(flamegraph.over_time(capture, contexts, numbers))

    contexts, status = reporting.load("flamegraph", chosen.paths, also)
    if not contexts.recordings:
        return status
    selected = reporting.chosen(contexts, chosen)
    for one in times:
        one.numbers = [selected.moved[number] if selected.moved else number for number in one.numbers]
    text = flamegraph.page(selected, times, plotly, view, chosen.limit)
    path = chosen.output or _beside(chosen.paths[0])
    with files.sentences(), files.output(path, chosen.force) as file:
        file.write(text.encode("utf-8"))
    if sys.stderr is not None:
        for note in contexts.notes:
            sys.stderr.write(f"pymemtrace flamegraph: {note}\n")
        sys.stderr.write(f"pymemtrace flamegraph: {printable(path)}: {size(len(text))}, for a browser\n")
    return status


def _beside(path: str) -> str:
    """job.pmt: job.html; runs/: runs.html"""
    bare = path.rstrip(os.sep) or path
    stem, suffix = os.path.splitext(bare)
    return f"{stem if suffix in ('.pmt', '.log') else bare}.html"
