"""coverage in the same processes, children too: its data are as without the recorder, and all files are whole."""

from __future__ import annotations

import os
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from support.child import TESTS, run

import pymemtrace

coverage = pytest.importorskip("coverage", reason="coverage is not installed")

pytestmark = pytest.mark.usefixtures("each_engine")

CORES = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]
FUNCTIONS = ("in_root", "in_forked", "in_process", "in_started", "nowhere", "work")
CONFIGURATION = """
    [run]
    source = {folder}
    data_file = {folder}/data/of
    parallel = true
    concurrency = multiprocessing
    """
SITE = """
    import coverage
    coverage.process_startup()
    """
SHARED = """
    def work(n):
        if n % 2:
            return abs(n)
        for _ in range(3):
            n += 1
        return n

    def in_forked(n):
        return work(2) if n == "os" else work(1)

    def in_process(method):
        if method == "spawn":
            return work(1)
        return work(2) + work(4)

    def in_started():
        return [work(n) for n in (1, 3)]

    def nowhere():
        return work(5)
    """
PROGRAM = """
    import multiprocessing
    import os
    import subprocess
    import sys

    import shared

    def in_root():
        child = os.fork()
        if child == 0:
            shared.in_forked("os")
            sys.exit(3)
        print(os.waitpid(child, 0)[1])
        for method in ("fork", "spawn"):
            process = multiprocessing.get_context(method).Process(target=shared.in_process, args=(method,))
            process.start()
            process.join()
            print(process.exitcode)
        env = {**os.environ, "COVERAGE_PROCESS_START": "rc"}
        print(subprocess.call([sys.executable, "started.py"], env=env))

    if __name__ == "__main__":
        in_root()
    """
STARTED = """
    import shared
    shared.in_started()
    """


def measured(folder: Path, core: str, *launcher: str) -> tuple[str, str, dict[str, list[list[int]]]]:
    """Run it under coverage: stdout, stderr, and by file the lines that ran in each of its processes."""
    site = folder.parent / "site"
    for each in (site, folder, folder / "data"):
        each.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(textwrap.dedent(SITE))
    sources = {"program.py": PROGRAM, "shared.py": SHARED, "started.py": STARTED}
    for name, source in {**sources, "rc": CONFIGURATION.format(folder=folder)}.items():
        (folder / name).write_text(textwrap.dedent(source))
    env = {"COVERAGE_CORE": core, "PYTHONDONTWRITEBYTECODE": "1"}
    path = os.pathsep.join([str(site), str(TESTS.parent)])
    command = ["-m", "coverage", "run", "--rcfile=rc", "program.py"]
    done = run([sys.executable, *launcher, *command], folder, env={**env, "PYTHONPATH": path})
    lines: dict[str, list[list[int]]] = {}
    for file in (folder / "data").iterdir():
        data = coverage.CoverageData(str(file))
        data.read()
        for name in data.measured_files():
            lines.setdefault(os.path.relpath(name, folder), []).append(sorted(data.lines(name)))
    return done.stdout, done.stderr, {name: sorted(each) for name, each in lines.items()}


def calls(capture: pymemtrace.Capture) -> list[tuple[str, int]]:
    """Of the program's functions, sorted."""
    names = (event.function for event in capture.events() if event.what == "CALL")
    return sorted(Counter(name for name in names if name in FUNCTIONS).items())


@pytest.mark.parametrize("core", CORES)
def test_coverage(tmp_path: Path, core: str) -> None:
    # GIVEN a program under coverage, in children that it forks and starts, too
    plain = measured(tmp_path / "plain", core)
    assert plain[0].split() == [str(3 << 8), "0", "0", "0"] and len(plain[2]["shared.py"]) == 5
    # WHEN it runs with the recorder
    launcher = ["-m", "pymemtrace", "run", "-q", "-o", "job.pmt"]
    recorded = measured(tmp_path / "recorded", core, *launcher)
    # THEN the data are the same, process by process
    assert recorded == plain
    # and the file of each process is whole, and has its calls
    captures = [pymemtrace.read(path) for path in (tmp_path / "recorded").glob("*.pmt")]
    assert [capture.why for capture in captures] == [None] * len(captures)
    expected = [
        {"in_root": 1},
        {"in_forked": 1, "work": 1},
        {"in_process": 1, "work": 2},
        {"in_process": 1, "work": 1},
        {"in_started": 1, "work": 2},
    ]
    found = [calls(capture) for capture in captures]
    assert sorted(each for each in found if each) == sorted(sorted(each.items()) for each in expected)
