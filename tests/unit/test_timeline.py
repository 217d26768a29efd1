"""RSS over time and what was held at the peak: of captures, of their text logs, and held against all events."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import capture_builder as build
from support.capture_builder import Builder, Step

import pymemtrace
from pymemtrace import cPyMemTrace, reader
from pymemtrace.reader.timeline import AtPeak, Timeline

PAGE = 4096
F, F_END, G, G_END, LEN, LEN_END = range(16, 22)  # sites
DEFINITIONS = b"".join(
    [
        build.define_code(1, 1, "/job/a.py", "f"),
        build.define_code(2, 10, "/job/a.py", "g"),
        build.define_site(F, 1, build.CALL, 1),
        build.define_site(F_END, 1, build.RETURN, 5),
        build.define_site(G, 2, build.CALL, 10),
        build.define_site(G_END, 2, build.RETURN, 12),
        build.define_site(LEN, 2, build.C_CALL, 11, "len"),
        build.define_site(LEN_END, 2, build.C_RETURN, 11, "len"),
        build.define_thread(0, 7, "MainThread"),
        build.define_thread(1, 8, ""),
    ]
)


def program() -> list[Step]:
    """f takes 100 pages and keeps them; g takes 300, gives 250 back; len has a temporary; f takes 50 more."""
    return [
        Step(F, 1, 1000),
        Step(G, 1000, 100),  # f's
        Step(LEN, 1000, 300),  # g's: 1400 in all
        Step(LEN_END, 1000, 0),
        Step(G_END, 1000, -250),
        Step(G, 1000, 50, thread=1),  # outside all of that thread
        Step(G_END, 1000, 0, thread=1),
        Step(F_END, 1000, 50),
    ]


def write(folder: Path, steps: list[Step]) -> Path:
    path = folder / "x.pmt"
    path.write_bytes(Builder(definitions=DEFINITIONS, size=3).build(steps))
    return path


def as_log(path: Path) -> Path:
    log = path.with_suffix(".log")
    with open(log, "wb") as file:
        pymemtrace.read(path).write_log(file.fileno())
    return log


def held(capture: reader.Capture) -> dict[tuple[str, ...], int]:
    """By path, in pages; what is 0 left out."""
    found: dict[tuple[str, ...], int] = {}
    names: list[str] = []
    for depth, node in capture.tree().walk():
        del names[depth:]
        names.append(node.function)
        if node.at_peak:
            found[tuple(names[1:])] = node.at_peak // PAGE
    return found


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True], ids=["capture", "log"])
def test_what_was_held_when_rss_was_highest(tmp_path: Path, as_text: bool) -> None:
    # GIVEN
    path = write(tmp_path, program())
    capture = pymemtrace.read(as_log(path) if as_text else path)
    # WHEN
    tree, moments = capture.tree(), capture.timeline()
    # THEN
    assert held(capture) == {("f",): 100, ("f", "g"): 300}
    assert tree.at_peak_inclusive == 400 * PAGE
    rows = list(capture.contexts())
    assert [row.at_peak for row in rows if row.function == "f"] == [100 * PAGE]
    changes = [one for one, before in zip(moments, [None, *moments]) if before is None or one.rss != before.rss]
    assert [(one.rss // PAGE, rows[one.context].function, one.thread) for one in changes] == [
        (1000, reader.model.BEFORE, 7), (1100, "f", 7), (1400, "g", 7), (1150, "g", 7), (1200, reader.model.BEFORE, 8),
        (1250, "f", 7),
    ]  # fmt: skip
    assert moments[0].seconds == 0 and moments[-1].seconds == pytest.approx(7000 * 100e-9, abs=1e-6)
    assert not any(moment.temporary or moment.row for moment in moments)


@pytest.mark.parametrize("as_text", [False, True], ids=["capture", "log"])
def test_a_temporary_counts_for_what_ran(tmp_path: Path, as_text: bool) -> None:
    # GIVEN 2000 pages while len ran, given back before it returned
    steps = program()
    steps[3].before = build.peak_item(0, 2000 * PAGE, 3)
    path = write(tmp_path, steps)
    # WHEN
    capture = pymemtrace.read(as_log(path) if as_text else path)
    # THEN
    assert held(capture) == {("f",): 100, ("f", "g"): 300, ("f", "g", "len"): 600}
    (temporary,) = [moment for moment in capture.timeline() if moment.temporary]
    assert temporary.rss == 2000 * PAGE
    assert list(capture.contexts())[temporary.context].function == "len"
    assert max(moment.rss for moment in capture.timeline() if not moment.temporary) == 1400 * PAGE


def test_the_recorders_own_memory_and_nested_recordings(tmp_path: Path) -> None:
    # GIVEN 30 pages that the recorder took when g gave back as many; 500 during a nested recording
    steps = program()
    steps[2].before = build.tracer_item(30 * PAGE) + build.nested_item(1, 0) + build.nested_item(0, 500)
    path = write(tmp_path, steps)
    # WHEN
    capture = pymemtrace.read(path)
    # THEN all of it adds up to the highest RSS
    assert held(capture) == {
        ("f",): 100, ("f", "g"): 270, (reader.model.TRACER,): 30, (reader.model.SUSPENDED,): 500,
    }  # fmt: skip
    assert capture.tree().at_peak_inclusive == capture.figures()["rss_peak"] - capture.figures()["rss_first"]


def test_a_log_of_some_rows(tmp_path: Path) -> None:
    # GIVEN a log that has not every event
    path = write(tmp_path, program())
    log = path.with_suffix(".log")
    with open(log, "wb") as file:
        pymemtrace.read(path).write_log(file.fileno(), "threshold", 200 * PAGE)
    log.write_bytes(log.read_bytes().replace(b"# log: all", b"# log: threshold"))
    # WHEN
    moments = pymemtrace.read(log).timeline()
    # THEN it has the rows, and no contexts
    assert [moment.rss // PAGE for moment in moments] == [1000, 1400, 1150]
    assert [moment.context for moment in moments] == [-1, -1, -1]
    assert [moment.row.function for moment in moments if moment.row] == ["f", "len", "g"]


def test_no_events(tmp_path: Path) -> None:
    path = write(tmp_path, [])
    assert pymemtrace.read(path).timeline() == []
    assert pymemtrace.read(as_log(path)).timeline() == []
    assert pymemtrace.read(path).tree().at_peak_inclusive == 0


@pytest.mark.parametrize("moments", [-1, 1, 15, (1 << 20) + 1, 1 << 40])
def test_numbers_of_moments_that_cannot_be(tmp_path: Path, moments: int) -> None:
    path = write(tmp_path, program())
    with pytest.raises(ValueError, match=f"from 16 to 1048576; it is {moments}"):
        cPyMemTrace.CaptureReader(str(path)).tree(moments)
    with pytest.raises(ValueError, match=f"from 16 to 1048576 moments; {moments} were asked for"):
        pymemtrace.read(as_log(path)).timeline(moments)


def test_without_a_timeline(tmp_path: Path) -> None:
    tree = cPyMemTrace.CaptureReader(str(write(tmp_path, program()))).tree()
    assert not {"timeline", "at_peak", "at_peak_inclusive"} & set(tree)


# --- against all events ----------------------------------------------------------------------------------------------


def value_at(moments: list[reader.Moment], seconds: float) -> int:
    return [moment.rss for moment in moments if moment.seconds <= seconds and not moment.temporary][-1]


@pytest.mark.parametrize("asked", [16, 100, 2000])
def test_a_long_recording_in_few_moments(tmp_path: Path, asked: int) -> None:
    # GIVEN 30,000 events of a program whose RSS goes up and down, and rests
    steps, level = [Step(F, 1, 1000)], 0
    for turn in range(15_000):
        change = 0 if turn % 5000 > 3000 else round(300 * math.sin(turn / 700)) - level
        level += change
        steps += [Step(G, 60, change), Step(G_END, 900 if turn % 100 == 0 else 7)]
    steps.append(Step(F_END, 5, 7))
    path = write(tmp_path, steps)
    # WHEN
    capture = pymemtrace.read(path)
    moments, log = capture.timeline(asked), pymemtrace.read(as_log(path)).timeline(asked)
    # THEN
    events = list(capture.events())
    begin = events[0].clock
    assert asked // 5 <= len(moments) <= asked and len(log) <= asked
    for found in (moments, log):
        assert [one.seconds for one in found] == sorted(one.seconds for one in found)
        assert {min(one.rss for one in found), max(one.rss for one in found)} == {
            min(event.rss for event in events), max(event.rss for event in events),
        }  # fmt: skip
        assert (found[0].rss, found[-1].rss) == (events[0].rss, events[-1].rss)
        # while RSS rests, so does the line
        resting = [event for event in events if 2 * 4000 < event.event < 2 * 4900]
        assert asked == 16 or {value_at(found, event.clock - begin) for event in resting} == {resting[0].rss}
    seen = {(event.rss, round(event.clock - begin, 5)) for event in events}
    assert all((one.rss, round(one.seconds, 5)) in seen for one in log)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50, allow_nan=False), st.integers(1, 9), st.booleans()), min_size=1, max_size=300),
    st.integers(16, 200),
)
def test_the_python_timeline_has_the_extremes_of_each_piece(steps: list[tuple[float, int, bool]], asked: int) -> None:
    # GIVEN
    timeline, clock = Timeline(asked), 0.0
    given: list[tuple[float, int, bool]] = []
    for index, (time, rss, temporary) in enumerate(steps):
        clock += time if index else 0.0
        given.append((clock, rss, temporary and index > 0))
        timeline.see(clock, rss, index, 1, temporary and index > 0)
    # WHEN
    found = timeline.seen()
    # THEN
    assert len(found) <= asked
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    assert {(one.seconds, one.rss, one.temporary) for one in found} <= set(given)
    plain = [rss for _, rss, temporary in given if not temporary]
    kept = [one.rss for one in found if not one.temporary]
    assert (min(plain), max(plain), plain[0], plain[-1]) == (min(kept), max(kept), kept[0], kept[-1])
    temporaries = [rss for _, rss, temporary in given if temporary]
    assert max(temporaries, default=0) == max((one.rss for one in found if one.temporary), default=0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-50, 60), st.booleans()), max_size=200))
def test_at_peak_is_the_charges_up_to_it(steps: list[tuple[int, int, bool]]) -> None:
    # GIVEN
    at_peak, net, rss = AtPeak(), [0] * 6, 1000
    expected, best = [0] * 6, 1000
    at_peak.see(rss)
    for place, change, temporary in steps:
        if temporary:
            above = abs(change)
            at_peak.see(rss + above, above, place)
            if rss + above > best:
                expected, best = net[:], rss + above
                expected[place] += above
            continue
        net[place] += change
        rss += change
        at_peak.charge(place, change)
        at_peak.see(rss)
        if rss > best:
            expected, best = net[:], rss
    # THEN
    assert [at_peak.of(place, net[place]) for place in range(6)] == expected
    assert sum(expected) == best - 1000


def test_names_of_threads_without_another_pass(tmp_path: Path) -> None:
    path = write(tmp_path, program())
    assert pymemtrace.read(path).thread_names == {7: "MainThread"}
    assert pymemtrace.read(path).threads == pymemtrace.read(as_log(path)).thread_names == {7: "MainThread", 8: ""}
