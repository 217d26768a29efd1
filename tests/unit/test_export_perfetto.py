"""`export --to perfetto`: traces of stories, read by a reader that asserts the rules of the format."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import chrome_trace
from support.chrome_trace import Slice, Trace
from support.story import JOB, PAGE, Story

import pymemtrace
from pymemtrace.commands import export, main
from pymemtrace.reader import Event
from pymemtrace.reporters import perfetto

SUFFIXES = pytest.mark.parametrize("suffix", [".pmt", ".log"])


def story() -> Story:
    """main calls grow (3 pages), read (a C function, 2 pages), shrink (-4 pages); a worker runs meanwhile."""
    told = Story().call("main").call("grow", line=5).grow(3).back().c_call("read").grow(2).back()
    told.on(8, "worker").call("work", line=30).grow(1).call("leaf", line=40)
    told.on(7).call("shrink", line=9).peak(90).grow(-4).back()
    return told.on(8).back(2).on(7).back()


def trace_of(tmp_path: Path, *sources: Path | str) -> Trace:
    target = tmp_path / "trace.json"
    args = [str(source) for source in sources]
    assert main(["export", "--to", "perfetto", *args, "-o", str(target), "-f"]) == 0
    return chrome_trace.read(target.read_bytes())


def shape(slices: list[Slice]) -> list[Any]:
    return [(one.name, one.args["growth"] // PAGE, one.args["net"] // PAGE, shape(one.within)) for one in slices]


@SUFFIXES
def test_calls_on_the_track_of_their_thread(tmp_path: Path, suffix: str) -> None:
    # WHEN
    path = story().write(tmp_path / f"job{suffix}")
    trace = trace_of(tmp_path, path)
    # THEN calls nest as they did, with what they grew by, all that they called included
    assert trace.processes == {7: f"{path}"}
    assert trace.threads == {(7, 7): "MainThread", (7, 8): "worker"}
    assert shape(trace.slices[7, 7]) == [
        ("main", 5, 1, [("grow", 3, 3, []), ("read", 2, 2, []), ("shrink", 0, -4, [])])
    ]
    assert shape(trace.slices[7, 8]) == [("work", 1, 1, [("leaf", 0, 0, [])])]
    (top,) = trace.slices[7, 7]
    assert [one.category for one in top.walk()] == ["python", "python", "c", "python"]
    assert top.within[0].args == {"file": JOB, "line": 5, "growth": 3 * PAGE, "net": 3 * PAGE}
    # and times are microseconds of the log's clock
    events = list(pymemtrace.read(path))
    assert top.begin == pytest.approx(events[0].clock * 1e6, abs=0.001)
    assert top.end == pytest.approx(events[-1].clock * 1e6, abs=0.001)
    assert trace.other == {"events": 12, "calls": 6, "left_out": 0, "unmatched": 0}


@SUFFIXES
def test_rss_is_a_counter_and_peaks_are_instants(tmp_path: Path, suffix: str) -> None:
    path = story().write(tmp_path / f"job{suffix}")
    trace = trace_of(tmp_path, path)
    # THEN there is a value for each change, at the event that saw it
    changes = [event for event in pymemtrace.read(path) if event.drss]
    assert trace.counters[7] == [(pytest.approx(event.clock * 1e6, abs=0.001), event.rss) for event in changes]
    (peak,) = trace.instants
    assert peak["args"] == {"function": "shrink", "file": JOB, "line": 9, "bytes": 1096 * PAGE}
    assert peak["name"] == "peak 4.3 MiB"


def test_small_calls_are_left_out_and_the_others_whole(tmp_path: Path) -> None:
    # WHEN
    trace = trace_of(tmp_path, story().write(tmp_path / "job.pmt"), "--min-bytes", str(2 * PAGE))
    # THEN what remains has the same figures, and RSS is true to so many bytes
    assert shape(trace.slices[7, 7]) == [("main", 5, 1, [("grow", 3, 3, []), ("read", 2, 2, [])])]
    assert (7, 8) not in trace.slices
    assert trace.other == {"events": 12, "calls": 3, "left_out": 3, "unmatched": 0}
    values = [value // PAGE for _, value in trace.counters[7]]
    assert values == [1000, 1003, 1005, 1002]


def test_many_small_calls_make_a_large_one(tmp_path: Path) -> None:
    told = Story().call("main").call("loop")
    for _ in range(100):
        told.call("step").grow(1).back()
    trace = trace_of(tmp_path, told.back(2).write(tmp_path / "job.pmt"), "--min-bytes", str(50 * PAGE))
    assert shape(trace.slices[7, 7]) == [("main", 100, 100, [("loop", 100, 100, [])])]
    (top,) = trace.slices[7, 7]
    assert (top.begin, top.within[0].begin) == (1_001_000, 1_002_000)


@pytest.mark.parametrize(
    ("args", "names", "begin", "end"),
    [
        (["--from", "1.0025", "--to", "1.0055"], {"main", "grow", "read"}, 1_002_500, 1_005_500),
        (["--from=1.0035"], {"main", "read", "work", "leaf", "shrink"}, 1_003_500, 1_012_000),
        (["--until", "1.001"], {"main"}, 1_001_000, 1_001_000),
        (["--from", "1.009", "--until", "1.009"], {"main", "shrink", "work", "leaf"}, 1_009_000, 1_009_000),
    ],
)
def test_a_part_of_the_time(tmp_path: Path, args: list[str], names: set[str], begin: float, end: float) -> None:
    # WHEN
    trace = trace_of(tmp_path, story().write(tmp_path / "job.pmt"), *args)
    # THEN calls that lie across its ends are cut there
    assert {one.name for one in trace.all_slices()} == names
    assert min(one.begin for one in trace.all_slices()) == begin
    assert max(one.end for one in trace.all_slices()) == end
    times = [time for time, _ in trace.counters[7]]
    assert min(times) >= begin and max(times) <= end


def test_nothing_in_the_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = trace_of(tmp_path, story().write(tmp_path / "job.pmt"), "--from", "5")
    assert not trace.slices and not trace.counters and trace.processes
    assert "no event is in the part that was asked for" in capsys.readouterr().err


def test_broken_sequences_still_nest(tmp_path: Path) -> None:
    # GIVEN returns without calls, calls without returns, a C function whose end was lost, calls open at the end
    told = Story().stray("RETURN", "older").stray("C_RETURN", "older").call("main").stray("C_EXCEPT", "nobody")
    told.c_call("lost").lose().c_call("next").grow(1).back().call("left").call("deeper")
    told.stray("RETURN", "main").call("again").c_call("open")
    # WHEN
    trace = trace_of(tmp_path, told.write(tmp_path / "job.pmt"))
    # THEN
    assert shape(trace.slices[7, 7]) == [
        ("main", 1, 1, [("lost", 0, 0, []), ("next", 1, 1, []), ("left", 0, 0, [("deeper", 0, 0, [])])]),
        ("again", 0, 0, [("open", 0, 0, [])]),
    ]
    assert trace.other["unmatched"] == 3
    assert [one.name for one in trace.all_slices() if one.args.get("open")] == ["again", "open"]


def test_processes_are_tracks_on_one_clock(tmp_path: Path) -> None:
    # GIVEN a parent, a child that began 0.25 s later, what the child became by exec, and a log without a header
    at = "2026-11-22T12:00:0{}+00:00"
    parent = story().write(tmp_path / "job.pmt", {"pid": "70", "start": at.format("0.000000")})
    child = (
        Story(clock=5.0)
        .call("main")
        .back()
        .write(tmp_path / "child.pmt", {"pid": "71", "start": at.format("0.250000")})
    )
    became = (
        Story(clock=5.5)
        .call("main")
        .back()
        .write(tmp_path / "became.pmt", {"pid": "71", "start": at.format("1.500000")})
    )
    bare = tmp_path / "bare.log"
    bare.write_text("".join(line for line in story().write(bare).open() if not line.startswith("# ")))
    # WHEN
    trace = trace_of(tmp_path, became, child, parent, bare)
    # THEN
    names = {name.rpartition("/")[2]: pid for pid, name in trace.processes.items()}
    assert set(names) == {"job.pmt", "child.pmt", "became.pmt, process 71", "bare.log"}
    assert (names["job.pmt"], names["child.pmt"]) == (70, 71)
    assert len(set(names.values())) == 4
    begun = {pid: times[0][0] for pid, times in trace.counters.items()}
    first = begun[70]
    assert begun[71] - first == pytest.approx(250_000, abs=1)
    assert begun[names["became.pmt, process 71"]] - first == pytest.approx(1_500_000, abs=1)
    assert (names["bare.log"], names["bare.log"]) not in trace.slices  # without threads there are no calls


def test_a_filtered_log_shows_rows_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # WHEN
    trace = trace_of(tmp_path, story().write(tmp_path / "job.log", {"log": "previous"}))
    # THEN
    assert not trace.slices and len(trace.counters[7]) == 5
    rows = [(one["name"], one["args"]["change"] // PAGE) for one in trace.instants if "change" in one["args"]]
    assert rows == [("grow", 3), ("read", 2), ("leaf", 1), ("shrink", -4)]
    assert "has not every event" in capsys.readouterr().err


@pytest.mark.parametrize(("cut", "told", "sentence"), [(True, story(), "is cut"), (False, Story(), "has no events")])
def test_cut_and_empty_files(
    tmp_path: Path, cut: bool, told: Story, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = trace_of(tmp_path, told.write(tmp_path / "job.log", cut=cut))
    assert bool(trace.slices) == cut
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ['"', "\\", "</script>", "\x1b[31m", "\u202e", "\udc80", "\n", "x" * 5000, "\U0001f600"]
)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    told = Story().call(name, file=f"/{name}").peak(9).c_call(name).back(2)
    target = tmp_path / "trace.json"
    assert main(["export", "--to", "perfetto", str(told.write(tmp_path / "job.pmt")), "-o", str(target)]) == 0
    assert target.read_bytes().isascii()
    trace = chrome_trace.read(target.read_bytes())
    shown = {one.name for one in trace.all_slices()} | {one.args["file"][1:] for one in trace.all_slices()}
    assert len(shown) == 1 and all(text.isprintable() for text in shown)


def test_too_many_events_need_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN
    monkeypatch.setattr(export, "MOST_EVENTS", 11)
    path = story().write(tmp_path / "job.pmt")
    # WHEN
    assert main(["export", "--to", "perfetto", str(path), "-o", str(tmp_path / "x.json")]) == 2
    # THEN
    (told,) = capsys.readouterr().err.splitlines()
    assert "12 events are more than a viewer can show" in told and "--min-bytes" in told
    assert not (tmp_path / "x.json").exists()
    for choice in (["--from", "0"], ["--to", "9"], ["--min-bytes", "0"]):
        assert trace_of(tmp_path, path, *choice).other["events"] == 12


def test_no_more_is_kept_than_open_calls() -> None:
    # GIVEN many events, made when they are asked for
    def events() -> Any:
        for number in range(250_000):
            clock = number / 1e4
            yield Event(4 * number, clock, "CALL", JOB, 1, "f", 4096, 0, 7)
            yield Event(4 * number + 1, clock, "C_CALL", JOB, 2, "g", 8192, 4096, 7)
            yield Event(4 * number + 2, clock, "C_RETURN", JOB, 2, "g", 8192, 0, 7)
            yield Event(4 * number + 3, clock, "RETURN", JOB, 3, "f", 4096, -4096, 7)

    track = perfetto.Track(7, "job", {}, events())
    # WHEN the first of it is read
    pieces = perfetto.pieces([track], perfetto.Part(), perfetto.Counts())
    head = "".join(itertools.islice(pieces, 5))
    # THEN no more was asked for than that
    assert 100_000 < len(head) < 1_000_000
    assert next(track.events).event < 10_000  # type: ignore[call-overload]


SYMBOLS = st.lists(
    st.tuples(st.sampled_from(["CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT"]), st.sampled_from("fgh"),
              st.integers(-3, 3), st.sampled_from([7, 8]), st.sampled_from([0.0, 0.001])),
    max_size=60,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(SYMBOLS, st.integers(0, 4), st.floats(0.99, 1.05), st.floats(0.99, 1.05))
def test_any_events_make_a_trace(events: list[Any], least: int, begin: float, end: float) -> None:
    # GIVEN events in any order, sensible or not
    clock, rss, made = 1.0, 100 * PAGE, []
    for number, (what, function, pages, thread, time) in enumerate(events):
        clock += time
        rss += pages * PAGE
        made.append(Event(number, clock, what, JOB, 1, function, rss, pages * PAGE, thread))
    counts = perfetto.Counts()
    # WHEN
    text = "".join(
        perfetto.pieces([perfetto.Track(7, "job", {}, made)], perfetto.Part(begin, end, least * PAGE), counts)
    )
    # THEN it keeps the rules, which the reader asserts, and every call that is there has grown enough
    trace = chrome_trace.read(text)
    assert all(one.args["growth"] >= least * PAGE for one in trace.all_slices())
    assert all(begin * 1e6 - 0.001 <= one.begin <= one.end <= end * 1e6 + 0.001 for one in trace.all_slices())
    assert json.loads(text)["otherData"] == vars(counts)
    assert counts.calls == len(trace.all_slices())
    inside = [event for event in made if begin <= event.clock <= end]
    assert counts.events == len(inside)
    if least == 0 and inside:
        assert [value for _, value in trace.counters[7]][-1] == inside[-1].rss
