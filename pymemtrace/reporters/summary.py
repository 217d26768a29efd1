"""What a recording, or a run of several processes, says in short: who grew, the peaks, how exact that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..reader import Capture, Context, Event, NotRecorded, Peak, Process, Run
from . import count, printable, size
from .contexts import of_row

MOST = 10  # rows of a table
DEEPEST = 20  # levels of the tree that are set further to the right: a chain of forks can be a thousand


@dataclass
class Grown:
    """A function, and how it grew."""

    file: str
    line: int
    function: str
    net: int  # bytes
    times: int


@dataclass
class Summary:
    """What is shown of a file."""

    path: str
    header: Mapping[str, str]  # Capture.header
    end: Mapping[str, str]  # Capture.end
    figures: Mapping[str, float]  # Capture.figures()
    threads: Mapping[int, str]
    peaks: Sequence[Peak]
    grown: list[Grown] = field(default_factory=list)  # largest first
    source: str = ""  # where `grown` is from; "": from the recorder's own totals
    times: str = "times"  # what Grown.times counts
    why: str | None = None  # why the file is not complete
    left_over: bool = False
    not_recorded: Sequence[NotRecorded] = ()


def of(capture: Capture) -> Summary:
    """Ask a recording for all that is shown. Raises: OSError, ValueError."""
    summary = Summary(
        capture.path, capture.header, capture.end, capture.figures(), capture.threads, capture.peaks,
        why=capture.why, left_over=capture.left_over, not_recorded=capture.not_recorded,
    )  # fmt: skip
    totals = capture.totals()
    if totals is not None:
        summary.grown = sorted((Grown(*total) for total in totals), key=lambda one: -one.net)
    elif capture.binary or capture.header.get("log") == "all":
        summary.grown = _added_up(of_tree(capture.contexts()))
        summary.source, summary.times = "charged again, event by event", "calls"
    else:
        summary.grown = _added_up(of_rows(capture.events()))
        summary.source = (
            "by rows: a change counts for the function of the row at which it was seen, which need not be the one that "
            "made it"
        )
        summary.times = "rows"
    return summary


def of_tree(contexts: Iterable[Context]) -> Iterator[Grown]:
    """Each function, again for every place from which it was called."""
    return (Grown(one.file, one.line, one.function, one.up + one.down, one.calls) for one in contexts)


def of_rows(events: Iterable[Event]) -> Iterator[Grown]:
    """Of a log that has not every event: the function of each row at which RSS had changed since the row before."""
    for index, event in enumerate(events):
        if event.drss and index:
            frame = of_row(event)
            yield Grown(frame.file, frame.line, frame.function, event.drss, 1)


def _added_up(grown: Iterable[Grown]) -> list[Grown]:
    """Each function once; largest first."""
    found: dict[tuple[str, int, str], Grown] = {}
    for one in grown:
        total = found.setdefault((one.file, one.line, one.function), Grown(one.file, one.line, one.function, 0, 0))
        total.net += one.net
        total.times += one.times
    return sorted(found.values(), key=lambda one: -one.net)


def lines(summary: Summary) -> Iterator[str]:
    """Lines without line ends. Pure."""
    yield from _ran(summary)
    yield from _not_recorded(summary.not_recorded)
    yield from _rss(summary.figures)
    yield from _grown(summary.grown, summary.times, [summary.source] if summary.source else [])
    yield from _peaks(summary.peaks)
    yield from _exact(summary.header, summary.end)
    yield from _cost(summary.end)
    yield from _missing(summary)


def _label(name: str, text: str) -> str:
    return f"  {name:<11} {text}".rstrip()


def _ran(summary: Summary) -> Iterator[str]:
    header, end = summary.header, summary.end
    yield f"{printable(summary.path)}"
    if header:
        yield _label("command", header.get("command", "?"))
        pid, parent = header.get("pid", "?"), header.get("parent", "?")
        yield _label(
            "process", f"{pid} (parent {parent}) on {header.get('host', '?')}, Python {header.get('python', '?')}"
        )
        yield _label("began", header.get("start", "?"))
    events, seconds = int(summary.figures["events"]), summary.figures["seconds"]
    logged = f", {int(end['logged']):,} logged" if end.get("logged", "").isdigit() else ""
    yield _label("events", f"{events:,} {'seen' if end else 'found'}{logged}, {seconds:.3f} s")
    if "dropped" in header:
        kept = events - int(header["dropped"])
        whole = "" if "RSS last" in end else "; what follows is of these"
        yield _label("kept", f"the last {kept:,} of them{whole}")
    if summary.threads:
        names = ", ".join(printable(name) or f"thread {tid}" for tid, name in list(summary.threads.items())[:MOST])
        more = len(summary.threads) - MOST
        yield _label("threads", names + (f" and {more:,} more" if more > 0 else ""))


def _rss(figures: Mapping[str, float]) -> Iterator[str]:
    first, peak, last = (int(figures[key]) for key in ("rss_first", "rss_peak", "rss_last"))
    yield _label("RSS", f"first {size(first)}, peak {size(peak)}, last {size(last)}")
    yield _label("", f"in bytes: {first:,}, {peak:,}, {last:,} ({last - first:+,} from first to last)")


def _table(rows: Sequence[Sequence[str]], right: Collection[int]) -> Iterator[str]:
    """Columns as wide as need be; those in `right` are set to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        yield "    " + "  ".join(cells).rstrip()


def _grown(grown: Iterable[Grown], times: str, remarks: Iterable[str]) -> Iterator[str]:
    """grown: largest first."""
    grew = [one for one in grown if one.net > 0]
    if not grew:
        yield _label("grew most", "no function did")
        return
    yield _label("grew most", f"bytes, {times}, function, where")
    rows = [
        (f"{one.net:+,}", size(one.net), f"{one.times:,}x", printable(one.function), _where(one.file, one.line))
        for one in grew[:MOST]
    ]
    yield from _table(rows, range(3))
    for remark in remarks:
        yield f"    ({remark})"


def _where(file: str, line: int) -> str:
    return f"{printable(file)}#{line}" if file and line else printable(file)


def _peaks(peaks: Sequence[Peak]) -> Iterator[str]:
    if not peaks:
        yield _label("peaks", "no temporary between two events lifted the process's peak")
        return
    yield _label("peaks", "bytes, between which events, function, where: memory taken and given back in between")
    rows = [
        (f"{peak.bytes:,}", size(peak.bytes), f"{peak.event - 1:,} and {peak.event:,}", printable(peak.function),
         _where(peak.file, peak.line))
        for peak in sorted(peaks, key=lambda peak: -peak.bytes)[:MOST]
    ]  # fmt: skip
    yield from _table(rows, range(2))
    if len(peaks) > MOST:
        yield f"    and {len(peaks) - MOST:,} smaller ones before"


def _exact(header: Mapping[str, str], end: Mapping[str, str]) -> Iterator[str]:
    if not header:
        yield _label("exact to", "unknown: the file was written without comments")
        return
    yield _label("exact to", f"{_number(header, 'granularity', 'byte')} of RSS, "
                             f"{_number(header, 'peak granularity', 'byte')} of its peak")  # fmt: skip
    yield _label("gate", header.get("gate", "?"))
    if "audit" in end:
        yield _label("audit", f"skipped readings made anyway: {end['audit']}")
    if "seen after a change of thread" in end:
        foreign = _number(end, "seen after a change of thread", "byte")
        yield _label("uncertain", f"{foreign} of changes were seen after a change of thread: they may be another's")
    for key, value in end.items():
        if key.startswith("threads "):
            yield _label("not seen", f"{key}: {value}")
    if "not noted" in end:
        yield _label("not noted", printable(end["not noted"]))


def _number(values: Mapping[str, str], key: str, noun: str) -> str:
    text = values.get(key, "")
    return count(int(text), noun) if text.isdigit() else "an unknown number of bytes"


def _cost(end: Mapping[str, str]) -> Iterator[str]:
    if "tracer" in end:
        own = f"{size(int(end['tracer']))} of its own memory" if end["tracer"].isdigit() else end["tracer"]
        yield _label("recorder", f"{own}, {_number(end, 'readings', 'reading')}, {_number(end, 'skipped', 'reading')} "
                                 f"skipped, {_number(end, 'waits', 'wait')}")  # fmt: skip


def _missing(summary: Summary) -> Iterator[str]:
    if summary.end.get("end"):
        yield _label("ended", summary.end["end"])
    if summary.why is not None:
        yield _label("INCOMPLETE", printable(summary.why))
    if summary.left_over:
        yield _label("left over", f"{printable(summary.path)}.ring is there: the program was killed, or still runs")
        yield _label("next", f"python -m pymemtrace recover {printable(summary.path)}")


# --- a run -----------------------------------------------------------------------------------------------------------


def lines_of_run(run: Run, found: Mapping[str, Summary]) -> Iterator[str]:
    """Lines without line ends: the tree of processes, what was not recorded, the totals.

    found: by path; of a process whose file turned out to be damaged there is none, and no figures.
    """
    yield count_processes(len(run.processes), len(run.not_recorded))
    yield _label("processes", "process, file, how it ended, events, net change of RSS, peak, command")
    hosts = {process.host for process in run.processes}
    rows = [_row(depth, one, found.get(one.path), len(hosts) > 1) for depth, one in run.walk()]
    yield from _table(rows, range(3, 6))
    yield from _not_recorded(run.not_recorded)
    yield from skipped(run.skipped)
    yield from _totals(run, found)


def count_processes(number: int, not_recorded: int) -> str:
    text = count(number, "process")
    return f"{text}, {not_recorded:,} more not recorded" if not_recorded else text


def skipped(paths: Sequence[str]) -> Iterator[str]:
    """Files that are no recordings."""
    if paths:
        names = ", ".join(printable(path) for path in paths[:MOST])
        more = f" and {len(paths) - MOST:,} more" if len(paths) > MOST else ""
        yield _label("passed over", f"{count(len(paths), 'file')} not of ours: {names}{more}")


def _row(depth: int, process: Process, summary: Summary | None, with_host: bool) -> tuple[str, ...]:
    pid = "?" if process.pid is None else str(process.pid)
    if with_host and process.host is not None:
        pid = f"{pid}@{process.host}"
    figures = ("?", "?", "?")
    if summary is not None:
        events, net, peak = (int(summary.figures[key]) for key in ("events", "rss_last", "rss_peak"))
        net -= int(summary.figures["rss_first"])
        figures = (f"{events:,}", f"{'+' if net > 0 else ''}{size(net)}", size(peak))
    return (
        "  " * min(depth, DEEPEST) + pid,
        printable(process.path),
        printable(process.ended),
        *figures,
        printable(process.command or "?"),
    )


def _not_recorded(children: Sequence[NotRecorded]) -> Iterator[str]:
    if children:
        yield _label("not recorded", "process, its parent, why")
        rows = [
            (str(child.pid or "?"), f"(parent {child.parent or '?'})", printable(child.reason)) for child in children
        ]
        yield from _table(rows, range(1))


def _totals(run: Run, found: Mapping[str, Summary]) -> Iterator[str]:
    events = sum(int(one.figures["events"]) for one in found.values())
    net = sum(int(one.figures["rss_last"] - one.figures["rss_first"]) for one in found.values())
    peaks = sum(int(one.figures["rss_peak"]) for one in found.values())
    seconds = _span(run, found)
    yield _label("all", f"{events:,} events" + (f", {seconds:.3f} s" if seconds is not None else ""))
    if len(found) < len(run.processes):
        yield _label("", f"of {len(found):,} processes: the files of the others could not be read")
    yield _label("RSS", f"{'+' if net > 0 else ''}{size(net)} net change in all; the peaks add up to {size(peaks)}")
    yield _label("", f"in bytes: {net:+,}, {peaks:,}")
    yield _label("", "(peaks need not be at one time, and pages that processes share count in each of them)")
    times = {one.times for one in found.values()}
    mixed = len({one.source for one in found.values()}) > 1
    remarks = dict.fromkeys(one.source for one in found.values() if one.source)
    yield from _grown(
        _added_up(grown for one in found.values() for grown in one.grown),
        times.pop() if len(times) == 1 else "times",
        [f"in some of the files {remark}" if mixed else remark for remark in remarks],
    )


def _span(run: Run, found: Mapping[str, Summary]) -> float | None:
    """Seconds from the first start to the last end that is known."""
    starts = {process.path: process.start.timestamp() for process in run.processes if process.start is not None}
    ends = [starts[path] + one.figures["seconds"] for path, one in found.items() if path in starts]
    return max(ends) - min(starts.values()) if ends else None
