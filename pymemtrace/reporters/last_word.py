"""The last word of a run: what was recorded and who grew most."""

from __future__ import annotations

from ..family import not_recorded, recorded, running
from ..shell import quoted
from . import count, printable, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from ..family import Member


def lines(
    stats: Mapping[str, Any],
    growth: Sequence[tuple[str, int, str, int, int]],
    *,
    verbose: bool = False,
    readable: bool = True,
) -> Iterator[str]:
    """Lines without line ends. Pure: prints and opens nothing.

    stats: `Tracer.stats()`. growth: `Tracer.growth(n)`: file, line, function, net bytes, times; largest first.
    readable: the log is a file that can be read again (not a device or a pipe).
    """
    yield f"pymemtrace: {stats['events']:,} events seen, {stats['logged']:,} logged, {stats['seconds']:.3f} s"
    if stats["compute"] != "nothing":
        yield from _rss(stats)
    if stats["compute"] == "all":
        yield from _growth(growth)
    if verbose:
        yield from _details(stats)
    if stats["threads_untraced"]:
        yield f"  not seen    {count(stats['threads_untraced'], 'thread')} of the _thread module"
    if stats["error"] is not None:
        yield (
            f"  INCOMPLETE  the recording stopped before the program ended: {printable(str(stats['error']))}; "
            "the log is whole up to its last line"
        )
    if stats["samples"] is not None:
        yield from _samples(stats["samples"])
    path = stats["path"]
    if path is None:
        yield "  log         none was asked for"
        return
    capture = stats["format"] == "binary"
    yield f"  {'capture' if capture else 'log':11} {printable(path)}"
    if capture:
        yield f"  next        python -m pymemtrace summary {quoted(path)}"
    elif readable:
        yield f"  next        {_next_command(path, stats['log'])}"


def samples(stats: Mapping[str, Any], *, readable: bool = True) -> Iterator[str]:
    """Of a program that was sampled only. stats: `Sampler.stats()`. Pure. readable: the file can be read again."""
    yield f"pymemtrace: {count(stats['ticks'], 'sample')} in {stats['seconds']:.3f} s"
    yield from _rss(stats)
    yield from _samples(stats)
    if readable:
        yield f"  next        python -m pymemtrace plot {quoted(stats['path'])}"


def _samples(stats: Mapping[str, Any]) -> Iterator[str]:
    if stats["error"] is not None:
        yield f"  INCOMPLETE  sampling stopped before the program ended: {printable(str(stats['error']))}"
    missed = f"{count(stats['missed'], 'tick')} missed" if stats["missed"] else "no tick missed"
    yield f"  samples     {printable(stats['path'])} (every {stats['interval']:g} s, {missed})"


def _rss(stats: Mapping[str, Any]) -> Iterator[str]:
    first, peak, last = stats["rss_first"], stats["rss_peak"], stats["rss_last"]
    yield f"  RSS         first {size(first)}, peak {size(peak)}, last {size(last)}"
    yield f"              in bytes: {first:,}, {peak:,}, {last:,} ({last - first:+,} from first to last)"


def _growth(growth: Sequence[tuple[str, int, str, int, int]]) -> Iterator[str]:
    grew = [row for row in growth if row[3] > 0]
    if not grew:
        yield "  grew most   no function did"
        return
    yield "  grew most   bytes, times, function, where"
    bytes_width = max(len(f"{row[3]:+,}") for row in grew)
    times_width = max(len(f"{row[4]:,}") for row in grew)
    for file, line, function, net, times in grew:
        where = f"{printable(file)}#{line}"
        yield f"    {net:>+{bytes_width},}  {size(net):>9}  {times:>{times_width},}x  {printable(function)}  {where}"


def _details(stats: Mapping[str, Any]) -> Iterator[str]:
    yield f"  engine      {stats['engine']}, computed: {stats['compute']}, logged: {stats['log']}"
    yield f"  readings    {stats['readings']:,} made, {stats['skipped']:,} skipped by the gate"
    yield f"  gate        {stats['gate_first']:,} ticks at first, {stats['gate_last']:,} at last"
    yield f"  audit       {stats['audit_tried']:,} skipped readings made anyway, {stats['audit_differed']:,} differed"
    yield (
        f"  granularity {count(stats['granularity'], 'byte')} of RSS, "
        f"{count(stats['peak_granularity'], 'byte')} of its peak; peak before: {size(stats['peak_base'])}"
    )
    yield f"  waits       {stats['waits']:,} for the log to be written"
    yield (
        f"  recorder    {size(stats['tracer_bytes'])}, {count(stats['sites'], 'site')}, "
        f"grew by {size(stats['tracer_growth'])} in the recording"
    )
    yield (
        f"  others      {size(stats['suspended_growth'])} in nested recordings, "
        f"{count(stats.get('passed_through', 0), 'decorated call')} passed through"
    )


def _next_command(path: str, log: str) -> str:
    """A shell command that shows what is worth seeing first: the largest steps, or the comments where no rows are."""
    name = quoted(path)
    if log == "none":
        return f"less -S {name}"
    return f"grep -v '^#' {name} | awk '{{$1=$1; print $NF, $0}}' | sort -rn | head -20    # the largest steps"


MOST_NAMED = 5  # files


def children(members: Sequence[Member], recovered: Mapping[str, int | str], first: str | None) -> Iterator[str]:
    """What became of the other processes of the run. Pure; nothing when there were none.

    members: `family()`. recovered: of `family.recover_left_overs`. first: the first file of the run.
    """
    have = recorded(members)
    if have:
        alive = len(running(members))
        still = f", {alive:,} still running" if alive else ""
        yield f"  children    {len(have):,} recorded{still}: {_names([member[3] or '' for member in have])}"
    brought = {path: events for path, events in recovered.items() if isinstance(events, int)}
    if brought:
        how = f"{len(brought):,} of them cut by a signal or a crash, {count(sum(brought.values()), 'event')} recovered"
        yield f"              {how}: {_names(brought)}"
    for file, why in recovered.items():
        if isinstance(why, str):
            yield f"              {printable(file)} could not be recovered: {printable(why)}"
    for pid, parent, _, path, reason, _ in not_recorded(members):
        where = f"{printable(path)}: " if path and path not in (reason or "") else ""
        yield f"  NOT RECORDED {pid} (child of {parent}): {where}{printable(reason or 'for a reason unknown')}"
    if have and first is not None:
        yield f"  whole run   python -m pymemtrace summary {_all_of([first, *(member[3] or '' for member in have)])}"


def _all_of(paths: Sequence[str]) -> str:
    """For a shell: a few files, or the folder that has them all."""
    names = list(dict.fromkeys(paths))
    folders = {name.rpartition("/")[0] for name in names}
    if len(names) > MOST_NAMED and len(folders) == 1:
        return quoted(folders.pop() or "/")
    return " ".join([quoted(name) for name in names])


def _names(paths: Iterable[str]) -> str:
    names = list(dict.fromkeys([printable(path) for path in paths]))  # a process that called exec has one for both
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
