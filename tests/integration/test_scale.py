"""Very many functions, very deep recursion, functions that come and go: exact counts, memory within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child

RunChild = Callable[..., Child]
pytestmark = [pytest.mark.not_sanitized, pytest.mark.usefixtures("each_engine")]
MIB = 1 << 20


def within_bounds(stats: dict[str, int]) -> None:
    """The recorder's own memory: at most 24 MiB and 64 bytes a site."""
    assert 0 < stats["tracer_bytes"] <= 24 * MIB + 64 * stats["sites"], stats


@pytest.mark.parametrize("mode", [pytest.param("all", marks=pytest.mark.slow_once), "none"])
def test_seventy_thousand_functions(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN
    source = """
        import sys
        import pymemtrace
        from support.child import report

        COUNT = 70_000
        functions = []
        for first in range(0, COUNT, 1000):
            namespace = {}
            lines = ["def function_%d(): return %d" % (n, n) for n in range(first, first + 1000)]
            exec(compile("\\n".join(lines), "<generated %d>" % first, "exec"), namespace)
            functions += [namespace["function_%d" % n] for n in range(first, first + 1000)]

        def main():
            total = 0
            for function in functions:
                total += function()
            return total

        main()
        with pymemtrace.trace(sys.argv[1], log=sys.argv[2]) as recording:
            total = main()
        report(total=total, events=recording.events, stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "many.log", mode, timeout=180)
    # THEN
    stats = done.result["stats"]
    assert done.result["total"] == sum(range(70_000))
    assert done.result["events"] == 140_002
    within_bounds(stats)
    if mode == "all":
        assert stats["sites"] >= 140_000
        rows = log.read(tmp_path / "many.log", "all").rows[1:-1]
        assert [(row.what, row.function) for row in rows] == [
            (what, f"function_{n}") for n in range(70_000) for what in ("CALL", "RETURN")
        ]
        assert [(row.file, row.line) for row in rows[::2]] == [
            (f"<generated {n - n % 1000}>", n % 1000 + 1) for n in range(70_000)
        ]


def test_recursion_twenty_thousand_deep(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a thread with a large stack, for the versions whose Python calls use the C stack
    source = """
        import sys
        import threading
        import pymemtrace
        from support.child import report

        DEPTH = 20_000

        def down(n):
            if n == 0:
                return abs(-1)
            return down(n - 1) + 1

        def run():
            sys.setrecursionlimit(DEPTH + 1000)
            with pymemtrace.trace(sys.argv[1], log="all") as recording:
                result = down(DEPTH)
            report(result=result, events=recording.events, stats=recording.stats())

        threading.stack_size(512 << 20)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """
    # WHEN
    done = run_child(source, tmp_path / "deep.log", timeout=120)
    # THEN
    assert done.result["result"] == 20_001
    rows = log.read(tmp_path / "deep.log", "all").rows
    down = [row for row in rows if row.function == "down"]
    assert [row.what for row in down] == ["CALL"] * 20_001 + ["RETURN"] * 20_001
    assert [row.what for row in rows if row.function == "abs"] == ["C_CALL", "C_RETURN"]
    within_bounds(done.result["stats"])


COMPILING = """
    import sys
    import pymemtrace
    from support.child import report

    count, names = int(sys.argv[1]), sys.argv[2]

    def compiled(n):
        name = "same" if names == "same" else "different_%d" % n
        namespace = {}
        exec("def " + name + "(x):\\n    return len(x)\\n", namespace)
        return namespace[name]("four")

    def main():
        for n in range(count):
            compiled(n)

    compiled(0)
    with pymemtrace.trace("/dev/null", log="all") as recording:
        main()
    report(events=recording.events, stats=recording.stats(), growth=recording.growth(-1))
"""


@pytest.mark.parametrize("names", [pytest.param("same", marks=pytest.mark.slow_once), "different"])
def test_functions_compiled_in_a_loop(run_child: RunChild, names: str) -> None:
    # GIVEN a program that compiles, calls and forgets functions, 5,000 and 50,000 times
    results = []
    for count in (5_000, 50_000):
        # WHEN
        done = run_child(COMPILING, count, names, timeout=180)
        results.append(done.result)
        # THEN every event is counted: main; compiled, exec, <module>, the function, len
        assert done.result["events"] == 2 + 10 * count
        within_bounds(done.result["stats"])
    # and the recorder has forgotten them too: after ten times as many it is larger by no more than what those take that
    # are in the ring still, where the writer was kept waiting (45,000 would take 15 MiB)
    small, large = (result["stats"] for result in results)
    assert large["tracer_bytes"] - small["tracer_bytes"] <= 4 * MIB
    assert large["tracer_growth"] - small["tracer_growth"] <= 4 * MIB
    # and of what the program itself grew by, it does not grow either
    assert large["rss_last"] - large["rss_first"] <= 16 * MIB


def test_compiled_functions_keep_their_names(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN code objects that die at once, so that their addresses come back with other names and lines
    source = """
        import sys
        import pymemtrace

        def compiled(n):
            namespace = {}
            exec("\\n" * (n % 50) + "def different_%d(x):\\n    return len(x)\\n" % n, namespace)
            addresses.append(id(namespace["different_%d" % n].__code__))
            return namespace["different_%d" % n]("four")

        addresses = []
        with pymemtrace.trace(sys.argv[1], log="all"):
            for n in range(5000):
                compiled(n)
        print(len(addresses) - len(set(addresses)))
    """
    # WHEN
    done = run_child(source, tmp_path / "names.log", timeout=120)
    # THEN each event has the name and line of the function that ran, whoever had its address before
    assert int(done.stdout) > 1000, "no address came back: the test tests nothing"
    rows = [row for row in log.read(tmp_path / "names.log", "all").rows if row.function.startswith("different")]
    assert [(row.what, row.function, row.line) for row in rows] == [
        (what, f"different_{n}", n % 50 + line) for n in range(5000) for what, line in (("CALL", 1), ("RETURN", 2))
    ]


def test_memory_does_not_grow_with_events(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN the same few sites, 20,000 and 2 million events
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def function(n):
            return abs(n)

        def main(count):
            for n in range(count):
                function(n)

        with pymemtrace.trace(sys.argv[1], log="threshold") as recording:
            main(int(sys.argv[2]))
        report(events=recording.events, stats=recording.stats())
    """
    # WHEN
    sizes = []
    for count in (5_000, 500_000):
        done = run_child(source, tmp_path / f"{count}.log", count, timeout=120)
        assert done.result["events"] == 4 * count + 2
        sizes.append(done.result["stats"]["tracer_bytes"])
        within_bounds(done.result["stats"])
    # THEN
    assert sizes[1] - sizes[0] <= 64 << 10


def test_many_c_functions(run_child: RunChild, probe_folder: Path, tmp_path: Path) -> None:
    # GIVEN 20,000 different C functions at one line
    source = """
        import sys
        import pymemtrace
        from support.child import report

        path, extensions = sys.argv[1:]
        sys.path.insert(0, extensions)
        import probe

        functions = [probe.make_function("c_%d" % n) for n in range(20_000)]

        def main():
            for function in functions:
                function()

        with pymemtrace.trace(path, log="all") as recording:
            main()
        report(events=recording.events, stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "many.log", probe_folder, timeout=120)
    # THEN each has its own name
    rows = log.read(tmp_path / "many.log", "all").rows[1:-1]
    assert [(row.what, row.function) for row in rows] == [
        (what, f"c_{n}") for n in range(20_000) for what in ("C_CALL", "C_RETURN")
    ]
    within_bounds(done.result["stats"])
