"""Which engine records, why, and what it leaves behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child
from support.program import head

RunChild = Callable[..., Child]

HAS_MONITORING = sys.version_info >= (3, 12)
needs_monitoring = pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring came with Python 3.12")

HEAD = head(work="[abs(i) for i in range(n)]")


def engine_line(path: Path) -> str:
    """What the header says of the engine."""
    (line,) = [each.text for each in log.read(path, "all").head if each.text.startswith("engine: ")]
    return line.partition(": ")[2]


def test_auto_takes_the_cheaper_one(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording that asks for nothing
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all") as recording:
        work(3)
    report(engine=recording.stats()["engine"], engines=pymemtrace.cPyMemTrace.info()["engines"])
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "auto.log")
    # THEN
    expected = "monitoring" if HAS_MONITORING else "profile"
    assert done.result["engine"] == expected
    assert engine_line(tmp_path / "auto.log").startswith(f"{expected} (")
    assert list(done.result["engines"]) == ["monitoring", "profile"]
    assert done.result["engines"]["profile"] is None
    why = done.result["engines"]["monitoring"]
    assert why is None if HAS_MONITORING else "3.12" in why


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_profile_can_be_asked_for(run_child: RunChild, tmp_path: Path, how: str) -> None:
    # GIVEN
    argument = ", engine='profile'" if how == "argument" else ""
    source = (
        HEAD
        + f"""
    with pymemtrace.trace(path, log="all"{argument}) as recording:
        hook = sys.getprofile()
        work(3)
    report(engine=recording.stats()["engine"], hook=hook is not None)
    """
    )
    env = {"PYMEMTRACE_ENGINE": "profile"} if how == "environment" else {}
    # WHEN
    done = run_child(source, tmp_path / "profile.log", env=env)
    # THEN
    assert done.result == {"engine": "profile", "hook": True}
    said = "asked for" if how == "argument" else "PYMEMTRACE_ENGINE"
    assert engine_line(tmp_path / "profile.log") == f"profile ({said})"


def test_an_engine_that_nobody_knows(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN an environment that names one
    source = (
        HEAD
        + """
    try:
        with pymemtrace.trace(path):
            pass
    except ValueError as error:
        report(said=str(error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "no.log", env={"PYMEMTRACE_ENGINE": "steam"})
    # THEN one sentence, and no file
    assert "PYMEMTRACE_ENGINE" in done.result["said"] and "steam" in done.result["said"]
    assert not (tmp_path / "no.log").exists()


@pytest.mark.skipif(HAS_MONITORING, reason="this Python has sys.monitoring")
def test_monitoring_cannot_be_had_before_3_12(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = (
        HEAD
        + """
    try:
        with pymemtrace.trace(path, engine="monitoring"):
            pass
    except ValueError as error:
        report(said=str(error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "no.log")
    # THEN one sentence, and no file
    assert "monitoring" in done.result["said"] and "3.12" in done.result["said"]
    assert not (tmp_path / "no.log").exists()


@needs_monitoring
def test_nothing_of_the_programs_profile_function_is_touched(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program with a profile function of its own
    source = (
        HEAD
        + """
    seen = []

    def profiler(frame, event, arg):
        seen.append((event, frame.f_code.co_name))

    def body():
        sys.setprofile(profiler)
        work(2)
        same = sys.getprofile() is profiler
        sys.setprofile(None)
        return same

    before = body()
    plain, seen = seen, []
    with pymemtrace.trace(path, log="all", engine="monitoring") as recording:
        during = body()
    # Where anything is instrumented, CPython tells the new function of the return from the call that installed it.
    seen = seen[seen[0] == ("c_return", "body"):]
    report(before=before, during=during, same=seen == plain, events=recording.events, seen=len(seen))
    """
    )
    # WHEN it records by sys.monitoring
    done = run_child(source, tmp_path / "own.log")
    # THEN that function sees what it saw without us, and we see the program
    assert done.result["before"] and done.result["during"] and done.result["same"] and done.result["seen"] > 5
    rows = log.read(tmp_path / "own.log", "all").rows
    assert [row.what for row in rows if row.function == "work"] == ["CALL", "RETURN"]
    assert done.result["events"] == len(rows)


@needs_monitoring
@pytest.mark.parametrize("taken, expected", [([], 3), ([3], 4), ([4], 3), ([3, 4], None)])
def test_tool_ids(run_child: RunChild, tmp_path: Path, taken: list[int], expected: int | None) -> None:
    # GIVEN other tools, with events and callbacks of their own
    source = (
        HEAD
        + f"""
    taken = {taken}
    monitoring, E = sys.monitoring, sys.monitoring.events
    calls = {{tool: 0 for tool in taken}}
    for tool in taken:
        def callback(code, offset, tool=tool):
            if code is work.__code__:
                calls[tool] += 1
        monitoring.use_tool_id(tool, f"other{{tool}}")
        monitoring.register_callback(tool, E.PY_START, callback)
        monitoring.set_events(tool, E.PY_START)
    names = lambda: [monitoring.get_tool(tool) for tool in range(6)]
    before = names()
    with pymemtrace.trace(path, log="all") as recording:
        during = names()
        work(3)
    engine = recording.stats()["engine"]
    said = ""
    try:
        with pymemtrace.trace(None, log="none", engine="monitoring"):
            pass
    except ValueError as error:
        said = str(error)
    left = []
    for tool in (3, 4):
        if tool not in taken:
            monitoring.use_tool_id(tool, "look")
            left.append(monitoring.get_events(tool))
            left += [monitoring.register_callback(tool, event, None) is not None
                     for event in (E.PY_START, E.PY_RETURN, E.CALL, E.PY_UNWIND)]
            monitoring.free_tool_id(tool)
    report(before=before, during=during, after=names(), engine=engine, said=said, left=left, calls=list(calls.values()))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "tools.log")
    # THEN the first free one of 3 and 4 is ours for the time being; without one, the profile function records
    result = done.result
    assert result["after"] == result["before"]
    assert result["calls"] == [1] * len(taken)
    assert not any(result["left"])
    if expected is None:
        assert result["during"] == result["before"]
        assert result["engine"] == "profile"
        assert "taken" in engine_line(tmp_path / "tools.log")
        assert "taken" in result["said"]
    else:
        assert result["during"][expected] == "pymemtrace"
        assert (result["engine"], result["said"]) == ("monitoring", "")
    rows = log.read(tmp_path / "tools.log", "all").rows
    assert [row.what for row in rows if row.function == "work"] == ["CALL", "RETURN"]


@needs_monitoring
def test_receivers_can_be_called_with_anything(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that takes one of our callables out and calls it
    source = (
        HEAD
        + """
    monitoring, E = sys.monitoring, sys.monitoring.events
    with pymemtrace.trace(path, log="all") as recording:
        for event in (E.PY_START, E.CALL, E.PY_UNWIND, E.C_RETURN):
            one = monitoring.register_callback(3, event, None)
            for args in ((), (1,), (1, 2), (work.__code__, "x"), (work.__code__, 0, None), (1, 2, 3, 4), (None,) * 9):
                one(*args)
            monitoring.register_callback(3, event, one)
        work(3)
    report(engine=recording.stats()["engine"], error=recording.error and str(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "called.log")
    # THEN it is harmless, and the recording goes on
    assert done.result == {"engine": "monitoring", "error": None}
    rows = log.read(tmp_path / "called.log", "all").rows
    assert [row.what for row in rows if row.function == "work"][-2:] == ["CALL", "RETURN"]


@needs_monitoring
@pytest.mark.parametrize("outer, inner", [("profile", "monitoring"), ("monitoring", "profile"), ("profile", "auto")])
def test_recordings_of_both_engines_in_each_other(run_child: RunChild, tmp_path: Path, outer: str, inner: str) -> None:
    # GIVEN
    source = (
        HEAD
        + f"""
    def one(): work(1)
    def two(): work(1)
    def three(): work(1)

    with pymemtrace.trace(path, log="all", engine="{outer}") as a:
        one()
        with pymemtrace.trace(path + ".inner", log="all", engine="{inner}") as b:
            two()
        three()
    tools = [sys.monitoring.get_tool(tool) for tool in range(6)]
    report(a=a.stats()["engine"], b=b.stats()["engine"], tools=tools, hook=sys.getprofile() is None)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "nested.log")
    # THEN each has its own part by its own engine; "auto" within another is that one's
    assert done.result["a"] == outer
    assert done.result["b"] == (outer if inner == "auto" else inner)
    assert done.result["tools"] == [None] * 6 and done.result["hook"]
    calls = [row.function for row in log.read(tmp_path / "nested.log", "all").rows if row.what == "CALL"]
    assert [name for name in calls if name in ("one", "two", "three")] == ["one", "three"]
    inside = [row.function for row in log.read(tmp_path / "nested.log.inner", "all").rows if row.what == "CALL"]
    assert "two" in inside and "three" not in inside


@needs_monitoring
@pytest.mark.parametrize("forbidden", ["sys.monitoring.register_callback"])
def test_an_audit_hook_forbids_it(run_child: RunChild, tmp_path: Path, forbidden: str) -> None:
    # GIVEN an audit hook that says no
    source = (
        HEAD
        + f"""
    on = True
    def hook(event, args):
        if on and event == "{forbidden}":
            raise PermissionError("not here")
    sys.addaudithook(hook)
    said = ""
    try:
        with pymemtrace.trace(path, log="all", engine="monitoring"):
            work(1)
    except PermissionError as error:
        said = str(error)
    on = False
    free = [sys.monitoring.get_tool(tool) for tool in (3, 4)]
    with pymemtrace.trace(path + ".second", log="all", engine="monitoring") as recording:
        work(2)
    report(said=said, free=free, events=recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "audit.log")
    # THEN its exception comes out of the start, nothing stays, and later it works
    assert done.result["said"] == "not here" and done.result["free"] == [None, None]
    assert done.result["events"] == len(log.read(tmp_path / "audit.log.second", "all").rows)


@needs_monitoring
def test_threads_of_any_kind_are_seen(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN threads that run already, and raw ones: both out of the profile function's reach
    source = (
        HEAD
        + """
    import _thread
    import threading

    go, done = threading.Event(), _thread.allocate_lock()
    def early():
        go.wait()
        work(1)
    def raw():
        work(2)
        done.release()

    thread = threading.Thread(target=early)
    thread.start()
    done.acquire()
    with pymemtrace.trace(path, log="all", engine="monitoring") as recording:
        go.set()
        thread.join()
        _thread.start_new_thread(raw, ())
        done.acquire()
    report(untraced=recording.stats()["threads_untraced"])
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "threads.log")
    # THEN
    text = log.read(tmp_path / "threads.log", "all")
    calls = [row for row in text.rows if (row.what, row.function) == ("CALL", "work")]
    assert len(calls) == 2 and len({row.tid for row in calls}) == 2
    assert done.result["untraced"] == 0


@needs_monitoring
def test_a_forked_child_is_not_monitored(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a fork while it records
    source = (
        HEAD
        + """
    import os
    with pymemtrace.trace(path, log="all", engine="monitoring", children=False) as recording:
        child = os.fork()
        if child == 0:
            tools = [sys.monitoring.get_tool(tool) for tool in range(6)]
            work(5)
            os._exit(0 if tools == [None] * 6 else 1)
        _, status = os.waitpid(child, 0)
        work(1)
    report(status=status, events=recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log")
    # THEN the child's interpreter is as if we had never been there, the parent's goes on
    assert done.result["status"] == 0
    rows = log.read(tmp_path / "fork.log", "all").rows
    assert len(rows) == done.result["events"]
    assert [row.what for row in rows if row.function == "work"] == ["CALL", "RETURN"]
