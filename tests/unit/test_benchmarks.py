"""The arithmetic and the tables of benchmarks/: what a report says must follow from what was measured."""

from __future__ import annotations

import json
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
from benchmarks import cases, memory, modes, report, rounds, startup  # noqa: E402
from benchmarks.summary import nanoseconds_each, ratio, summarise  # noqa: E402

SECONDS = st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=20)


def measurement(**seconds: list[float]) -> rounds.Measurement:
    """1,000 events; a run for each value, the process takes 0.1 s more. `_` in a name stands for `-`."""
    found = rounds.Measurement("las_to_html", "1K", 1, 3, 1000, {"CPU": "one", "kernel": "a|b"})
    for name, values in seconds.items():
        mode = name.replace("_", "-")
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
    table = report.Table(("mode", "s"), (("a", "1.5"), ("longer", "10.25")))
    assert table.text() == "mode        s\na         1.5\nlonger  10.25"
    assert table.markdown() == "| mode | s |\n| --- | ---: |\n| a | 1.5 |\n| longer | 10.25 |"


def test_markdown_cells_cannot_break_the_table():
    assert report.Table(("a",), (("x|y",),)).markdown().endswith("| x\\|y |")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 cells under 1 headers"):
        report.Table(("a",), (("x", "y"),))


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


def test_rounds_that_were_cut_short_are_forgotten():
    found = measurement(untraced=[1.0, 2.0, 3.0], floor=[1.0, 2.0])
    found.keep_whole_rounds(2)
    assert (found.rounds, found.seconds("untraced"), found.seconds("floor")) == (2, [1.0, 2.0], [1.0, 2.0])


def test_choosing_modes():
    assert [mode.name for mode in modes.choose("floor, untraced")] == ["untraced", "floor"]
    assert modes.choose(None) == modes.MODES
    with pytest.raises(ValueError, match="no mode nonsense"):
        modes.choose("floor,nonsense")


def test_unknown_case():
    with pytest.raises(ValueError, match="no case 'nonsense'"):
        cases.load("nonsense")


def test_every_file_of_a_case_is_listed():
    files = {path.stem for path in (ROOT / "benchmarks" / "cases").glob("*.py")} - {"__init__"}
    assert files == set(cases.NAMES)


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("12K", 12_000), ("1m", 1_000_000)])
def test_counts_on_the_command_line(text, number):
    assert command_line.count(text) == number


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rounds", "x"], ["nonsense"], ["--case", "nonsense"]])
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_unknown_mode_is_one_sentence(capsys):
    assert command_line.main(["--modes", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("no mode nonsense; there are untraced, floor,")


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
    data = json.loads((tmp_path / "r" / "x.json").read_text(encoding="utf-8"))
    assert len(data["runs"]) == 9
    for number in range(3):
        assert {run["mode"] for run in data["runs"] if run["round"] == number} == {"untraced", "floor", "cprofile"}
    assert data["events"] >= 2 * 465  # fibonacci(12) makes 465 calls; the clock and the lambda make a few more
    assert data["events"] < 2 * 465 + 20
    assert "floor: an empty C profile function" in done.stdout
    assert (tmp_path / "x.md").read_text(encoding="utf-8").startswith("## calls\n")
    assert "\r" not in done.stderr  # no progress line without a terminal
