"""`export --to pstats|collapsed|csv`: figures that were told beforehand, read by those for whom the files are."""

from __future__ import annotations

import cProfile
import csv
import html
import io
import marshal
import os
import pstats
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.story import JOB, PAGE, Story

import pymemtrace
from pymemtrace.commands import main
from pymemtrace.reporters import collapsed, contexts
from pymemtrace.reporters import csv as csv_reporter
from pymemtrace.reporters import pstats as pstats_reporter

HOSTILE = "\x1b[31m;\u202e<script>alert(1)</script>\n=1+1" + "x" * 5000
_FLAMEGRAPH = Path(sys.prefix) / "bin" / "flamegraph.pl"
FLAMEGRAPH = _FLAMEGRAPH if _FLAMEGRAPH.is_file() and shutil.which("perl") else None


def cached() -> Story:
    """begin_job calls get(), which allocates once and keeps it; then each of 99 events calls it again."""
    story = Story().call("main").call("begin_job", line=10).call("get", line=20).grow(16384).back(2)
    for _ in range(99):
        story.call("event", line=30).grow(1).call("get", line=20).back(2).grow(-1)
    return story.back()


def recursive() -> Story:
    """outer > f > f > g > f, each f grows by a page before it calls, g shrinks."""
    story = Story().call("outer").call("f", line=5).grow(1).call("f", line=5).grow(1).call("g", line=9).grow(-5)
    return story.call("f", line=5).grow(1).back(5)


def export(tmp_path: Path, story: Story, to: str, *args: str, suffix: str = ".pmt") -> Path:
    source, target = story.write(tmp_path / f"job{suffix}"), tmp_path / f"job.{to}"
    assert main(["export", "--to", to, str(source), "-o", str(target), *args]) == 0
    return target


def stats_of(path: Path) -> dict[Any, Any]:
    return pstats.Stats(str(path), stream=io.StringIO()).stats  # type: ignore[attr-defined,no-any-return]


# --- pstats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_each_caller_has_what_its_own_calls_did(tmp_path: Path, suffix: str) -> None:
    # WHEN
    stats = stats_of(export(tmp_path, cached(), "pstats", suffix=suffix))
    # THEN the one call from begin_job has the 64 MiB, the 99 others have nothing
    *figures, callers = stats[JOB, 20, "get"]
    assert figures == [100, 100, 16384 * PAGE, 16384 * PAGE]
    assert callers == {
        (JOB, 10, "begin_job"): (1, 1, 16384 * PAGE, 16384 * PAGE),
        (JOB, 30, "event"): (99, 99, 0, 0),
    }
    assert stats[JOB, 30, "event"][:4] == (99, 99, 99 * PAGE, 99 * PAGE)


def test_recursion_counts_once(tmp_path: Path) -> None:
    # WHEN
    stats = stats_of(export(tmp_path, recursive(), "pstats", "--measure", "net"))
    # THEN of three calls one is primitive, and it has the net of all that it called
    *figures, callers = stats[JOB, 5, "f"]
    assert figures == [1, 3, 3 * PAGE, -2 * PAGE]
    assert callers == {
        (JOB, 1, "outer"): (1, 1, PAGE, -2 * PAGE),
        (JOB, 5, "f"): (1, 1, PAGE, -3 * PAGE),
        (JOB, 9, "g"): (1, 1, PAGE, PAGE),
    }
    assert stats[JOB, 9, "g"][:4] == (1, 1, -5 * PAGE, -4 * PAGE)


PROGRAM = """
def grow(pages):
    taken.extend([0] * pages)

def walk(depth):
    grow(depth)
    if depth:
        walk(depth - 1)
    if depth == 3:
        other(2)

def other(depth):
    grow(1)
    if depth:
        walk(depth - 1)
        other(depth - 1)

def numbers(upto):
    for number in range(upto):
        grow(2)
        yield number

def fail(depth):
    grow(depth)
    if not depth:
        raise ValueError
    fail(depth - 1)

def main():
    walk(4)
    list(numbers(3))
    sum(number for number in numbers(2))
    try:
        fail(3)
    except ValueError:
        other(1)
    grow(1)
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="cProfile of 3.15 keeps what builtins took from their caller")
def test_callers_are_those_of_cprofile(tmp_path: Path) -> None:
    # GIVEN a program with recursion, generators and exceptions, its memory a list, one entry a page
    namespace: dict[str, Any] = {"taken": []}
    exec(compile(PROGRAM, JOB, "exec"), namespace)
    taken = namespace["taken"]
    # WHEN cProfile measures the list's growth as if it were time
    profile = cProfile.Profile(taken.__len__, 1.0, builtins=False)
    profile.enable()
    namespace["main"]()
    profile.disable()
    profile.create_stats()
    # and the recorder's events are written down, with the list as RSS
    story, pages = Story(), len(taken)

    def hook(frame: Any, what: str, _: object) -> None:
        code = frame.f_code
        story.pages = 1000 + len(taken) - pages
        if what == "call" and code.co_filename == JOB:
            story.call(code.co_name, JOB, code.co_firstlineno)
        elif what == "return" and code.co_filename == JOB:
            story.back()

    sys.setprofile(hook)
    namespace["main"]()
    sys.setprofile(None)
    stats = stats_of(export(tmp_path, story, "pstats"))
    # THEN every function and every caller has the same figures
    expected = {
        name: (*figures[:2], *(value * PAGE for value in figures[2:4]), figures[4])
        for name, figures in profile.stats.items()  # type: ignore[attr-defined]
        if name[0] == JOB
    }
    assert len(expected) == 7 and {"walk", "other", "numbers", "fail", "<genexpr>"} <= {name[2] for name in expected}
    for name, (*figures, callers) in expected.items():
        assert list(stats[name][:4]) == figures, name
        in_bytes = {caller: (*one[:2], one[2] * PAGE, one[3] * PAGE) for caller, one in callers.items()}
        assert {caller: one for caller, one in stats[name][4].items() if caller[0] != "~"} == in_bytes, name


def test_every_call_has_a_caller_and_every_byte_a_function(tmp_path: Path) -> None:
    # GIVEN growth on two threads, of a C function, of a temporary, and before the first call
    story = Story().call("main").c_call("read").grow(7).back().on(8, "worker").call("work").grow(-3)
    story.on(7).peak(50).call("f").back().on(8).back().stray("RETURN", "older").grow(4).stray("RETURN", "oldest")
    for measure in ("net", "growth", "time"):
        # WHEN
        stats = stats_of(export(tmp_path, story, "pstats", "--measure", measure, "-f"))
        # THEN
        (root,) = [name for name in stats if name[2].startswith("<all: ")]
        for name, (primitive, calls, own, total, callers) in stats.items():
            assert name == root or (calls, own) == (
                sum(one[0] for one in callers.values()),
                pytest.approx(sum(one[2] for one in callers.values())),
            )
        own = sum(figures[2] for figures in stats.values())
        assert own == pytest.approx(stats[root][3])
        assert own == {"net": story.change, "growth": 11 * PAGE}.get(measure, own)
        assert ("~", 0, "<before the recording>") in stats
        assert root[2] == f"<all: {pstats_reporter.UNITS[measure]}>"


def test_whole_numbers_are_exact_and_unlimited(tmp_path: Path) -> None:
    # GIVEN more bytes than a float can hold exactly, and than a C integer can
    tree = contexts.Contexts()
    huge = tree.below(0, tree.frame_id(contexts.Frame("huge", JOB, 1, False)))
    tree.count(huge, 1, 2**63 + 1, 0, 0, 0.0, 0)
    fallen = tree.below(huge, tree.frame_id(contexts.Frame("fallen", JOB, 2, False)))
    tree.count(fallen, 1, 0, -(2**70) - 1, 0, 0.0, 0)
    # WHEN
    path = tmp_path / "huge.pstats"
    path.write_bytes(pstats_reporter.dump(tree, "net"))
    # THEN they are there to the byte, and pstats prints them
    assert stats_of(path)[JOB, 1, "huge"][2:4] == (2**63 + 1, 2**63 - 2**70)
    out = io.StringIO()
    pstats.Stats(str(path), stream=out).sort_stats("cumulative").print_stats().print_callers()
    assert re.search(r"-\d+\.000 +-\d+\.000 +/job/job.py:2\(fallen\)", out.getvalue())


def test_an_empty_recording_can_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # pstats refuses a file without functions
    stats = stats_of(export(tmp_path, Story(), "pstats"))
    assert list(stats.values()) == [(0, 0, 0, 0, {})]
    assert "job.pmt' has no events" in capsys.readouterr().err


def test_marshalled_as_every_python_reads_it(tmp_path: Path) -> None:
    path = export(tmp_path, cached(), "pstats")
    assert marshal.dumps(marshal.loads(path.read_bytes()), 4) == marshal.dumps(stats_of(path), 4)
    assert max(marshal.loads(path.read_bytes()), key=len) is not None


def test_pstats_prints_names_that_no_terminal_obeys(tmp_path: Path) -> None:
    path = export(tmp_path, Story().call(HOSTILE, file="/j\x1b[2J.py").grow(1).back(), "pstats")
    out = io.StringIO()
    pstats.Stats(str(path), stream=out).print_stats().print_callers().print_callees()
    assert "\x1b" not in out.getvalue() and "\u202e" not in out.getvalue()
    assert "\\x1b[31m;\\u202e<script>" in out.getvalue()


def test_gprof2dot_draws_it(tmp_path: Path) -> None:
    gprof2dot = pytest.importorskip("gprof2dot", reason="gprof2dot is not installed: it is in the dev extra")
    # WHEN
    profile = gprof2dot.PstatsParser(str(export(tmp_path, cached(), "pstats"))).parse()
    # THEN each edge has its caller's bytes
    functions = {function.name: function for function in profile.functions.values()}
    get = functions["job:20:get"]
    assert get[gprof2dot.TIME] == 16384 * PAGE and get.called == 100
    edges = {name: function.calls.get(get.id) for name, function in functions.items()}
    assert edges["job:10:begin_job"][gprof2dot.TOTAL_TIME] == 16384 * PAGE
    assert edges["job:30:event"][gprof2dot.TOTAL_TIME] == 0 and edges["job:30:event"][gprof2dot.CALLS] == 99
    out = io.StringIO()
    gprof2dot.DotWriter(out).graph(profile, gprof2dot.TEMPERATURE_COLORMAP)
    assert "begin_job" in out.getvalue()


def test_snakeviz_loads_it(tmp_path: Path) -> None:
    snakeviz = pytest.importorskip("snakeviz.stats", reason="snakeviz is not installed: it is in the dev extra")
    # WHEN
    stats = pstats.Stats(str(export(tmp_path, cached(), "pstats")))
    rows, nodes = snakeviz.table_rows(stats), snakeviz.json_stats(stats)
    # THEN
    assert len(rows) == len(stats.stats)  # type: ignore[attr-defined]
    assert list(nodes[f"{JOB}:20(get)"]["callers"][f"{JOB}:10(begin_job)"]) == [1, 1, 16384 * PAGE, 16384 * PAGE]
    roots = [name for name, node in nodes.items() if not node["callers"]]
    assert roots == ["~:0(<all: bytes of growth>)"]  # it is drawn from one root


# --- collapsed stacks ------------------------------------------------------------------------------------------------


def folded(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """As flamegraph.pl has it: the number is what follows the last space, frames are between semicolons."""
    for line in text.splitlines():
        match = re.fullmatch(r"(?P<stack>.*)\s+?(?P<value>\d+(?:\.\d*)?)", line)
        assert match is not None, line
        assert not re.fullmatch(r".*\s+?\d+(?:\.\d*)?", match["stack"]), f"a second number: {line}"
        yield tuple(match["stack"].split(";")), int(match["value"])


def test_stacks_have_what_their_innermost_function_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # WHEN
    stacks = dict(folded(export(tmp_path, recursive(), "collapsed").read_text("utf-8")))
    # THEN
    outer, f, g = f"outer ({JOB}:1)", f"f ({JOB}:5)", f"g ({JOB}:9)"
    assert stacks == {(outer, f): PAGE, (outer, f, f): PAGE, (outer, f, f, g, f): PAGE}
    assert f"the numbers are bytes (growth), {3 * PAGE:,} in all" in capsys.readouterr().err


def test_only_what_is_positive_is_written_and_the_rest_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stacks = dict(folded(export(tmp_path, recursive(), "collapsed", "--measure", "net").read_text("utf-8")))
    assert sum(stacks.values()) == 3 * PAGE
    assert f"1 context below 0, {-5 * PAGE:,} in all, left out" in capsys.readouterr().err


def test_stacks_of_time_and_calls(tmp_path: Path) -> None:
    calls = dict(folded(export(tmp_path, cached(), "collapsed", "--measure", "calls").read_text("utf-8")))
    assert calls[f"main ({JOB}:1)", f"event ({JOB}:30)", f"get ({JOB}:20)"] == 99
    times = dict(folded(export(tmp_path, cached(), "collapsed", "--measure", "time", "-f").read_text("utf-8")))
    assert sum(times.values()) == round(1e6 * (cached().rows[-1].clock - cached().rows[0].clock))


def test_special_rows_and_c_functions_are_stacks(tmp_path: Path) -> None:
    story = Story().stray("RETURN", "older").grow(2).call("main").c_call("read").grow(3).back(2)
    stacks = dict(folded(export(tmp_path, story, "collapsed").read_text("utf-8")))
    assert stacks == {("<before the recording>",): 2 * PAGE, (f"main ({JOB}:1)", f"read ({JOB})"): 3 * PAGE}


@pytest.mark.parametrize("name", ["a;b", "a\nb 3", "f 12", "\x1b[31m", "\u2028", "\udc80", "#f", "a\\x3bb", HOSTILE])
def test_names_do_not_break_lines_and_frames(tmp_path: Path, name: str) -> None:
    # GIVEN
    story = Story().call("main").call(name, file=f"/job/{name[:99]}").grow(1).call("last 5").grow(2).back(3)
    # WHEN
    text = export(tmp_path, story, "collapsed").read_text("utf-8")
    # THEN
    assert text.isprintable() is False and text.replace("\n", "").isprintable()
    assert [(len(stack), value) for stack, value in folded(text)] == [(2, PAGE), (3, 2 * PAGE)]


@pytest.mark.skipif(
    FLAMEGRAPH is None, reason="perl or flamegraph.pl is missing: hprof2flamegraph of the dev extra has it"
)
@pytest.mark.parametrize("name", ["get", "a;b", "f 12", HOSTILE])
def test_flamegraph_pl_draws_them(tmp_path: Path, name: str) -> None:
    # GIVEN
    story = Story().call("main").call(name, line=20).grow(3).back().call("<other>", line=30).grow(1).back(2)
    path = export(tmp_path, story, "collapsed")
    # WHEN
    done = subprocess.run(
        ["perl", str(FLAMEGRAPH), "--countname=bytes", str(path)], capture_output=True, timeout=60, check=True
    )
    # THEN each function has its bytes and its share
    titles = {html.unescape(title) for title in re.findall("<title>(.*?)</title>", done.stdout.decode("utf-8"))}
    shown = name.replace(";", "\\x3b").replace("\n", "\\n").replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert titles == {
        "all (16,384 bytes, 100%)", f"main ({JOB}:1) (16,384 bytes, 100.00%)",
        f"{shown} ({JOB}:20) (12,288 bytes, 75.00%)", f"<other> ({JOB}:30) (4,096 bytes, 25.00%)",
    }  # fmt: skip
    assert done.stderr == b""


# --- CSV -------------------------------------------------------------------------------------------------------------


def rows_of(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert data.endswith(b"\r\n") and data.count(b"\n") == data.count(b"\r\n")  # RFC 4180
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_a_row_for_each_context(tmp_path: Path, suffix: str) -> None:
    # WHEN
    story = recursive()
    rows = rows_of(export(tmp_path, story, "csv", suffix=suffix))
    # THEN the first is the whole, the own nets add up to it, and each is below its parent
    assert [(row["depth"], row["path"]) for row in rows] == [
        ("0", ""), ("1", "outer"), ("2", "outer;f"), ("3", "outer;f;f"), ("4", "outer;f;f;g"), ("5", "outer;f;f;g;f"),
    ]  # fmt: skip
    assert sum(int(row["net"]) for row in rows) == int(rows[0]["net_inclusive"]) == story.change == -2 * PAGE
    nodes = {row["node"]: row for row in rows}
    for row in rows[1:]:
        assert int(nodes[row["parent"]]["depth"]) == int(row["depth"]) - 1
        assert int(row["net"]) == int(row["up"]) + int(row["down"])
    g = rows[4]
    assert (g["file"], g["line"], g["function"], g["kind"], g["calls"]) == (JOB, "9", "g", "python", "1")
    assert (g["up"], g["down"], g["net_inclusive"]) == ("0", str(-5 * PAGE), str(-4 * PAGE))
    assert float(rows[0]["seconds_inclusive"]) == pytest.approx(story.rows[-1].clock - story.rows[0].clock, abs=1e-5)
    assert int(rows[0]["peak_inclusive"]) == 1002 * PAGE


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("plain", "plain"), ("=1+1", "'=1+1"), ("+f", "'+f"), ("-f", "'-f"), ("@f", "'@f"), ("\uff1df", "'\uff1df"),
        ("\t=f", "\\t=f"), ("\r=f", "\\r=f"), ('a"b,c', 'a"b,c'), ("a;b", "a;b"), ("<f>", "<f>"), ("\udc80", "\\udc80"),
        ("\u202ef", "\\u202ef"),
    ],
)  # fmt: skip
def test_cells_are_text_and_no_formulas(tmp_path: Path, name: str, cell: str) -> None:
    (_, row) = rows_of(export(tmp_path, Story().call(name, file=name).grow(1).back(), "csv"))
    assert (row["function"], row["file"]) == (cell, cell)
    assert row["path"] == cell.replace(";", "\\x3b")


def test_a_deep_recursion_makes_no_square(tmp_path: Path) -> None:
    # GIVEN calls 500 deep
    story = Story()
    for _ in range(500):
        story.call("f")
    story.grow(1).back(500)
    # WHEN
    path = export(tmp_path, story, "csv")
    # THEN a path has the innermost 100 functions
    rows = rows_of(path)
    assert len(rows) == 501 and rows[-1]["depth"] == "500"
    assert rows[100]["path"] == ";".join(["f"] * 100) and rows[101]["path"] == ";".join(["...", *["f"] * 100])
    assert path.stat().st_size < 501 * 500


# --- the command -----------------------------------------------------------------------------------------------------


def test_files_of_a_run_are_added_up(tmp_path: Path) -> None:
    # GIVEN
    folder = tmp_path / "run"
    folder.mkdir()
    for number, pages in enumerate((3, 4)):
        story = Story().call("main").grow(pages).back()
        story.write(folder / f"job_{number}.pmt", {"pid": str(7 + number)})
    # WHEN
    target = tmp_path / "all.csv"
    assert main(["export", "--to", "csv", str(folder), "-o", str(target)]) == 0
    # THEN
    assert [(row["path"], row["calls"], row["net"]) for row in rows_of(target)] == [
        ("", "0", "0"), ("main", "2", str(7 * PAGE)),
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["pstats", "collapsed", "csv"])
def test_one_sentence_on_what_cannot_be_known(tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = {
        "filtered.log": (cached().write(tmp_path / "filtered.log", {"log": "previous"}), "has not every event"),
        "cut.pmt": (cached().write(tmp_path / "cut.pmt", cut=True), "figures are of the events before that"),
        "empty.pmt": (Story().write(tmp_path / "empty.pmt"), "has no events"),
    }
    for name, (source, sentence) in sentences.items():
        # WHEN
        assert main(["export", "--to", to, str(source), "-o", str(tmp_path / f"{name}.out")]) == 0
        # THEN
        said = [line for line in capsys.readouterr().err.splitlines() if name in line]
        assert len(said) == 1 and sentence in said[0]
        assert (tmp_path / f"{name}.out").exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--to", "csv"], "no file given"),
        (["{}"], "--to is missing: one of pstats, collapsed, perfetto, csv"),
        (["--to", "svg", "{}"], "--to must be one of pstats, collapsed, perfetto, csv; it is 'svg'"),
        (["--to", "pstats", "--measure", "peak", "{}"], "must be one of growth, net, time; it is 'peak'"),
        (["--to", "collapsed", "--measure", "peak", "{}"], "must be one of growth, net, time, calls; it is 'peak'"),
        (["--to", "csv", "--measure", "net", "{}"], "--to csv has no option --measure"),
        (["--to", "csv", "--from", "1", "{}"], "--to csv has no option --from"),
        (["--to", "perfetto", "--filter", "f", "{}"], "--to perfetto has no option --filter"),
        (["--to", "perfetto", "--from", "x", "{}"], "--from must be a number of seconds"),
        (["--to", "perfetto", "--from", "2", "--to", "1", "{}"], "--from 2 is later than --until 1"),
        (["--to", "perfetto", "--min-bytes", "1T", "{}"], "--min-bytes must be a number of bytes"),
        (["--to", "csv", "--filter", "nobody", "{}"], "no function and no file matches 'nobody'"),
        (["--to", "csv", "--limit", "3", "{}"], "unknown option '--limit'"),
        (["--to", "csv", "{}.not"], "job.pmt.not"),
    ],
)
def test_wrong_use_is_one_sentence(
    tmp_path: Path, args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = cached().write(tmp_path / "job.pmt"), tmp_path / "out"
    given = [arg.format(source) for arg in args]
    # WHEN
    status = main(["export", *given, "-o", str(target)])
    # THEN
    told = capsys.readouterr().err.splitlines()
    assert status == 2 and len(told) == 1 and sentence in told[0] and told[0].startswith("pymemtrace export: ")
    assert not target.exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = cached().write(tmp_path / "job.pmt"), tmp_path / "out.csv"
    target.write_text("mine")
    for to in ("csv", "pstats", "collapsed", "perfetto"):
        assert main(["export", "--to", to, str(source), "-o", str(target)]) == 2
        assert "exists already" in capsys.readouterr().err and target.read_text() == "mine"
        assert main(["export", "--to", to, str(source), "-o", str(target), "-f"]) == 0
        target.write_text("mine")
    assert sorted(os.listdir(tmp_path)) == ["job.pmt", "out.csv"]


@pytest.mark.parametrize("args", [[], ["-o", "-"]])
def test_to_stdout(tmp_path: Path, args: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source = cached().write(tmp_path / "job.pmt")
    expected = export(tmp_path, cached(), "collapsed").read_bytes()
    capfdbinary.readouterr()
    assert main(["export", "--to", "collapsed", str(source), *args]) == 0
    assert capfdbinary.readouterr().out == expected


def test_pstats_is_not_put_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = cached().write(tmp_path / "job.pmt")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["export", "--to", "pstats", str(source)]) == 2
    assert "-o names a file" in capsys.readouterr().err


def test_a_filter_keeps_the_sum(tmp_path: Path) -> None:
    rows = rows_of(export(tmp_path, cached(), "csv", "--filter", "begin_job"))
    assert [row["path"] for row in rows] == ["", "<not selected>", "main", "main;begin_job", "main;begin_job;get"]
    assert sum(int(row["net"]) for row in rows) == cached().change


def test_reporters_are_pure(tmp_path: Path) -> None:
    tree = contexts.of([pymemtrace.read(cached().write(tmp_path / "job.pmt"))])
    assert list(collapsed.lines(tree, "growth")) == list(collapsed.lines(tree, "growth"))
    assert list(csv_reporter.lines(tree)) == list(csv_reporter.lines(tree))
    assert pstats_reporter.dump(tree, "net") == pstats_reporter.dump(tree, "net")
