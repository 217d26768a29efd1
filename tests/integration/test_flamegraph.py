"""The page of `flamegraph`, without a browser: its data, and what becomes of hostile and incomplete recordings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import capture_builder as build
from support import page, reports
from support.capture_builder import Builder, Step
from support.child import Child

import pymemtrace
from pymemtrace.commands import main
from pymemtrace.reporters import flamegraph

pytest.importorskip("plotly", reason="plotly draws the page")
RunChild = Callable[..., Child]

# keep() takes 60 pages in all; churn() has 100 for a while; late() takes 20 when that is over.
PROGRAM = """
    import mmap
    import sys
    import pymemtrace
    from pymemtrace import cPyMemTrace
    from support.child import report
    from support.heap import make_room

    PAGE = mmap.PAGESIZE
    kept = []

    def take(pages):
        memory = mmap.mmap(-1, pages * PAGE)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * PAGE] = 1
        return memory

    def keep():
        kept.append(take(60))

    def churn():
        memory = take(100)
        memory.close()

    def late():
        kept.append(take(20))

    def body():
        keep()
        churn()
        late()

    make_room()
    with pymemtrace.trace(sys.argv[1] + "/warm.log", log="all"):
        body()
    for path, options in (("x.pmt", {}), ("all.log", {"log": "all"}), ("some.log", {"threshold": 20 * PAGE})):
        with pymemtrace.trace(sys.argv[1] + "/" + path, **options):
            body()
    report(granularity=cPyMemTrace.info()["granularity"])
"""


@pytest.fixture
def recorded(run_child: RunChild, tmp_path: Path) -> Path:
    """A folder with a capture, a log with every event and one with some."""
    child = run_child(PROGRAM, tmp_path)
    if child.result["granularity"] != 4096:
        pytest.skip("this kernel's counter of RSS is not exact to a page")
    return tmp_path


def make(path: Path, *options: str) -> dict[str, Any]:
    return page.data_of(reports.write("flamegraph", path, *options))


def by_path(data: dict[str, Any], column: str) -> dict[tuple[str, ...], int]:
    """In pages, without what is 0; from `body` on."""
    found: dict[tuple[str, ...], int] = {}
    for row, value in enumerate(data["rows"][column]):
        names = page.names_of(data, row)
        if value and "body" in names:
            key = names[names.index("body") :]
            found[key] = found.get(key, 0) + value // 4096
    return {path: pages for path, pages in found.items() if pages}


@pytest.mark.not_sanitized
@pytest.mark.parametrize("name", ["x.pmt", "all.log"])
def test_what_was_held_at_the_peak_and_the_stack_of_that_moment(recorded: Path, name: str) -> None:
    # WHEN
    data = make(recorded / name)
    # THEN 160 pages were held when churn had its own, whatever came before and after
    assert by_path(data, "at_peak") == {("body", "keep", "take"): 60, ("body", "churn", "take"): 100}
    assert by_path(data, "up") == {
        ("body", "keep", "take"): 60, ("body", "churn", "take"): 100, ("body", "late", "take"): 20,
    }  # fmt: skip
    assert by_path(data, "down") == {("body", "churn", "close"): -100}
    (line,) = data["timelines"]
    index, moment = data["highest"]
    figures = pymemtrace.read(recorded / name).figures()
    assert index == 0 and line["rss"][moment] == figures["rss_peak"] == max(line["rss"])
    assert page.names_of(data, line["row"][moment])[-3:] == ("body", "churn", "take")
    assert sum(data["rows"]["at_peak"]) == figures["rss_peak"] - figures["rss_first"]
    assert line["rss"][0] == figures["rss_first"] and line["rss"][-1] == figures["rss_last"]
    assert not any(line["deeper"])


@pytest.mark.parametrize("limit", ["1", "2", "7", "0", "100000"])
def test_what_is_left_out_is_one_row_for_each_caller(recorded: Path, limit: str) -> None:
    # GIVEN
    whole, path = make(recorded / "x.pmt", "--limit", "0"), recorded / "x.pmt"
    assert page.REST not in whole["rows"]["kind"]
    # WHEN
    data = make(path, "--limit", limit)
    # THEN all sums hold, and what is there is as it was
    for column in ("up", "down", "at_peak", "us", "calls"):
        assert sum(data["rows"][column]) == sum(whole["rows"][column]), column
    assert max(data["rows"]["peak"]) == max(whole["rows"]["peak"])
    rest = [row for row, kind in enumerate(data["rows"]["kind"]) if kind == page.REST]
    assert len({data["rows"]["parent"][row] for row in rest}) == len(rest)
    assert len(data["rows"]["kind"]) - len(rest) <= max(int(limit), 2) or limit == "0"
    figures_of = {page.names_of(whole, row): row for row in range(len(whole["rows"]["kind"]))}
    for row in range(len(data["rows"]["kind"])):
        if row not in rest:
            same = figures_of[page.names_of(data, row)]
            assert [data["rows"][name][row] for name in ("up", "down", "calls")] == [
                whole["rows"][name][same] for name in ("up", "down", "calls")
            ]


def test_a_log_of_some_rows(recorded: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # WHEN
    data = make(recorded / "some.log")
    # THEN it says on stderr and in the page what it does not know, and shows the rows over time
    said = "it has not every event, so a change counts for the function of the row"
    text = reports.write("flamegraph", recorded / "some.log")
    assert said in capfd.readouterr().err and said in text.replace("&#x27;", "'")
    (line,) = data["timelines"]
    assert len(line["rss"]) >= 4 and max(line["rss"]) - min(line["rss"]) >= 150 * 4096
    assert {len(page.names_of(data, row)) for row in line["row"]} == {1}


def test_a_run_of_several_processes(recorded: Path) -> None:
    # WHEN a capture and a log are taken together, as two processes would be
    data = make(recorded / "x.pmt", str(recorded / "all.log"))
    # THEN each has its line, the second where it began, and growth is added up
    first, second = data["timelines"]
    assert [one["name"] for one in data["timelines"]] == [str(recorded / "x.pmt"), str(recorded / "all.log")]
    assert first["t"][0] == 0 and second["t"][0] > first["t"][-1] / 2
    assert by_path(data, "up")["body", "keep", "take"] == 120


def test_a_filter(recorded: Path) -> None:
    data = make(recorded / "x.pmt", "--filter", "churn")
    names = {page.names_of(data, row)[-1:] for row in range(1, len(data["rows"]["kind"]))}
    assert ("<not selected>",) in names and ("late",) not in names and ("churn",) in names
    (line,), (_, moment) = data["timelines"], data["highest"]
    assert page.names_of(data, line["row"][moment])[-2:] == ("churn", "take")


# --- what is not whole -----------------------------------------------------------------------------------------------

DEFINITIONS = build.define_code(1, 1, "/job/a.py", "f") + b"".join(
    build.define_site(16 + end, 1, (build.CALL, build.RETURN)[end], 1) for end in (0, 1)
)


@pytest.mark.parametrize(
    ("count", "end", "sentence"),
    [
        (0, "# end\n", "has no events: it says what was to be recorded, and nothing of what ran"),
        (500, None, "has no end: the process was killed, or is still writing; figures are of the events before that"),
    ],
    ids=["empty", "cut"],
)
def test_it_says_what_it_can_still_tell(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], count: int, end: str | None, sentence: str
) -> None:
    # GIVEN
    path = tmp_path / "x.pmt"
    steps = [Step(16 + number % 2, 10, 1) for number in range(count)]
    path.write_bytes(Builder(definitions=DEFINITIONS, end=end, size=100).build(steps))
    # WHEN
    text = reports.write("flamegraph", path)
    # THEN
    assert sentence in text and sentence in capfd.readouterr().err
    data = page.data_of(text)
    assert len(data["timelines"]) == (1 if count else 0)
    assert sum(data["rows"]["up"]) == max(0, count - 1) * 4096


def test_figures_as_large_as_a_file_may_claim(tmp_path: Path) -> None:
    # GIVEN RSS of 2^50 bytes, and clocks that leap
    path = tmp_path / "x.pmt"
    steps = [Step(16 + number % 2, 1 << 45, (1 << 38) * (-1 if number % 3 == 2 else 1)) for number in range(60)]
    path.write_bytes(Builder(definitions=DEFINITIONS).build(steps))
    # THEN
    assert sum(make(path)["rows"]["at_peak"]) > 0


# --- names -----------------------------------------------------------------------------------------------------------


def test_hostile_names_are_text(tmp_path: Path) -> None:
    # WHEN
    text = reports.write("flamegraph", page.hostile(tmp_path / "x.pmt"))
    # THEN there are our three scripts and nothing else, and the policy names the two that run
    outside = text.replace(flamegraph.plotly_script(), "")
    assert len(re.findall(r"<script", outside, re.IGNORECASE)) == 3 == len(re.findall("</script", outside))
    assert not re.search(r"<(img|svg|a)[\s>]", outside)
    assert all(c.isprintable() or c == "\n" for c in outside)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None and policy[1].startswith("default-src 'none';")
    data = page.data_of(text)
    names = [data["strings"][name] for name in data["rows"]["name"]]
    assert "<script>window.hacked=1</script>" in names and "\\u202eright to left\\u2066" in names
    assert "\\x1b[31mred\\x1b]0;title\\x07" in names and "\\udc80\\ud800 lone" in names
    assert max(map(len, data["strings"])) <= 200
    long = next(row for row, name in enumerate(names) if name.startswith("xxx"))
    assert data["rows"]["up"][long] > 0 and names[long + 1] == page.NAMES[-1]


def test_a_large_tree_fits(tmp_path: Path) -> None:
    # GIVEN 20,000 functions with names of 300 characters
    path = tmp_path / "x.pmt"
    definitions, steps = [], []
    for number in range(20_000):
        definitions.append(build.define_code(number + 1, 1, f"/{number}{'f' * 300}.py", f"{number}{'x' * 300}"))
        definitions.append(build.define_site(16 + 2 * number, number + 1, build.CALL, 1))
        definitions.append(build.define_site(17 + 2 * number, number + 1, build.RETURN, 1))
        steps += [Step(16 + 2 * number, 10, 1), Step(17 + 2 * number, 10, 1)]
    path.write_bytes(Builder(definitions=b"".join(definitions), size=1000).build(steps))
    # WHEN
    text = reports.write("flamegraph", path, "--limit", "0")
    # THEN
    assert len(text) - len(flamegraph.plotly_script()) < 3_000_000
    data = page.data_of(text)
    assert sum(data["rows"]["up"]) + sum(data["rows"]["down"]) == 39_999 * 4096
    assert len(data["rows"]["kind"]) > 1000 and len(data["timelines"][0]["t"]) <= 2000


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_page_goes_beside_the_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN
    path = page.hostile(tmp_path / "job.pmt")
    # WHEN
    assert main(["flamegraph", str(path)]) == 0
    # THEN it is not replaced without -f
    said = capsys.readouterr()
    assert said.out == "" and f"{tmp_path / 'job.html'}: " in said.err
    written = (tmp_path / "job.html").read_bytes()
    assert main(["flamegraph", str(path)]) == 2
    assert "exists already: -f replaces it" in capsys.readouterr().err
    assert (tmp_path / "job.html").read_bytes() == written
    assert main(["flamegraph", "-f", str(path), "--measure", "time"]) == 0
    assert page.data_of((tmp_path / "job.html").read_text())["view"] == "time"


def test_a_folder_has_its_page_beside_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    page.hostile(tmp_path / "run" / "a.pmt")
    assert main(["flamegraph", str(tmp_path / "run") + "/"]) == 0
    assert (tmp_path / "run.html").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--measure", "size"], "--measure must be one of peak, growth, net, time, calls; it is 'size'"),
        (["--limit", "many"], "--limit must be a number"),
        (["--filter", "nobody"], "no function and no file matches 'nobody'"),
        (["--by", "thread"], "--by must be one of"),
        (["-o", ""], "-o needs a path"),
    ],
)
def test_wrong_use_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    path = page.hostile(tmp_path / "job.pmt")
    assert main(["flamegraph", str(path), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("pymemtrace flamegraph: ") and sentence in said and said.count("\n") == 1
    assert os.listdir(tmp_path) == ["job.pmt"]


def test_without_plotly(tmp_path: Path) -> None:
    # GIVEN a Python in which plotly cannot be imported
    path = page.hostile(tmp_path / "job.pmt")
    source = (
        "import sys; sys.modules['plotly'] = None; from pymemtrace.commands import main; sys.exit(main(sys.argv[1:]))"
    )
    # WHEN
    done = subprocess.run(
        [sys.executable, "-c", source, "flamegraph", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    # THEN
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pymemtrace flamegraph: a flame graph is drawn by plotly: run `pip install plotly`\n"
    assert os.listdir(tmp_path) == ["job.pmt"]


def test_the_data_is_json_that_html_cannot_end(tmp_path: Path) -> None:
    found = page.DATA.findall(reports.write("flamegraph", page.hostile(tmp_path / "x.pmt")))
    assert len(found) == 1 and not set("<>&") & set(found[0]) and json.loads(found[0])
