"""Reports are true: known growth is charged to the path that made it, in each of them; nothing is lost or doubled."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpus
import pytest
from support import capture_decoder, child, chrome_trace, reports
from support.child import Child

from pymemtrace.commands import main

RunChild = Callable[..., Child]
PAGE = 4096
PROGRAMS = sorted(module.name for module in pkgutil.iter_modules(corpus.__path__) if not module.ispkg)

# Functions that take pages, each in a place of its own, below `body` or in a thread. The whole of it runs three times:
# untraced, traced for nothing (so that no code page, freelist or arena is met for the first time), in earnest.
TRUTH = """
    import mmap
    import sys
    import threading

    import pymemtrace
    from pymemtrace import cPyMemTrace
    from support.child import report

    path, extensions = sys.argv[1:]
    sys.path.insert(0, extensions)
    import probe

    PAGE = mmap.PAGESIZE
    memory, at = None, 0

    def take(pages):
        # One function, called from many places: what it takes is its own, wherever it was called from.
        global at
        for page in range(at, at + pages):
            memory[page * PAGE] = 1
        at += pages

    def few():
        take(5)

    def many():
        take(40)
        take(10)

    def descend(depth):
        take(6)
        if depth:
            descend(depth - 1)

    def ping(depth):
        take(7)
        if depth:
            pong(depth - 1)

    def pong(depth):
        take(9)
        if depth:
            ping(depth - 1)

    def produce():
        for n in range(3):
            take(8)
            yield n

    def consume(generator):
        next(generator)
        next(generator)

    def finish(generator):
        for n in generator:
            pass

    def fail():
        take(15)
        raise LookupError

    def try_it():
        try:
            fail()
        except LookupError:
            take(6)

    def key(number):
        take(5)
        return number

    def sort_it():
        return sorted([3, 1, 2], key=key)

    def keep_it():
        probe.keep(23)

    def drop_it():
        probe.drop()

    cache = {}

    def get(name):
        if name not in cache:
            take(30)
            cache[name] = name
        return cache[name]

    def begin_job():
        get("table")

    def do_job():
        for n in range(200):
            get("table")

    def in_thread():
        take(12)

    def thread_main():
        in_thread()
        take(20)

    def body():
        few()
        many()
        descend(3)
        ping(3)
        generator = produce()
        consume(generator)
        finish(generator)
        try_it()
        sort_it()
        keep_it()
        begin_job()
        do_job()
        thread = threading.Thread(target=thread_main)
        thread.start()
        thread.join()
        drop_it()

    def run(path):
        global memory, at
        memory, at = mmap.mmap(-1, 1024 * PAGE), 0
        cache.clear()
        if path is None:
            body()
            return
        with pymemtrace.trace(path):
            body()

    run(None)
    run(path + ".warm.pmt")
    run(path)
    report(granularity=cPyMemTrace.info()["granularity"])
"""

# What it does, below `body` and below the thread's function: own pages and calls by path.
_PATHS = {
    ("few", "take"): (5, 1),
    ("many", "take"): (50, 2),
    ("descend", "take"): (6, 1),
    ("descend", "descend", "take"): (6, 1),
    ("descend", "descend", "descend", "take"): (6, 1),
    ("descend", "descend", "descend", "descend", "take"): (6, 1),
    ("ping", "take"): (7, 1),
    ("ping", "pong", "take"): (9, 1),
    ("ping", "pong", "ping", "take"): (7, 1),
    ("ping", "pong", "ping", "pong", "take"): (9, 1),
    ("consume", "next", "produce", "take"): (16, 2),
    ("finish", "produce", "take"): (8, 1),
    ("try_it", "fail", "take"): (15, 1),
    ("try_it", "take"): (6, 1),
    ("sort_it", "sorted", "key", "take"): (15, 3),
    ("keep_it", "keep"): (23, 1),
    ("begin_job", "get", "take"): (30, 1),
    ("drop_it", "drop"): (-23, 1),
}
EXPECTED = {("body", *path): (pages * PAGE, calls) for path, (pages, calls) in _PATHS.items()}
EXPECTED["thread_main", "in_thread", "take"] = (12 * PAGE, 1)
EXPECTED["thread_main", "take"] = (20 * PAGE, 1)
NOTHING = [  # paths that are there, and have no growth of their own: what they called has
    ("body", "do_job", "get"),
    ("body", "begin_job"),
    ("body", "begin_job", "get"),
    ("body", "many"),
    ("thread_main", "in_thread"),
]


def folded(paths: dict[tuple[str, ...], tuple[int, int]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """A function that is below itself is where it was first."""
    found: dict[tuple[str, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for path, (net, calls) in paths.items():
        names: list[str] = []
        for name in path:
            if name in names:
                del names[names.index(name) :]
            names.append(name)
        key = tuple(names)
        found[key] = (found[key][0] + net, found[key][1] + calls)
    return dict(found)


def from_known_root(path: tuple[str, ...]) -> tuple[str, ...]:
    """Without what is above: the program's own frames, or those of `threading`."""
    for root in ("body", "thread_main"):
        if root in path:
            return path[path.index(root) :]
    return ()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, probe_folder: Path) -> dict[str, Path]:
    """By engine: the capture. Skips where the kernel does not count pages one by one."""
    made = {}
    for engine in child.ENGINES:
        folder = tmp_path_factory.mktemp(engine)
        made[engine] = folder / "truth.pmt"
        done = child.run_source(TRUTH, folder, made[engine], probe_folder, env={"PYMEMTRACE_ENGINE": engine})
        if done.result["granularity"] != PAGE:
            pytest.skip("this kernel's counter of RSS is not exact to a page")
    return made


@pytest.mark.not_sanitized
@pytest.mark.parametrize("engine", child.ENGINES)
@pytest.mark.parametrize(("name", "paths", "folds"), reports.OF_PATHS, ids=[each[0] for each in reports.OF_PATHS])
def test_growth_is_charged_to_its_path(truth: dict[str, Path], name: str, paths: Any, folds: bool, engine: str) -> None:
    # GIVEN a program that takes known numbers of pages on known paths
    expected = folded(EXPECTED) if folds else EXPECTED
    # WHEN
    got: dict[tuple[str, ...], tuple[int, int]] = {}
    for path, figures in paths(truth[engine]).items():
        short = from_known_root(path)
        if short:
            had = got.get(short, (0, 0))
            got[short] = (had[0] + figures[0], had[1] + figures[1])
    # THEN each path has its pages and calls, and no other path has any
    assert {path: figures for path, figures in got.items() if figures[0] and path in expected} == expected
    assert [path for path in NOTHING if got.get(path, (0, 0))[0]] == []
    others = {path: figures[0] for path, figures in got.items() if path not in expected and path[-1] in ("take", "get")}
    assert not any(others.values()), others


@pytest.mark.not_sanitized
@pytest.mark.parametrize("engine", child.ENGINES)
@pytest.mark.parametrize(("name", "functions"), reports.OF_FUNCTIONS, ids=[each[0] for each in reports.OF_FUNCTIONS])
def test_growth_is_charged_to_its_function(truth: dict[str, Path], name: str, functions: Any, engine: str) -> None:
    # GIVEN the same, by function: own, and with what it called, however often it is on a path
    own: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for path, (net, _) in EXPECTED.items():
        own[path[-1]] += net
        for function in set(path):
            total[function] += net
    # WHEN
    got = functions(truth[engine])
    # THEN
    within = {"body", "thread_main"}  # in these are the thread's own pages, too
    assert {function: got[function][0] for function in own} == own
    assert {function: got[function][1] for function in total if function not in within} == {
        function: net for function, net in total.items() if function not in within
    }
    assert got["get"] == (0, 30 * PAGE, 201) and got["descend"][2] == 4


@pytest.mark.not_sanitized
def test_one_function_called_from_two_places(truth: dict[str, Path]) -> None:
    """`get` fills its cache when begin_job calls it, and never again, though do_job calls it 200 times as often."""
    # GIVEN
    path = truth[child.ENGINES[0]]
    # WHEN
    table = reports.functions_of_table(path)
    rows = {from_known_root(names): numbers for names, numbers in reports.tree(path, "--limit", "0", "--filter", "get")}
    # THEN
    assert table["begin_job"][:2] == (0, 30 * PAGE)
    assert table["do_job"][:2] == (0, 0)
    assert reports.number(rows["body", "begin_job", "get"][1]) == 30 * PAGE
    assert ("body", "do_job") not in rows  # nothing grew there: it is below 1 %


@pytest.mark.not_sanitized
@pytest.mark.parametrize("engine", child.ENGINES)
def test_each_caller_has_what_its_own_calls_did(truth: dict[str, Path], engine: str) -> None:
    # GIVEN who called `take`, and for how many pages
    expected: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for path, (net, calls) in EXPECTED.items():
        if path[-1] == "take":
            had = expected[path[-2]]
            expected[path[-2]] = (had[0] + net, had[1] + net, had[2] + calls)
    # THEN pstats has it so for each of them, nothing being shared out by numbers of calls
    assert reports.callers_of_pstats(truth[engine], "take") == expected
    assert reports.callers_of_pstats(truth[engine], "get") == {
        "begin_job": (0, 30 * PAGE, 1), "do_job": (0, 0, 200),
    }  # fmt: skip
    # and a stack that has grown is a line of collapsed stacks
    stacks: dict[tuple[str, ...], int] = defaultdict(int)
    for path, growth in reports.growth_of_stacks(truth[engine]).items():
        if from_known_root(path) in EXPECTED:
            stacks[from_known_root(path)] += growth
    assert stacks == {path: net for path, (net, _) in EXPECTED.items() if net > 0}


@pytest.mark.not_sanitized
@pytest.mark.parametrize("engine", child.ENGINES)
def test_a_trace_has_the_calls_that_grew(truth: dict[str, Path], engine: str) -> None:
    # WHEN calls of 15 pages or more are asked for
    trace = chrome_trace.read(reports.export("perfetto", truth[engine], "--min-bytes", str(15 * PAGE)).read_bytes())
    # THEN those are there, with their growth
    pages = [(one.name, one.args["growth"] // PAGE) for one in trace.all_slices()]
    for one in [("few", 5), ("many", 50), ("descend", 24), ("ping", 32), ("try_it", 21), ("get", 30), ("take", 40)]:
        assert (one in pages) == (one[1] >= 15), one
    assert [name for name, _ in pages].count("get") == 1 and ("take", 12) not in pages


# --- conservation ----------------------------------------------------------------------------------------------------

CORPUS = """
    import importlib
    import sys
    import pymemtrace

    for name in sys.argv[2:]:
        main = importlib.import_module("corpus." + name).main
        with pymemtrace.trace("%s/%s.pmt" % (sys.argv[1], name)):
            main()
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a capture of each program of the corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    child.run_source(CORPUS, folder, folder, *PROGRAMS, timeout=120)
    return folder


def change_of(path: Path) -> int:
    """RSS at the last event less RSS at the first, by the independent decoder."""
    events = capture_decoder.read(path).events
    return events[-1].rss - events[0].rss


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_lost_or_doubled(recorded: Path, program: str) -> None:
    # GIVEN a program of the corpus
    path = recorded / f"{program}.pmt"
    # WHEN each report is made of it
    sums = {name: own_net(path) for name, own_net in reports.OWN_NET}
    # THEN the own net figures of all rows add up to what became of RSS
    assert set(sums.values()) == {change_of(path)}, sums


NESTED = """
    import mmap
    import os
    import sys
    import threading
    import pymemtrace

    PAGE = mmap.PAGESIZE

    def take(memory, pages):
        for page in range(pages):
            memory[page * PAGE] = 1

    def grow():
        memory = mmap.mmap(-1, 300 * PAGE)
        take(memory, 300)
        return memory

    def main():
        kept = [grow() for n in range(10)]
        with pymemtrace.trace(sys.argv[1] + ".inner.pmt", overwrite=True):
            kept.append(grow())
        threads = [threading.Thread(target=grow) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return kept

    with pymemtrace.trace(sys.argv[1] + "/capture.pmt"):
        kept = main()
    with pymemtrace.trace(sys.argv[1] + "/all.log", log="all"):
        kept = main()
    with pymemtrace.trace(sys.argv[1] + "/some.log"):
        kept = main()
    with pymemtrace.trace(sys.argv[1] + "/pairs.log", log="previous", threshold=100_000):
        kept = main()
    with pymemtrace.trace(sys.argv[1] + "/kept.pmt", keep=1 << 20):
        kept = main()
        for n in range(2_000_000):
            abs(n)
        kept = main()
    os._exit(0)
"""
NAMES = ["capture.pmt", "all.log", "some.log", "pairs.log", "kept.pmt"]


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings of one kind each."""
    folder = tmp_path_factory.mktemp("nested")
    child.run_source(NESTED, folder, folder)
    return folder


def said_by_the_end(path: Path) -> int:
    """RSS last less RSS first, as the recorder wrote it at the end."""
    text = path.read_bytes()[-20_000:].decode("utf-8", "replace")
    first, last = (int(re.findall(rf"# RSS {key}: (\d+)", text)[-1]) for key in ("first", "last"))
    return last - first


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("report", "own_net"), reports.OWN_NET, ids=[each[0] for each in reports.OWN_NET])
def test_nothing_is_lost_of_any_kind_of_recording(nested: Path, name: str, report: str, own_net: Any) -> None:
    # GIVEN a capture, logs with every event and with some, a capture whose first events are dropped
    path = nested / name
    # THEN
    assert own_net(path) == said_by_the_end(path)


def test_special_rows(nested: Path) -> None:
    # GIVEN a capture with a nested recording and the recorder's growth; one whose beginning was dropped
    # WHEN
    rows = {row["name"]: row for row in reports.table(nested / "capture.pmt")}
    kept = {row["name"]: row for row in reports.table(nested / "kept.pmt")}
    some = {row["name"]: row for row in reports.table(nested / "some.log")}
    # THEN what is nobody's has rows of its own
    assert int(rows["<suspended>"]["net_own_bytes"]) >= 300 * PAGE and rows["<suspended>"]["kind"] == "special"
    assert "<dropped events>" in kept and "<dropped events>" not in rows
    assert int(rows["grow"]["net_total_bytes"]) >= 9 * 300 * PAGE and int(rows["grow"]["calls"]) == 14
    assert all(row["calls"] == row["net_total_bytes"] == "" and row["net_own_bytes"] for row in some.values())


def test_several_files_are_one_run(nested: Path) -> None:
    # GIVEN two recordings
    paths = [nested / "capture.pmt", nested / "all.log"]
    target = nested / "both.csv"
    # WHEN
    assert main(["table", *map(str, paths), "--csv", "-f", "-o", str(target)]) == 0
    # THEN their sums are added
    lines = [line for line in target.read_text().splitlines() if line.startswith("grow,")]
    assert [line.split(",")[4] for line in lines] == ["28"]
    assert main(["tree", *map(str, paths), "-f", "-o", str(target)]) == 0
    assert f"add up to {sum(map(said_by_the_end, paths)):+,} bytes" in target.read_text()


# --- speed -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow_once
@pytest.mark.not_sanitized
def test_a_large_capture(tmp_path: Path) -> None:
    """`make big` has a billion events; here they are fewer, and a limit that only a change of order can break."""
    # GIVEN 20 million events
    root = Path(__file__).resolve().parents[2]
    made = subprocess.run(["make", "build/big/make_capture"], cwd=root, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    path = tmp_path / "big.pmt"
    subprocess.run([root / "build/big/make_capture", path, "20000000"], check=True, timeout=120, capture_output=True)
    # WHEN
    done = {
        name: child.run([sys.executable, "-m", "pymemtrace", name, str(path)], tmp_path, timeout=30)
        for name in ("table", "tree")
    }
    # THEN they are right
    for one in done.values():
        assert "20,000,000 events" in one.stdout and "to the byte" in one.stdout
