"""Other profilers and tracers in the same process: before, between, inside, beside."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child
from support.program import head

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

HEAD = head("one", "two", "three") + "    import threading\n"


def says_so(text: log.Log) -> bool:
    """Whether the end of the log speaks of at least one profile function of the program's own."""
    return any("profile function" in comment.text and re.search(r"\b[1-9]", comment.text) for comment in text.foot)


def whats(text: log.Log, function: str) -> list[str]:
    return [row.what for row in text.rows if row.function == function]


def test_profile_function_before_is_put_back(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a profile function in Python
    source = (
        HEAD
        + """
    seen = []

    def profiler(frame, event, arg):
        if event == "call":
            seen.append(frame.f_code.co_name)

    sys.setprofile(profiler)
    one(1)
    with pymemtrace.trace(path, log="all"):
        two(2)
    same = sys.getprofile() is profiler
    three(3)
    sys.setprofile(None)
    report(seen=[name for name in seen if name in ("one", "two", "three")], same=same)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "before.log")
    # THEN it is active after the recording as it was before
    assert done.result["same"]
    assert done.result["seen"] in (["one", "three"], ["one", "two", "three"])
    text = log.read(tmp_path / "before.log", "all")
    assert whats(text, "two") == ["CALL", "RETURN"]
    assert "profiler" not in {row.function for row in text.rows}


def test_profile_function_of_threading_is_put_back(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN threading.setprofile with a function of the program
    source = (
        HEAD
        + """
    seen = []

    def profiler(frame, event, arg):
        if event == "call":
            seen.append(frame.f_code.co_name)

    def in_thread(function):
        thread = threading.Thread(target=function, args=(1,))
        thread.start()
        thread.join()

    threading.setprofile(profiler)
    in_thread(one)
    with pymemtrace.trace(path, log="all"):
        in_thread(two)
    in_thread(three)
    report(seen=[name for name in seen if name in ("one", "two", "three")])
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "threading.log")
    # THEN threads after the recording have it again
    assert done.result["seen"] in (["one", "three"], ["one", "two", "three"])
    assert whats(log.read(tmp_path / "threading.log", "all"), "two") == ["CALL", "RETURN"]


def test_no_profile_function_is_left(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN no profile function
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all"):
        one(1)
    hook = threading.getprofile() if hasattr(threading, "getprofile") else threading._profile_hook
    profile = []
    thread = threading.Thread(target=lambda: profile.append(repr(sys.getprofile())))
    thread.start()
    thread.join()
    report(main=repr(sys.getprofile()), threading=repr(hook), thread=profile)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "none.log")
    # THEN there is none afterwards, in no thread
    assert done.result == {"main": "None", "threading": "None", "thread": ["None"]}


@pytest.mark.parametrize("between", ["None", "other", "old"])
def test_saved_and_restored_profile_function(
    run_child: RunChild, tmp_path: Path, between: str, each_engine: str
) -> None:
    # GIVEN a program that saves the profile function, sets another one or none, and restores it, several times
    source = (
        HEAD
        + """
    seen = []

    def other(frame, event, arg):
        seen.append(event)

    def main():
        one(0)
        for n in range(5):
            old = sys.getprofile()
            sys.setprofile({})
            two(n)
            sys.setprofile(old)
            for _ in range(3):
                three(n)

    with pymemtrace.trace(path, log="all") as recording:
        main()
    report(seen=len(seen), events=recording.events, error=repr(recording.error), after=repr(sys.getprofile()))
    """.format(between)
    )
    # WHEN
    done = run_child(source, tmp_path / "saved.log")
    # THEN from the restoring on no event is missing, and none is there twice
    text = log.read(tmp_path / "saved.log", "all")
    assert done.result["events"] == len(text.rows)
    assert done.result["error"] == done.result["after"] == "None"
    keys = [(row.what, row.function) for row in text.rows if row.function != "setprofile"]
    calls = [("CALL", "three"), ("C_CALL", "abs"), ("C_RETURN", "abs"), ("RETURN", "three")]
    again = [key for key in keys if key[1] in ("three", "abs")]
    assert whats(text, "one") == ["CALL", "RETURN"]
    assert whats(text, "three") == ["CALL", "RETURN"] * 15
    twos = whats(text, "two")
    if between == "old" or each_engine == "monitoring":
        assert twos == ["CALL", "RETURN"] * 5
    else:
        assert twos == []  # the program asked for that
        assert again == [("C_CALL", "abs"), ("C_RETURN", "abs")] + calls * 15
    assert (done.result["seen"] > 0) == (between == "other")
    assert keys[-1] == ("RETURN", "main")


def test_restored_by_a_function_of_its_own(run_child: RunChild, tmp_path: Path, each_engine: str) -> None:
    # GIVEN a restoring deep in a call, so that the first event after it is a RETURN
    source = (
        HEAD
        + """
    def restore(old):
        sys.setprofile(old)

    def main():
        old = sys.getprofile()
        sys.setprofile(None)
        one(1)
        restore(old)
        two(2)

    with pymemtrace.trace(path, log="all"):
        main()
    """
    )
    # WHEN
    run_child(source, tmp_path / "deep.log")
    # THEN that RETURN is there
    text = log.read(tmp_path / "deep.log", "all")
    assert whats(text, "restore") == (["RETURN"] if each_engine == "profile" else ["CALL", "RETURN"])
    assert whats(text, "two") == ["CALL", "RETURN"]


def test_replaced_for_good(run_child: RunChild, tmp_path: Path, each_engine: str) -> None:
    # GIVEN a program that sets a profile function of its own and leaves it
    source = (
        HEAD
        + """
    seen = []

    def other(frame, event, arg):
        if event == "call":
            seen.append(frame.f_code.co_name)

    with pymemtrace.trace(path, log="all") as recording:
        one(1)
        sys.setprofile(other)
        two(2)
    kept = sys.getprofile() is other
    three(3)
    sys.setprofile(None)
    report(kept=kept, seen=[name for name in seen if name in ("one", "two", "three")], error=repr(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "replaced.log")
    # THEN it stays, as it would without us; the log is whole up to there and says what happened
    assert done.result == {"kept": True, "seen": ["two", "three"], "error": "None"}
    text = log.read(tmp_path / "replaced.log", "all")
    assert whats(text, "one") == ["CALL", "RETURN"]
    if each_engine == "monitoring":  # which does not depend on it
        assert whats(text, "two") == ["CALL", "RETURN"]
    else:
        assert whats(text, "two") == []
        assert says_so(text)


def test_cprofile_before(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN cProfile around the recording
    source = (
        HEAD
        + """
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.enable()
    one(1)
    with pymemtrace.trace(path, log="all"):
        two(2)
    three(3)
    three(3)
    profiler.disable()
    calls = {key[2]: value[1] for key, value in pstats.Stats(profiler).stats.items()}
    report(calls={name: calls.get(name, 0) for name in ("one", "two", "three")}, after=repr(sys.getprofile()))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "cprofile.log")
    # THEN it goes on afterwards, and ends as it should
    calls = done.result["calls"]
    assert (calls["one"], calls["three"]) == (1, 2)
    assert done.result["after"] == "None"
    assert whats(log.read(tmp_path / "cprofile.log", "all"), "two") == ["CALL", "RETURN"]


def test_cprofile_inside(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that profiles itself
    source = (
        HEAD
        + """
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    with pymemtrace.trace(path, log="all") as recording:
        one(1)
        profiler.enable()
        two(2)
        two(2)
        profiler.disable()
        three(3)
    calls = {key[2]: value[1] for key, value in pstats.Stats(profiler).stats.items()}
    report(twos=calls.get("two"), error=repr(recording.error), after=repr(sys.getprofile()))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "inside.log")
    # THEN its profile is right
    assert done.result == {"twos": 2, "error": "None", "after": "None"}
    text = log.read(tmp_path / "inside.log", "all")
    assert whats(text, "one") == ["CALL", "RETURN"]
    if sys.version_info >= (3, 12):
        # cProfile stands on sys.monitoring there: nobody is in the other's way
        assert whats(text, "two") == ["CALL", "RETURN"] * 2
        assert whats(text, "three") == ["CALL", "RETURN"]
    else:
        # cProfile takes our place, and takes the profile function away at its end: what is missing is said
        assert whats(text, "two") == whats(text, "three") == []
        assert says_so(text)


def test_settrace_beside(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a trace function that sees lines, as debuggers and coverage do, set before and while recording
    source = (
        HEAD
        + """
    import gc
    from support import reference

    gc.disable()
    lines = []

    def tracer(frame, event, arg):
        if frame.f_code.co_filename == __file__:
            lines.append((frame.f_code.co_name, event))
            return tracer

    def main():
        sys.settrace(tracer)
        one(1)
        two(2)
        sys.settrace(None)
        return three(3)

    def plain():
        return main()

    def record():
        with pymemtrace.trace(path, log="all"):
            main()

    plain()
    untraced = lines[:]
    lines.clear()
    _, (expected,) = reference.run(main)
    with_reference = lines[:]
    lines.clear()
    record()
    report(expected=expected, same=lines == untraced, lines=len(untraced))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "settrace.log")
    # THEN the trace function sees what it sees without us, and we what the reference sees
    assert done.result["same"] and done.result["lines"] >= 6
    rows = log.read(tmp_path / "settrace.log", "all").rows
    expected = [tuple(event) for event in done.result["expected"]]
    assert [row.key for row in rows] == expected
    assert "tracer" not in {row.function for row in rows}
