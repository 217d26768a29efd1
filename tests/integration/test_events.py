"""Every event of every program, in order, with file, line and function: as a reference recorder in Python has it."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

import corpus
import pytest
from support import child, engines, log

RunChild = Callable[..., child.Child]
pytestmark = pytest.mark.usefixtures("each_engine")
PROGRAMS = sorted(module.name for module in pkgutil.iter_modules(corpus.__path__) if not module.ispkg)


def run_both(program: str, mode: str, threshold: int, tmp_path: Path) -> tuple[child.Child, Path]:
    """Run support/compare.py; the reference itself must have seen the same twice."""
    path = tmp_path / "program.log"
    command = [sys.executable, "-X", "faulthandler", "-m", "support.compare", program, mode, str(threshold), str(path)]
    done = child.run(command, tmp_path)
    assert done.result["steady"], "the program of the corpus is not deterministic"
    assert done.result["error"] is None
    return done, path


def first_difference(expected: list[tuple[object, ...]], got: list[tuple[object, ...]]) -> str:
    """Where two sequences part, with what stood before and after. "" when they are equal."""
    if expected == got:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    lines = [f"{len(expected)} events expected, {len(got)} recorded; they part at {at}:"]
    lines += [f"    both     {event}" for event in expected[max(0, at - 4) : at]]
    lines += [f"    expected {event}" for event in expected[at : at + 4]]
    lines += [f"    recorded {event}" for event in got[at : at + 4]]
    return "\n".join(lines)


def test_the_corpus_is_there() -> None:
    # GIVEN programs found by their folder: an empty list would test nothing
    # THEN
    assert len(PROGRAMS) >= 25


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("mode, threshold", [("all", 4096), ("threshold", 0)])
def test_sequence_equals_the_reference(
    program: str, mode: str, threshold: int, tmp_path: Path, each_engine: str
) -> None:
    # GIVEN a program of the corpus
    # WHEN it runs under the reference and under the recorder, every event logged
    done, path = run_both(program, mode, threshold, tmp_path)
    # THEN each thread has the same events in the same order
    threads = log.read(path, mode, threshold=threshold).threads()
    expected = [[tuple(event) for event in events] for events in done.result["threads"]]
    if each_engine == "monitoring":
        expected = [engines.with_missing_calls(events) for events in expected]
    for number, (events, rows) in enumerate(zip(expected, threads)):
        difference = first_difference(events, [row.key for row in rows])
        assert not difference, f"thread {number}: {difference}"
    assert len(threads) == len(expected)
    # and the program could not tell
    assert done.result["traced"] == done.result["plain"]
    count = sum(map(len, expected))
    assert (done.result["events"], done.result["logged"]) == (count, count)


@pytest.mark.parametrize("program", ["asyncio_run", "classes", "exec_eval", "fresh_import", "generators", "threads"])
@pytest.mark.parametrize("mode", ["none", "threshold", "previous"])
def test_events_are_counted_whatever_is_logged(program: str, mode: str, tmp_path: Path) -> None:
    # GIVEN a filter that lets few events through
    # WHEN
    done, path = run_both(program, mode, 4096, tmp_path)
    # THEN the events that were not logged are counted all the same
    text = log.read(path, mode)
    assert done.result["events"] == sum(map(len, done.result["threads"]))
    assert done.result["logged"] == len(text.rows)
    assert done.result["traced"] == done.result["plain"]


@pytest.mark.parametrize("program", ["callbacks", "exceptions", "generators", "method_descriptors"])
def test_previous_with_threshold_0_is_every_event(program: str, tmp_path: Path) -> None:
    # GIVEN threshold 0: every event differs by at least that from the last NEXT
    # WHEN
    done, path = run_both(program, "previous", 0, tmp_path)
    # THEN every event is a NEXT
    rows = log.read(path, "previous", threshold=0).rows
    (expected,) = done.result["threads"]
    assert not first_difference([tuple(event) for event in expected], [row.key for row in rows])
    assert {row.tag for row in rows} == {"NEXT"}


def test_recursion_error(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recursion that ends by RecursionError: a reference in Python needs stack itself, so the program counts
    path = tmp_path / "program.log"
    source = """
        import sys
        import pymemtrace
        from support.child import report

        entered = 0

        def down():
            global entered
            entered += 1
            down()

        def plain():
            try:
                down()
            except RecursionError as error:
                return str(error)

        def recorded():
            with pymemtrace.trace(sys.argv[1], log="all"):
                return plain()

        def unrecorded():
            return plain()

        text = unrecorded()
        untraced, entered = entered, 0
        traced_text = recorded()
        report(untraced=untraced, traced=entered, text=text, traced_text=traced_text)
    """
    # WHEN
    done = run_child(source, path)
    # THEN as many frames were entered as without us, each is left once, and the error says the same
    keys = [(row.what, row.function) for row in log.read(path, "all").rows]
    depth = done.result["traced"]
    assert depth == done.result["untraced"] > 500
    assert done.result["text"] == done.result["traced_text"]
    calls = [("CALL", "plain"), *[("CALL", "down")] * depth]
    returns = [*[("RETURN", "down")] * depth, ("RETURN", "plain")]
    assert keys == calls + returns


def test_events_end_with_the_body(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a body that calls one C function and one Python function, in both interfaces and as a decorator
    source = """
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace

        def function():
            return 1

        folder = sys.argv[1]
        with pymemtrace.trace(folder + "/trace.log", log="all"):
            abs(-1)
            function()
        with cPyMemTrace.Profile(0, filepath=folder + "/profile.log"):
            abs(-1)
            function()
        with cPyMemTrace.Tracer(folder + "/tracer.log", log="all"):
            abs(-1)
            function()

        @pymemtrace.trace(folder + "/decorator.log", log="all")
        def decorated():
            abs(-1)
            function()

        decorated()
    """
    # WHEN
    run_child(source, tmp_path)
    # THEN no frame or function of ours is an event
    body = [("C_CALL", "abs"), ("C_RETURN", "abs"), ("CALL", "function"), ("RETURN", "function")]
    around = [("CALL", "decorated"), *body, ("RETURN", "decorated")]
    for name, mode, expected in [
        ("trace", "all", body),
        ("profile", "threshold", body),
        ("tracer", "all", body),
        ("decorator", "all", around),
    ]:
        rows = log.read(tmp_path / f"{name}.log", mode, threshold=0).rows
        assert [(row.what, row.function) for row in rows] == expected, name


def test_the_modules_own_functions_are_events(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a body that asks for the RSS
    source = """
        import sys
        import pymemtrace

        with pymemtrace.trace(sys.argv[1], log="all"):
            pymemtrace.rss()
    """
    # WHEN
    run_child(source, tmp_path / "own.log")
    # THEN that call is one
    rows = log.read(tmp_path / "own.log", "all").rows
    assert [(row.what, row.function) for row in rows] == [("C_CALL", "rss"), ("C_RETURN", "rss")]


def test_frames_open_at_the_start_and_at_the_end(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording that begins deep inside one call and ends inside another
    source = """
        import sys
        from pymemtrace import cPyMemTrace

        tracer = cPyMemTrace.Tracer(sys.argv[1], log="all")

        def begin(depth):
            if depth:
                begin(depth - 1)
            else:
                tracer.start()

        def end(depth):
            if depth:
                end(depth - 1)
            else:
                tracer.stop()

        begin(2)
        end(2)
    """
    # WHEN
    run_child(source, tmp_path / "open.log")
    # THEN the RETURNs of the frames that were open are events, and so are the CALLs that never return
    rows = log.read(tmp_path / "open.log", "all").rows
    assert [(row.what, row.function) for row in rows] == [("RETURN", "begin")] * 3 + [("CALL", "end")] * 3


def test_lines_are_those_of_the_frame(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN calls spread over lines whose numbers are known
    source = """
        import sys
        import pymemtrace

        def spread(a, b):
            first = abs(
                a,
            )
            second = (
                abs(b)
                + first
            )
            return second

        with pymemtrace.trace(sys.argv[1], log="all"):
            spread(
                1,
                2,
            )
    """
    # WHEN
    run_child(source, tmp_path / "lines.log")
    # THEN: the CALL at the def, the C events at their call, the RETURN at its return
    rows = log.read(tmp_path / "lines.log", "all").rows
    got = [(row.what, row.line) for row in rows]
    assert got == [("CALL", 5), ("C_CALL", 6), ("C_RETURN", 6), ("C_CALL", 10), ("C_RETURN", 10), ("RETURN", 13)]
    assert {row.file for row in rows} == {str(tmp_path / "child" / "program_0.py")}


def test_objects_that_die_in_local_variables(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN what a reference in Python cannot see before 3.11, because its own machinery keeps variables alive
    source = """
        import sys
        import weakref
        import pymemtrace

        class Loud:
            def __del__(self):
                abs(1)

        def deleted():
            local = Loud()
            del local
            len("")

        def left():
            local = Loud()
            len("")

        def referenced():
            local = Loud()
            reference = weakref.ref(local, lambda _: abs(2))
            local = None
            len("")

        with pymemtrace.trace(sys.argv[1], log="all"):
            deleted()
            left()
            referenced()
    """
    # WHEN
    run_child(source, tmp_path / "dying.log")
    # THEN each death is where it happens
    rows = log.read(tmp_path / "dying.log", "all").rows
    got = [(row.what, row.function) for row in rows]
    calls = {name: [("C_CALL", name), ("C_RETURN", name)] for name in ("abs", "len")}
    destructor = [("CALL", "__del__"), *calls["abs"], ("RETURN", "__del__")]
    callback = [("CALL", "<lambda>"), *calls["abs"], ("RETURN", "<lambda>")]
    assert got == [
        ("CALL", "deleted"), *destructor, *calls["len"], ("RETURN", "deleted"),
        ("CALL", "left"), *calls["len"], ("RETURN", "left"), *destructor,
        ("CALL", "referenced"), *destructor, *callback, *calls["len"], ("RETURN", "referenced"),
    ]  # fmt: skip


def test_a_hundred_thousand_events_in_order(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN far more events than the ring holds
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def function(n):
            return abs(n)

        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            for n in range(40_000):
                function(n)
        report(events=recording.events, waits=recording.stats()["waits"])
    """
    # WHEN
    done = run_child(source, tmp_path / "many.log", timeout=120)
    # THEN each is there, in its place
    rows = log.read(tmp_path / "many.log", "all").rows
    cycle = [("CALL", "function"), ("C_CALL", "abs"), ("C_RETURN", "abs"), ("RETURN", "function")]
    assert done.result["events"] == len(rows) == 160_000
    assert [(row.what, row.function) for row in rows] == cycle * 40_000
