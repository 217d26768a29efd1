"""`export`: recordings as files of other tools."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

from ..errors import CommandError
from ..reader import read
from ..reporters import captions, collapsed, count, csv, exactness, perfetto, pstats
from ..reporters.contexts import Contexts
from . import files, options, reporting

MOST_EVENTS = 10_000_000  # that perfetto is given without a choice: what a browser can be expected to show

USES = reporting.Uses(measure="growth", filter=True)
OF_PERFETTO = ("from", "until", "min-bytes")
HAVE = {  # format -> its options
    "pstats": ("measure", "filter"),
    "collapsed": ("measure", "filter"),
    "perfetto": OF_PERFETTO,
    "csv": ("filter",),
}
UNITS = {"pstats": pstats.UNITS, "collapsed": collapsed.UNITS}

HELP = f"""\
usage: python -m pymemtrace export --to FORMAT (FILE | DIRECTORY)... [options]

Write what is in recordings for other tools. Several FILEs, or a DIRECTORY (its *.log and *.pmt), are one run: perfetto
has a track for each process, the others have the sum of all.

  --to FORMAT        pstats     functions and their callers: for pstats, snakeviz, gprof2dot
                     collapsed  a line for each stack: for flamegraph.pl, inferno, speedscope. Only what is positive,
                                as the format has no other numbers
                     perfetto   calls and RSS over time (JSON): for ui.perfetto.dev, chrome://tracing
                     csv        a row for each calling context, with all its figures
  --measure NAME     of pstats and collapsed: growth (sum of the rises of RSS, the default), net (rises less falls),
                     time; collapsed only: calls. Sizes are bytes, also where a tool says seconds
{reporting.help_of(reporting.Uses(filter=True))}
of perfetto alone (one of them is needed for more than {MOST_EVENTS:,} events):
  --from SECONDS     nothing before; by the clock of the log, of several files that of the first process
  --until SECONDS    nothing after. --to with a number is the same
  --min-bytes BYTES  only calls that grew by so much, with all that they called, and only such changes of RSS: 64K, 1M

examples:
  python -m pymemtrace export --to pstats job.pmt -o job.pstats && snakeviz job.pstats
  python -m pymemtrace export --to collapsed job.pmt | flamegraph.pl --countname=bytes > job.svg
  python -m pymemtrace export --to perfetto job.pmt --from 10 --until 12.5 -o job.json
  python -m pymemtrace export --to csv runs/ -o runs.csv

exit status: 0; 2 when a FILE cannot be read (the others are exported) or PATH cannot be written.
Read more: docs/reports.md.
"""


def main(argv: list[str]) -> int:
    """Write to stdout or into a file. Returns the exit status. Raises: CommandError."""
    asked = reporting.parse(_with_until(argv), HELP, USES, valued={f"--{name}": name for name in ("to", *OF_PERFETTO)})
    if asked is None:
        return 0
    if "to" not in asked.more:
        raise CommandError(f"--to is missing: one of {', '.join(HAVE)}")
    form = options.choice("--to", asked.more["to"], tuple(HAVE))
    _refuse_foreign(form, asked)
    if form == "perfetto":
        part = _part(asked.more)
        return files.quietly(lambda: _trace(asked, part))
    if form == "pstats" and asked.output is None and sys.stdout.isatty():
        raise CommandError("pstats is a binary format, and stdout is a terminal: -o names a file")
    return files.quietly(lambda: _tables(form, asked))


def _with_until(argv: list[str]) -> list[str]:
    """`--to` with a number instead of a format is `--until`."""
    made: list[str] = []
    for at, arg in enumerate(argv):
        if arg == "--":
            return made + argv[at:]
        option, equals, value = arg.partition("=")
        following = value if equals else "".join(argv[at + 1 : at + 2])
        made.append(f"--until{equals}{value}" if option == "--to" and following[:1].isdigit() else arg)
    return made


def _refuse_foreign(form: str, asked: reporting.Options) -> None:
    """Options that this format has no use for. Raises: CommandError."""
    for name in ("measure", "filter", *OF_PERFETTO):
        if name in asked.more and name not in HAVE[form]:
            raise CommandError(f"--to {form} has no option --{name}")
    if form in UNITS:
        options.choice(f"--measure of --to {form}", asked.measure, tuple(UNITS[form]))


def _tell(sentences: Iterable[str]) -> None:
    if sys.stderr is not None:
        sys.stderr.write("".join([f"pymemtrace export: {sentence}\n" for sentence in sentences]))


# --- of contexts -----------------------------------------------------------------------------------------------------


def _tables(form: str, asked: reporting.Options) -> int:
    contexts, status = reporting.load("export", asked.paths)
    if not contexts.recordings:
        return status
    contexts = reporting.chosen(contexts, asked)
    with files.sentences(), files.output(asked.output, asked.force) as file:
        if form == "pstats":
            file.write(pstats.dump(contexts, asked.measure))
        elif form == "csv":
            file.writelines(line.encode() for line in csv.lines(contexts))
        else:
            file.writelines(f"{line}\n".encode() for line in collapsed.lines(contexts, asked.measure))
    _tell([*captions.some(contexts.notes), *_units(form, contexts, asked.measure)])
    return status


def _units(form: str, contexts: Contexts, measure: str) -> Iterable[str]:
    """What the numbers are, where the format cannot say it."""
    if form == "pstats":
        yield f"the numbers are {pstats.UNITS[measure]}, whatever the tool calls them"
    elif form == "collapsed":
        sums = collapsed.sums(contexts, measure)
        below = (
            f"; {count(sums.contexts, 'context')} below 0, {sums.negative:,} in all, left out" if sums.contexts else ""
        )
        yield f"the numbers are {collapsed.UNITS[measure]} ({measure}), {sums.written:,} in all{below}"


# --- of events -------------------------------------------------------------------------------------------------------


def _part(values: dict[str, str]) -> perfetto.Part:
    begin = options.seconds("--from", values["from"]) if "from" in values else -math.inf
    end = options.seconds("--until", values["until"]) if "until" in values else math.inf
    if begin > end:
        raise CommandError(f"--from {values['from']} is later than --until {values['until']}")
    return perfetto.Part(begin, end, options.size("--min-bytes", values["min-bytes"]) if "min-bytes" in values else 0)


def _trace(asked: reporting.Options, part: perfetto.Part) -> int:
    run, status = files.find("export", asked.paths)
    processes = {process.path: process for process in run.processes}
    tracks: list[perfetto.Track] = []
    notes: list[str] = []
    events = 0

    def add(path: str) -> None:
        nonlocal events
        capture = read(path)
        here = capture.figures_here()
        notes.extend(exactness.notes(capture, here, capture.figures()))
        tracks.append(perfetto.track(processes[path], capture, read(path)))  # not what it has read: that can be much
        events += int(here["events"]) - int(capture.header.get("dropped", 0))

    status |= files.each("export", processes, add)
    if not tracks:
        return status
    if events > MOST_EVENTS and not any(name in asked.more for name in OF_PERFETTO):
        raise CommandError(
            f"{events:,} events are more than a viewer can show: choose with --from and --until (seconds), or with "
            "--min-bytes 1M only calls that grew by so much"
        )
    counts = perfetto.Counts()
    with files.sentences(), files.output(asked.output, asked.force) as file:
        file.writelines(piece.encode() for piece in perfetto.pieces(perfetto.together(tracks), part, counts))
    _tell([*captions.some(notes), *_what_is_there(counts, part)])
    return status


def _what_is_there(counts: perfetto.Counts, part: perfetto.Part) -> Iterable[str]:
    if not counts.events:
        yield "no event is in the part that was asked for"
        return
    smaller = f", {counts.left_out:,} left out that grew by less than {part.least:,} bytes" if counts.left_out else ""
    odd = f", {count(counts.unmatched, 'return')} without a call passed over" if counts.unmatched else ""
    yield f"{count(counts.calls, 'call')}{smaller}, of {count(counts.events, 'event')}{odd}"
