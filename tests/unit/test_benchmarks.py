"""The arithmetic and the tables of benchmarks/: what a report says must follow from what was measured."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command_line  # noqa: E402
from benchmarks import (  # noqa: E402
    cases,
    compare,
    counts,
    documents,
    environment,
    floor,
    memory,
    modes,
    note,
    pictures,
    plot,
    progress,
    report,
    results,
    rounds,
    sampling,
    scaling,
    startup,
    tables,
)
from benchmarks.cases import shape  # noqa: E402
from benchmarks.summary import nanoseconds_each, ratio, summarise  # noqa: E402

SECONDS = st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=20)


def measurement(case: str = "las_to_html", size: str = "1K", **seconds: list[float]) -> rounds.Measurement:
    """1,000 events; a run for each value, the process takes 0.1 s more. `_` in a name stands for `-`, `__` for `@`."""
    found = rounds.Measurement(case, size, 1, 3, 1000, {"CPU": "one", "kernel": "a|b"})
    for name, values in seconds.items():
        mode = name.replace("__", "@").replace("_", "-")
        stats = {"events": 1000, "logged": 7, "path": "x"} if mode == "threshold" else {}
        found.runs += [
            rounds.Run(i, mode, value, 0.0, value + 0.1, value, stats=stats) for i, value in enumerate(values)
        ]
    return found


@given(SECONDS)
def test_summary_is_that_of_the_statistics_module(values):
    got = summarise(values)
    middle = statistics.median(values)
    assert (got.count, got.least, got.largest) == (len(values), min(values), max(values))
    assert got.median == middle
    assert got.deviation == statistics.median([abs(value - middle) for value in values])
    assert got.spread == max(values) - min(values)
    assert got.least <= got.median <= got.largest


def test_summary_by_hand():
    got = summarise([5.0, 1.0, 2.0, 10.0])
    assert (got.least, got.median, got.largest, got.deviation, got.spread) == (1.0, 3.5, 10.0, 2.0, 9.0)


def test_no_values_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        summarise([])


def test_ratio_and_nanoseconds():
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(3.0, None) is None
    assert ratio(3.0, 0.0) is None
    assert nanoseconds_each(3.0, 2.0, 1_000_000) == pytest.approx(1000.0)
    assert nanoseconds_each(3.0, None, 10) is None
    assert nanoseconds_each(3.0, 2.0, 0) is None


def test_table_as_text_and_markdown():
    table = tables.Table(("mode", "s"), (("a", "1.5"), ("longer", "10.25")))
    assert table.text() == "mode        s\na         1.5\nlonger  10.25"
    assert table.markdown() == "| mode | s |\n| --- | ---: |\n| a | 1.5 |\n| longer | 10.25 |"


def test_markdown_cells_cannot_break_the_table():
    assert tables.Table(("a",), (("x|y",),)).markdown().endswith("| x\\|y |")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 cells under 1 headers"):
        tables.Table(("a",), (("x", "y"),))


def test_cost_table_gives_ratios_by_minima_and_by_medians():
    # GIVEN minima 1, 2, 2.2 and medians 2, 3, 4.5
    found = measurement(untraced=[1.0, 2.0, 3.0], floor=[3.0, 2.0, 4.0], rss=[4.5, 2.2, 9.0])
    # WHEN
    rows = {row[0]: dict(zip(enumerate(report.COST_HEADERS), row)) for row in report.cost_table(found).rows}
    # THEN
    row = list(rows[modes.BY_NAME["rss"].title].values())
    assert row[1:5] == ["2.200", "4.500", "2.300", "6.800"]
    assert row[5:7] == ["2.20", "2.25"]
    assert row[7:9] == ["1.10", "1.50"]
    assert row[9] == f"{1.2e6:.1f}"
    assert row[10] == f"{0.2e6:.1f}"
    assert row[11:] == ["2.300", "2.09"]


def test_cost_table_without_a_floor_or_untraced_has_dashes():
    (row,) = report.cost_table(measurement(rss=[1.0])).rows
    assert row[5:11] == ("-",) * 6


def test_modes_come_in_their_order_whatever_was_run_first():
    found = measurement(previous=[1.0], untraced=[1.0], floor=[1.0])
    assert list(report.mode_summaries(found)) == ["untraced", "floor", "previous"]


def test_targets_are_judged_by_minima():
    found = measurement(
        untraced=[1.0, 9.0],
        floor=[2.0, 9.0],
        rss=[2.2, 9.0],
        threshold=[2.5, 9.0],
        text_null=[2.6, 9.0],
        text_file=[4.5, 9.0],
        write=[4.0, 9.0],
    )
    got = {target.what: (round(target.measured, 6), target.met) for target in report.targets(found)}
    assert list(got.values()) == [(1.1, True), (1.25, False), (2.6, True), (1.125, False)]


def test_targets_are_judged_for_each_engine():
    found = measurement(
        untraced=[1.0],
        floor=[2.0],
        attached__profile=[2.2],
        attached__monitoring=[1.55],
        rss__profile=[2.2],
        rss__monitoring=[2.1],
    )
    assert [(target.what, target.limit, round(target.measured, 6), target.met) for target in report.targets(found)] == [
        ("attached, computing nothing (profile) / floor", 1.05, 1.1, False),
        ("RSS at every event (profile) / floor", 1.1, 1.1, True),
        ("attached, computing nothing (monitoring): adds, of what the floor adds", 0.6, 0.55, True),
        ("RSS at every event (monitoring) / floor", 1.0, 1.05, False),
    ]


def test_targets_are_those_of_the_engine_that_recorded():
    found = measurement(untraced=[1.0], floor=[2.0], rss=[2.1])
    for engine, met in (("profile", True), ("monitoring", False)):
        found.runs[-1].stats["engine"] = engine
        (target,) = report.targets(found)
        assert target.met == met


def test_targets_of_the_file_are_against_the_larger_bound():
    found = measurement(untraced=[1.0], text_file=[2.9], write=[0.5])
    (target,) = report.targets(found)
    assert target.measured == pytest.approx(2.9 / 2.7)
    assert target.met


def test_counters_are_those_of_the_fastest_run():
    found = measurement(threshold=[2.0, 1.0])
    found.runs[1].stats["logged"] = 12345
    (row,) = report.counter_table(found).rows
    assert row[:3] == (modes.BY_NAME["threshold"].title, "1,000", "12,345")


def test_reports_name_what_was_not_run():
    found = measurement(untraced=[1.0], floor=[1.0])
    found.skipped["text-file"] = "the log may need 9 bytes, 3 are free"
    for shown in (report.text(found), report.markdown(found)):
        assert "every event as text, to a file: not run, the log may need 9 bytes, 3 are free." in shown
    assert "| kernel | a\\|b |" in report.markdown(found)


def test_json_holds_every_run():
    data = json.loads(json.dumps(measurement(untraced=[1.0, 2.0]).as_json()))
    assert [run["work"] for run in data["runs"]] == [1.0, 2.0]


def test_json_is_read_back(tmp_path):
    # GIVEN
    found = [measurement(untraced=[1.0, 2.0]), measurement(case="calls", rss__profile=[3.0])]
    # WHEN
    results.write(tmp_path / "r" / "x.json", results.dump(results.as_json("run", found)))
    got = results.load(tmp_path / "r" / "x.json")
    # THEN
    assert got.measurements == tuple(found)
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["x.json"]


def test_json_of_one_measurement_alone_is_read(tmp_path):
    found = measurement(untraced=[1.0])
    (tmp_path / "x.json").write_text(json.dumps(found.as_json()), encoding="utf-8")
    assert results.load(tmp_path / "x.json").measurements == (found,)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measurements": [{"case": "calls"}]}', '{"measurements": 1}'])
def test_what_is_no_result_is_one_sentence(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.json has no measurements of"):
        results.load(path)


def test_a_missing_result_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"x\.json: No such file"):
        results.load(tmp_path / "x.json")


def test_results_of_a_folder_come_oldest_first(tmp_path):
    for name, date in (("run_b.json", "2026-01-02"), ("scaling_a.json", "2026-03-01"), ("run_c.json", "2026-01-01")):
        found = measurement(untraced=[1.0])
        found.environment.update(date=date, Python="3.12.1, GCC")
        (tmp_path / name).write_text(results.dump(results.as_json("run", [found])), encoding="utf-8")
    (tmp_path / "startup_a.json").write_text("{}", encoding="utf-8")
    files = results.load_folder(tmp_path)
    assert [file.name for file in files] == ["run_c.json", "run_b.json", "scaling_a.json"]
    assert {file.python for file in files} == {"3.12"}


def test_the_name_of_a_file_of_results():
    described = {
        "CPU": "Intel(R) Xeon(R) CPU @ 2.50GHz, 2 cores usable",
        "Python": "3.13.0, GCC",
        "date": "2026-11-21T08",
    }
    assert (
        environment.file_stem("run-one core", described) == "run-one-core_intel-xeon-2.50ghz-2-cores_py3.13_2026-11-21"
    )


def test_rounds_that_were_cut_short_are_forgotten():
    found = measurement(untraced=[1.0, 2.0, 3.0], floor=[1.0, 2.0])
    found.keep_whole_rounds(2)
    assert (found.rounds, found.seconds("untraced"), found.seconds("floor")) == (2, [1.0, 2.0], [1.0, 2.0])


def test_choosing_modes():
    assert [mode.name for mode in modes.choose("floor, untraced")] == ["untraced", "floor"]
    assert modes.choose(None) == modes.MODES
    with pytest.raises(ValueError, match="no mode nonsense"):
        modes.choose("floor,nonsense")


def test_engines_multiply_the_modes_of_the_recorder():
    names = [mode.name for mode in modes.choose("rss,untraced,capture@profile", ("profile", "monitoring"))]
    assert names == ["untraced", "rss@profile", "rss@monitoring", "capture@profile"]
    mode = modes.find("rss@monitoring")
    assert (mode.engine, mode.options["engine"], mode.title) == (
        "monitoring",
        "monitoring",
        "RSS at every event (monitoring)",
    )
    assert modes.find("rss").options.get("engine") is None
    assert modes.engine_of("rss@profile") == "profile"
    assert modes.engine_of("floor") is None


@pytest.mark.parametrize("name", ["rss@nonsense", "floor@profile", "nonsense@profile", ""])
def test_no_such_mode(name):
    with pytest.raises(ValueError, match="no mode"):
        modes.choose(name)


def test_an_engine_that_is_not_there_is_a_reason(monkeypatch, tmp_path):
    # GIVEN
    monkeypatch.setattr(environment, "recorder_available", lambda: True)
    monkeypatch.setattr(environment, "why_not", {"auto": None, "monitoring": "it came with Python 3.12"}.get)
    wanted = modes.choose("untraced,rss,attached", ("auto", "monitoring"))
    # WHEN
    found = measurement(untraced=[1.0])
    found.skipped = rounds.unusable(wanted, tmp_path, 0)
    # THEN
    assert report.not_run(found) == [
        "attached, computing nothing (monitoring); RSS at every event (monitoring): not run, it came with Python 3.12."
    ]


def test_a_log_needs_room_on_the_disk(tmp_path):
    reasons = rounds.unusable(modes.choose("text-file,untraced,capture@profile"), tmp_path, 10**15)
    assert "the log may need 260,000,000,000,000,000 bytes" in reasons["text-file"]
    assert "untraced" not in reasons


def test_jobs():
    assert cases.jobs("calls, objects:7") == [("calls", cases.load("calls").FULL), ("objects", "7")]
    assert cases.jobs("calls", quick=True) == [("calls", cases.load("calls").QUICK)]
    sizes = cases.sizes("las_to_html")
    assert cases.jobs("las_to_html", "small,large") == [
        ("las_to_html", sizes["small"]),
        ("las_to_html", sizes["large"]),
    ]
    every = cases.jobs("all")
    assert {case for case, _ in every} == set(cases.EVERY)
    assert [size for case, size in every if case == "las_to_html"] == list(sizes.values())


@pytest.mark.parametrize("size", ["../x", "small", "-1"])
def test_a_size_that_is_none(size):
    with pytest.raises(ValueError, match="case calls: no size"):
        cases.jobs(f"calls:{size}")


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_case_refuses_a_size_that_it_does_not_understand(name, tmp_path):
    with pytest.raises(ValueError):
        cases.load(name).prepare(tmp_path / "x", "3x")


def test_a_case_that_lacks_a_package_says_so(monkeypatch, tmp_path):
    # GIVEN
    monkeypatch.setattr(cases.load("arrays"), "NEEDS", ("pmt_no_such_package",))
    # WHEN
    (found,), whole = rounds.measure([("arrays", "1")], rounds.Plan(modes.MODES, 1, 1, tmp_path))
    # THEN
    assert whole and found.runs == []
    said = "arrays 1: not run, pmt_no_such_package is not installed: run `pip install pmt_no_such_package`.\n"
    assert report.text(found) == said


@pytest.fixture(scope="module")
def floor_library(tmp_path_factory):
    return floor.build(tmp_path_factory.mktemp("floor"))


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_case_runs(name, floor_library, tmp_path):
    """The same number of events for the floor, which sees all threads, and for the recorder."""
    if cases.missing(name):
        pytest.skip(cases.missing(name))
    # GIVEN
    size = cases.load(name).QUICK
    place = rounds.Place(rounds.prepare(name, size, tmp_path), tmp_path / "s", tmp_path / "x.log", floor_library)
    # WHEN
    counted = rounds.run_once(name, "count", place, 0, cpus=0)
    run = rounds.run_once(name, modes.BY_NAME["rss"], place, 0, cpus=1)
    # THEN
    assert run.work > 0 and run.events == run.stats["events"]
    assert run.events == pytest.approx(counted.events, rel=0.01, abs=9)
    known = cases.known_events(name, size)
    assert known is None or known == pytest.approx(run.events, rel=0.01)
    assert str(tmp_path) not in json.dumps(run.stats)


def test_shapes():
    one = shape.Shape.parse("10M-70K-10-100")
    assert (one.events, one.functions, one.depth, one.threads) == (10_000_000, 70_000, 10, 100)
    assert str(one) == "10M-70K-10-100"
    assert shape.events("1000-1-10-2") == 1000
    assert shape.events("10-1-100-2") == 2 * 2 * 101  # comes down, and calls once


def test_points_of_scaling():
    sizes = [size for _, size in scaling.points(100_000_000)]
    assert sizes == [
        "1M-10-10-1",
        "10M-10-10-1",
        "100M-10-10-1",
        "40M-70K-10-1",
        "40M-10-10K-1",
        "40M-10-10-100",
        "40M-70K-10K-100",
    ]
    assert scaling.points(50_000)[0] == ("shape", "50K-10-10-1")


def test_scaling_is_judged_by_minima_and_within_rounds():
    # GIVEN a machine that is three times as slow in the second round
    near = measurement("shape", "1K-1-1-1", untraced=[1.0, 3.0], floor=[2.0, 6.0], rss=[3.0, 9.0])
    far = measurement("shape", "2K-1-1-1", untraced=[1.0, 1.0], floor=[2.0, 2.0], rss=[5.0, 6.0])
    # WHEN
    rows = scaling.point_table([near, far]).rows
    # THEN
    title = modes.title("rss")
    assert [row[5:] for row in rows if row[0] == title] == [
        ("2000000.0", "4000000.0", "2000000.0", "1000000.0", "2000000.0", "1000000.0"),
        ("4000000.0", "4500000.0", "500000.0", "3000000.0", "3500000.0", "500000.0"),
    ]
    assert rows[0] == (modes.title("floor"), "1,000", "1", "1", "1", "1000000.0", "2000000.0", "1000000.0", *"---")
    spread = scaling.spread_table([near, far]).rows
    assert (title, "floor", "1000000.0", "3000000.0", "2000000.0", "3.00") in spread
    assert "Not everything" not in scaling.text([near, far])


# --- comparing -------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_median():
    assert compare.interval(range(5)) is None
    assert compare.interval([3, 1, 2, 6, 5, 4]) == (1, 6)  # 2 / 2**6 is 3 %
    assert compare.interval(range(9)) == (1, 7)  # 2 * (1 + 9) / 2**9 is 4 %
    assert compare.interval(range(100)) == (39, 60)  # as the tables of the sign test have it


def test_a_difference_that_is_noise_and_one_that_is_not():
    # GIVEN series of nine rounds, each of which is slow or fast as a whole
    chance = random.Random(1)
    speeds = [1.0 + chance.random() for _ in range(9)]

    def series(factor: float) -> list[float]:
        return [factor * speed * (1 + chance.uniform(-0.01, 0.01)) for speed in speeds]

    old = measurement(untraced=series(1), floor=series(2), rss=series(3), threshold=series(4))
    new = measurement(untraced=series(1), floor=series(2), rss=series(3.3), threshold=series(3.6))
    # WHEN
    got = {one.mode: one for one in compare.differences([old], [new])}
    # THEN
    verdicts = {mode: one.verdict for mode, one in got.items()}
    assert verdicts == {"floor": "noise", "rss": "SLOWER", "threshold": "faster"}
    assert got["rss"].change == pytest.approx(0.3, abs=0.05)
    assert "2 of 3 differences exceed the noise." in compare.text([old], [new])


def test_what_has_no_difference_is_seldom_said_to_have_one():
    # GIVEN the hardest noise here: each run at one of two speeds
    chance = random.Random(2)

    def series() -> list[float]:
        return [chance.choice((2.0, 3.6)) / chance.choice((1.0, 1.8)) for _ in range(9)]

    # WHEN
    verdicts = [compare.Difference.of("calls", "rss", series(), series()).verdict for _ in range(500)]
    # THEN
    assert verdicts.count("noise") >= 490


def test_few_rounds_give_no_verdict():
    (one,) = compare.differences([measurement(untraced=[1.0], rss=[2.0])], [measurement(untraced=[1.0], rss=[9.0])])
    assert one.verdict == "too few rounds"


def test_another_size_or_machine_is_not_compared_in_silence():
    old, new = measurement(untraced=[1.0], rss=[2.0]), measurement(size="2K", untraced=[1.0], rss=[2.0])
    with pytest.raises(ValueError, match="nothing to compare"):
        compare.text([old], [new])
    new = measurement(untraced=[1.0], rss=[2.0])
    new.environment["CPU"] = "two"
    assert "Another CPU: one before, two now." in compare.text([old], [new])


# --- the note, the documents, the picture ----------------------------------------------------------------------------


def test_tables_of_the_technical_note():
    # GIVEN 1,000 events
    found = measurement(
        untraced=[1.0, 2.0], attached=[1.5], rss=[2.0], all=[2.5], threshold=[4.0], text_file=[6.5], floor=[1.2]
    )
    # THEN
    assert note.cost_table(found).rows == (
        ("No", "No", "No", "1.000", "x1.00", "x1", "0", "0.00M"),
        ("Yes", "No", "No", "1.500", "x1.50", "x1.14", "0", "0.00M"),
        ("Yes", "RSS", "No", "2.000", "x2.00", "x9.35", "0", "0.00M"),
        ("Yes", "All", "No", "2.500", "x2.50", "x9.79", "0", "0.00M"),
        ("Yes", "All", "RSS changed by a page", "4.000", "x4.00", "x9.55", "7", "0.00M"),
        ("Yes", "All", "every event", "6.500", "x6.50", "x22.3", "0", "0.00M"),
    )
    assert [row[1:] for row in note.parts_table(found).rows] == [
        ("1000.000", "0.1 to 0.2"),
        ("500.000", "0.2"),
        ("500.000", "1.5"),
        ("4000.000", "2.5"),
    ]


def test_tables_of_the_technical_note_for_an_engine():
    found = measurement(untraced=[1.0], rss=[2.0], rss__monitoring=[3.0])
    table = note.cost_table(found, "monitoring")
    assert table.headers[0] == "Trace? (monitoring)"
    assert [row[3] for row in table.rows] == ["1.000", "3.000"]


def checked_in(name: str, *found: rounds.Measurement, python: str = "3.11") -> results.File:
    for one in found:
        one.environment.update(Python=f"{python}.7, GCC", date="2026-11-21T08:00:00Z")
    return results.File(name, found)


def las_file(python: str, seconds: float) -> results.File:
    size = cases.load("las_to_html").FULL
    found = measurement(size=size, untraced=[1.0], floor=[2.0], rss=[seconds], text_file=[9.0], capture=[4.0])
    for run in found.runs:
        if run.mode in ("text-file", "capture"):
            run.events, run.bytes = 1000, 1_200_000_000 if run.mode == "text-file" else 1230
    return checked_in("run_a.json", found, python=python)


def test_parts_of_the_page_are_made_and_the_rest_is_left():
    # GIVEN
    page = (
        "# Title\n<!-- begin: table of las_to_html, Python 3.11 -->\nold\n<!-- end -->\nprose\n"
        "<!-- begin: table of scaling -->\nold\n<!-- end -->\n"
    )
    # WHEN
    got = documents.fill(page, [las_file("3.11", 2.5), las_file("3.12", 3.0)])
    # THEN
    assert got == (
        "# Title\n<!-- begin: table of las_to_html, Python 3.11 -->\n\n"
        "| mode | time / untraced | time / floor | medians / floor | ns an event | what it adds |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n"
        "| untraced | x1.00 | x0.50 | x0.50 | 0.0 |  |\n"
        "| floor: an empty C profile function | x2.00 | x1.00 | x1.00 | 1000000.0 | "
        "CPython calls a C function that returns at once |\n"
        "| RSS at every event | x2.50 | x1.25 | x1.25 | 1500000.0 | the clock, the gate, the readings |\n"
        "| every event as text, to a file | x9.00 | x4.50 | x4.50 | 8000000.0 | 1,200 MB |\n"
        "| every event to a capture | x4.00 | x2.00 | x2.00 | 3000000.0 | "
        "blocks instead of rows; 1.23 bytes an event |\n"
        "\none; a|b; Python 3.11.7, GCC; 2026-11-21; 3 rounds.\n\n<!-- end -->\nprose\n"
        "<!-- begin: table of scaling -->\nold\n<!-- end -->\n"
    )
    assert documents.fill(got, [las_file("3.11", 2.5)]) == got


def test_a_newer_file_with_other_engines_does_not_replace_the_main_table():
    size = cases.load("las_to_html").FULL
    engines = measurement(size=size, untraced=[1.0], rss__profile=[8.0], rss__monitoring=[9.0])
    files = [las_file("3.11", 2.5), checked_in("run-engines_b.json", engines)]
    main, of_engines = documents.PARTS["table of las_to_html"](files), documents.PARTS["table of engines"](files)
    assert main is not None and "| RSS at every event | x2.50 |" in main
    assert of_engines is not None and "| RSS at every event | x8.00 | x9.00 |" in of_engines


def test_a_newer_file_with_fewer_modes_does_not_replace_the_main_table():
    size = cases.load("las_to_html").FULL
    fewer = checked_in("run-text_b.json", measurement(size=size, untraced=[1.0], text_file=[7.0]))
    part = documents.PARTS["table of las_to_html"]
    main = part([las_file("3.11", 2.5), fewer])
    assert main is not None and "| RSS at every event | x2.50 |" in main
    # but of as many modes the newer is taken
    main = part([las_file("3.11", 2.5), las_file("3.11", 3.5)])
    assert main is not None and "| RSS at every event | x3.50 |" in main


def test_a_file_of_the_sampler_alone_is_no_main_table():
    found = measurement(size=cases.load("las_to_html").FULL, untraced=[1.0], imported=[1.1], sample_1ms=[1.2])
    files = [checked_in("run-sampler_a.json", found)]
    assert documents.PARTS["table of las_to_html"](files) is None
    assert documents.PARTS["table of the sampler"](files) is not None


def test_a_part_that_there_is_none_of():
    with pytest.raises(ValueError, match="no part 'nonsense'"):
        documents.fill("<!-- begin: nonsense -->\n<!-- end -->", [])


def test_every_part_can_be_made():
    # GIVEN
    sizes = cases.sizes("las_to_html").values()
    of_sizes = [measurement(size=size, untraced=[1.0], rss=[2.0], rss__profile=[2.0]) for size in sizes]
    for one in of_sizes:
        one.runs += measurement(rss__monitoring=[3.0]).runs
    one_core = measurement(size=cases.load("las_to_html").FULL, untraced=[1.0], rss=[7.0])
    one_core.cpus = 1
    sampler = measurement(
        size=cases.load("las_to_html").FULL, untraced=[5.0], imported=[5.5], sample_10ms=[5.25], sample_1ms=[6.0]
    )
    files = [
        las_file("3.9", 2.0),
        checked_in("run_a.json", *of_sizes, measurement("calls", "9", untraced=[1.0], rss=[5.0])),
        checked_in("run_b.json", one_core),
        checked_in("scaling_a.json", measurement("shape", "1K-1-1-1", untraced=[1.0], floor=[2.0], rss=[3.0])),
        checked_in("run-sampler_a.json", sampler),
    ]
    # WHEN
    made = {name: part(files) for name, part in documents.PARTS.items()}
    # THEN
    assert [name for name, text in made.items() if text is None] == []
    assert "| RSS at every event | x7.00 | x2.00 |" in made["table of cores"]
    assert "| calls 9 | 1.00 | 1,000 | x5.00 |" in made["table of all cases"]
    assert "| time / untraced | Python 3.9 | Python 3.11 |" in made["table of versions"]
    small = cases.sizes("las_to_html")["small"]
    assert f"| las_to_html {small} | RSS at every event | x2.00 | x3.00 |" in made["table of engines"]
    assert {name: part([]) for name, part in documents.PARTS.items()} == dict.fromkeys(documents.PARTS)


def test_the_pages_are_what_the_results_give():
    files = results.load_folder()
    pages = [page.read_text(encoding="utf-8") for page in documents.PAGES]
    assert {match["name"] for page in pages for match in documents.PART.finditer(page)} == set(documents.PARTS)
    if not files:
        pytest.skip("no results are checked in under benchmarks/results")
    assert [documents.fill(page, files) for page in pages] == pages, "run `make bench-docs`"


def test_ratios_of_the_picture():
    found = [measurement(untraced=[1.0, 2.0], rss=[3.0, 2.5]), measurement("calls", untraced=[2.0], floor=[5.0])]
    assert plot.ratio_rows(found) == [("las_to_html 1K", {"rss": 2.5}), ("calls 1K", {"floor": 2.5})]


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("x.svg", "y.svg"):
        plot.draw([measurement(untraced=[1.0], rss=[2.0])], tmp_path / name)
    assert (tmp_path / "x.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "x.svg").read_bytes() == (tmp_path / "y.svg").read_bytes()


def test_the_picture_without_matplotlib_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"^The picture needs matplotlib: run `pip install matplotlib`\.$"):
        plot.draw([measurement(untraced=[1.0], rss=[2.0])], tmp_path / "x.svg")


def test_a_picture_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="no picture"):
        plot.draw([], tmp_path / "x.svg")
    with pytest.raises(ValueError, match=r"must end in \.svg or \.png"):
        plot.draw([], tmp_path / "x.jpeg")


# --- the sampler, and its pictures -----------------------------------------------------------------------------------


def sampled_runs() -> rounds.Measurement:
    """Whole processes: imported 1.1 and 2.1 s, the sampler 1.2 and 3.1 s; peaks of 10 MiB, and of 11.5."""
    found = measurement(untraced=[1.0, 2.0], imported=[1.0, 2.0], sample_10ms=[1.1, 3.0], psutil_10ms=[2.0, 2.0])
    for run in found.runs:
        run.peak = 10 * 2**20
        if run.mode == modes.SAMPLE_10:
            run.peak = int((11 + run.round) * 2**20)
            run.stats = {"ticks": 1000 + run.round, "missed": 3, "late": 0.25 + run.round, "latest": 1.5 + run.round}
    return found


def test_ticks_are_counted_from_the_header_on(tmp_path):
    # GIVEN ticks 0, 1, then 4 after two that were missed, 3, 12 and 1 ms late; a marker; the last one when all is over
    lines = [
        {"time": 10.0, "interval": 0.1},
        {"time": 10.003, "rss": 1},
        {"time": 10.05, "marker": "no tick"},
        {"time": 10.112, "rss": 1},
        {"time": 10.401, "rss": 1, "missed": 2},
        {"time": 10.45, "rss": 1},
    ]
    (tmp_path / "x.rss").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    # THEN
    assert sampling.ticks_of(tmp_path / "x.rss") == {"ticks": 4, "missed": 2, "late": 3.0, "latest": 12.0}


def test_a_program_that_ends_at_once_has_no_late_tick(tmp_path):
    (tmp_path / "x.rss").write_text('{"time": 1.0, "interval": 0.1}\n{"time": 1.5, "rss": 1}\n', encoding="utf-8")
    assert sampling.ticks_of(tmp_path / "x.rss") == {"ticks": 1, "missed": 0, "late": 0.0, "latest": 0.0}


def test_table_of_the_sampler():
    rows = {row[0]: row[1:] for row in sampling.table(sampled_runs()).rows}
    assert list(rows) == [modes.title(name) for name in ("untraced", modes.IMPORTED, modes.SAMPLE_10, modes.PSUTIL_10)]
    assert rows["sampler, every 10 ms"] == (
        "1.200", "2.150", "1.091", "1.344", "11.50", "+1.50", "2,001", "6", "0.75", "2.50",
    )  # fmt: skip
    assert rows["psutil in a Python thread, every 10 ms"][6:] == ("-",) * 4


def test_the_sampler_is_compared_with_the_import_or_with_nothing():
    assert sampling.table(measurement(untraced=[1.0], sample_10ms=[1.0])).rows == ()
    assert sampling.targets(measurement(untraced=[1.0], sample_10ms=[1.0])) == []


def test_targets_of_the_sampler():
    got = [(target.what, round(target.measured, 3), target.met) for target in report.targets(sampled_runs())]
    assert got == [
        ("sampler, every 10 ms: whole process / imported", 1.091, False),
        ("sampler, every 10 ms: MiB of RSS beyond the import", 1.5, False),
    ]
    found = measurement(imported=[1.0], sample_1ms=[1.02])
    assert [target.met for target in report.targets(found)] == [True]


def test_a_report_has_the_ticks_but_no_counters_of_the_sampler():
    shown = report.text(sampled_runs())
    assert "late ms" in shown and report.counter_table(sampled_runs()).rows == ()


def test_what_a_mode_needs_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(rounds.importlib.util, "find_spec", lambda name: None if name == "psutil" else 1)
    wanted = [modes.find(name) for name in ("untraced", modes.PSUTIL_10, modes.IMPORTED, modes.SAMPLE_1)]
    assert rounds.unusable(wanted, tmp_path, 1) == {modes.PSUTIL_10: "there is no psutil"}


@pytest.mark.parametrize(
    ("name", "run", "plot"),
    [
        ("untraced", "sample -q -i 0.02 -o untraced.rss", "untraced.rss"),
        ("nothing", "run -q --log none --compute nothing --sample 0.02 -o nothing.log", "nothing.rss"),
        ("computed", "run -q --log none --sample 0.02 -o computed.log", "computed.rss"),
        ("all", "run -q --log all --sample 0.02 -o all.log", "all.rss all.log"),
    ],
)
def test_commands_of_a_picture(name, run, plot):
    (picture,) = (one for one in pictures.PICTURES if one.name == name)
    first, second = pictures.commands(picture)
    assert " ".join(first) == f"{run} las_to_html.py logs pages"
    assert " ".join(second) == f"plot {plot} -o {name}.svg"


def test_every_picture_is_on_the_page():
    page = pictures.FOLDER.with_suffix(".md").read_text(encoding="utf-8")
    names = [picture.name for picture in pictures.PICTURES]
    assert [path.stem for path in map(Path, re.findall(r"\]\((plots/\S+\.svg)\)", page))] == names
    assert sorted(path.name for path in pictures.FOLDER.iterdir()) == sorted(f"{name}.svg" for name in names)


def test_no_picture_without_room_on_the_disk(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pictures, "LOG_BYTES", 10**18)
    folder, output = tmp_path / "w", tmp_path / "plots"
    assert command_line.main(["pictures", "--folder", str(folder), "-o", str(output)]) == 2
    assert "the log of every event may take 1,000,000,000,000,000,000 bytes" in capsys.readouterr().err
    assert not output.exists()


def test_two_pictures_from_end_to_end(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "LOG_BYTES", 0)  # of 8K
    for package in ("matplotlib", "numpy"):
        pytest.importorskip(package, reason=f"the example and its pictures need {package}")
    wanted = [picture for picture in pictures.PICTURES if picture.name in ("untraced", "threshold")]
    done = pictures.draw(tmp_path / "w", tmp_path / "plots", "8K", wanted)
    assert [path.name for path in done] == ["untraced.svg", "threshold.svg"] and not (tmp_path / "w").exists()
    # THEN each is of its own run
    for path in done:
        text = path.read_text(encoding="utf-8")
        assert f"{path.stem}.rss, peak" in text and 'id="rss-' in text
        assert ("RSS as it was recorded at events" in text) is (path.stem == "threshold")


def test_a_picture_of_a_program_that_fails_is_what_that_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pictures, "LOG_BYTES", 0)
    arguments = ["--folder", str(tmp_path / "w"), "-o", str(tmp_path / "plots"), "--size", "nonsense"]
    assert command_line.main(["pictures", *arguments]) == 1
    assert "generate.py logs --size nonsense --seed 1 ended with " in capsys.readouterr().err
    assert not (tmp_path / "plots").exists()


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_bar():
    assert progress.bar(1, 4, 0.0) == "[........................] 1/4"
    assert progress.bar(3, 4, 60.0) == "[############............] 3/4  1:00 left"


def test_unknown_case():
    with pytest.raises(ValueError, match="no case 'nonsense'"):
        cases.load("nonsense")


def test_every_file_of_a_case_is_listed():
    files = {path.stem for path in (ROOT / "benchmarks" / "cases").glob("*.py")} - {"__init__"}
    assert files == set(cases.NAMES)


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("12K", 12_000), ("1m", 1_000_000), ("1G", 10**9)])
def test_counts_on_the_command_line(text, number):
    assert command_line.count(text) == number
    assert counts.parse(counts.short(number)) == number


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "0"],
        ["--rounds", "x"],
        ["nonsense"],
        ["--case", "nonsense"],
        ["--case", "calls,nonsense:7"],
        ["--cpus", "0"],
        ["scaling", "--events", "-1"],
        ["compare", "one.json"],
    ],
)
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_unknown_mode_is_one_sentence(capsys):
    assert command_line.main(["--modes", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("no mode nonsense; there are untraced, floor,")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engines", "nonsense"], "no engine 'nonsense'; there are auto, profile, monitoring"),
        (["--cpus", "1M"], "--cpus 1000000: only "),
        (["--case", "calls", "--size", "abc"], "case calls: no size 'abc'"),
        (["--case", "calls", "--size", "3x"], "'3x' is not a number of at least 1"),
        (["--case", "las_to_html:1K"], "case las_to_html: the least size is 4K"),
        (["--compare", "/nonsense.json"], "/nonsense.json: No such file or directory"),
        (["scaling", "--events", "2G"], "--events 2G: at most 1G"),
        (["compare", "/nonsense.json", "/nonsense.json"], "/nonsense.json: No such file or directory"),
        (["plot", "/nonsense.json"], "/nonsense.json: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, said, capsys, tmp_path):
    if "las_to_html:1K" in arguments and importlib.util.find_spec("numpy") is None:
        pytest.skip("without numpy its size is not looked at")
    folder = ["--folder", str(tmp_path)] if arguments[0] not in ("compare", "plot") else []
    assert command_line.main([*arguments, *folder]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said) and error.count("\n") == 1


def test_first_rss_is_that_of_event_0(tmp_path):
    log = tmp_path / "x.log"
    row = f"{0:<12d} {0.63:<12.6f} {'CALL':<8} {'/a b/c # d.py':<120}#{3:4d} {'f':<32} {41041920:12d} {41041920:12d}"
    log.write_text(
        f"# mode: all\nEvent        Clock\n# thread 1 MainThread\n{row}\n# tracer: 77\n# end\n", encoding="utf-8"
    )
    assert startup.first_rss(log) == (41041920, 77)


def test_first_rss_of_a_log_without_events(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("# tracer: 77\n# end\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"x\.log has no event 0"):
        startup.first_rss(log)


def test_startup_targets():
    found = startup.Startup({}, bare=[0.010, 0.012], recorded=[0.030, 0.100])
    found.bare_rss, found.first_rss, found.own = [9e6], [9e6 + 3 * 2**20], [2.0**20]
    got = [(round(target.measured, 6), target.met) for target in found.targets()]
    assert got == [(20.0, True), (54.0, False), (2.0, True)]


def test_memory_targets():
    first = memory.Mark(10, 20, 5, 20 * 2**20, 0)
    found = memory.Memory({}, {"steady": [first, memory.Mark(100, 200, 5, 20 * 2**20, 0)]})
    assert [target.met for target in found.targets()] == [True, True]
    found.marks["growing"] = [first, memory.Mark(100, 200, 5, 25 * 2**20, 0)]
    assert [target.met for target in found.targets()] == [True, True, False, False]


def test_steps_end_with_the_total():
    assert memory.steps(1000) == [10, 100, 1000]
    assert memory.steps(1) == [1]


def test_a_small_measurement_from_end_to_end(tmp_path):
    """Modes that need no extension, on the case that needs no package."""
    # WHEN
    command = [sys.executable, "-m", "benchmarks", "--case", "calls", "--size", "12", "--rounds", "3"]
    command += ["--modes", "untraced,floor,cprofile", "--folder", str(tmp_path / "w")]
    command += ["--json", str(tmp_path / "r" / "x.json"), "--markdown", str(tmp_path / "x.md")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False
    )
    # THEN
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "r" / "x.json").read_text(encoding="utf-8")
    (data,) = json.loads(written)["measurements"]
    assert len(data["runs"]) == 9
    for number in range(3):
        assert {run["mode"] for run in data["runs"] if run["round"] == number} == {"untraced", "floor", "cprofile"}
    assert data["events"] >= 2 * 465  # fibonacci(12) makes 465 calls; the clock and the lambda make a few more
    assert data["events"] < 2 * 465 + 20
    assert str(ROOT) not in written and str(tmp_path) not in written  # a report may be published as it is
    assert "floor: an empty C profile function" in done.stdout
    assert (tmp_path / "x.md").read_text(encoding="utf-8").startswith("## calls 12\n")
    assert "\r" not in done.stderr  # no progress line without a terminal
