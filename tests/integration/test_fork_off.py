"""Fork with children=False: the child records nothing, writes nothing, does not hang; the parent goes on, unwarned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child
from support.program import head

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

# `-W error` makes the warning of 3.12 and later, that a process with threads forks, an exception.
STRICT = ("-X", "faulthandler", "-W", "error")
HEAD = head("before", "in_child", "after")


def check_parent(path: Path, events: int, times: int = 100) -> log.Log:
    """The parent's log: whole, nothing of a child in it, rows before and after the fork."""
    text = log.read(path, "all")
    assert len(text.rows) == events
    functions = [row.function for row in text.rows if row.what == "CALL"]
    assert functions.count("before") == functions.count("after") == times
    assert "in_child" not in functions
    assert len(text.threads()) == 1
    assert text.end == "end"
    return text


@pytest.mark.parametrize("ending", ["os._exit(7)", "sys.exit(7)", "raise SystemExit(7)", "os.abort()"])
def test_child_that_ends(run_child: RunChild, tmp_path: Path, ending: str) -> None:
    # GIVEN a forked child that works for a while and ends in one way or the other
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        child = os.fork()
        if child == 0:
            for n in range(5000):
                in_child(n)
            ENDING
        _, status = os.waitpid(child, 0)
        for n in range(100):
            after(n)
    report(status=status, events=recording.events, error=repr(recording.error))
    """.replace("ENDING", ending)
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=("-W", "error"))
    # THEN it ends as it should, and the parent's recording went on
    assert done.result["status"] & 0x7F7F == (6 if "abort" in ending else 7 << 8)  # less the bit for a core dump
    assert done.result["error"] == "None"
    check_parent(tmp_path / "fork.log", done.result["events"])
    assert "Warning" not in done.stderr and "Error" not in done.stderr
    assert [path.name for path in tmp_path.glob("*.log*")] == ["fork.log"]


def test_child_that_leaves_the_context(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child that leaves the recording's context as the parent does, and ends regularly
    source = (
        HEAD
        + """
    parent = os.getpid()
    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        child = os.fork()
        if child == 0:
            for n in range(1000):
                in_child(n)
        else:
            _, status = os.waitpid(child, 0)
            for n in range(100):
                after(n)
    if os.getpid() == parent:
        report(status=status, events=recording.events, error=repr(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=STRICT)
    # THEN that does nothing to the parent's log
    assert (done.result["status"], done.result["error"]) == (0, "None")
    check_parent(tmp_path / "fork.log", done.result["events"])


def test_child_records_for_itself(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child that leaves the context and begins a recording of its own
    source = (
        HEAD
        + """
    parent = os.getpid()
    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            for n in range(100):
                after(n)
    if os.getpid() == parent:
        report(status=status, events=recording.events)
    else:
        with pymemtrace.trace(path + ".child", log="all", children=False):
            for n in range(50):
                in_child(n)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=STRICT)
    # THEN both logs are whole
    assert done.result["status"] == 0
    check_parent(tmp_path / "fork.log", done.result["events"])
    rows = log.read(tmp_path / "fork.log.child", "all").rows
    assert [row.function for row in rows if row.what == "CALL"] == ["in_child", "work"] * 50


def test_many_forks(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN forks in a row, children that are alive at the same time, grandchildren
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        children = []
        for number in range(40):
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                for n in range(200):
                    in_child(n)
                if grandchild:
                    os.waitpid(grandchild, 0)
                os._exit(0)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        for n in range(100):
            after(n)
    report(statuses=statuses, events=recording.events, error=repr(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=STRICT)
    # THEN
    assert done.result["statuses"] == [0] * 40
    assert done.result["error"] == "None"
    rows = check_parent(tmp_path / "fork.log", done.result["events"]).rows
    assert len([row for row in rows if row.function == "fork"]) == 80


def test_busy_ring_at_the_fork(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a ring full of events that are not yet written at the moment of the fork
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        statuses = []
        for number in range(3):
            for n in range(8_000):
                work(n)
            child = os.fork()
            if child == 0:
                in_child(1)
                os._exit(3)
            for n in range(8_000):
                work(n)
            statuses.append(os.waitpid(child, 0)[1])
        for n in range(100):
            after(n)
    report(statuses=statuses, events=recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=STRICT)
    # THEN each event is written once
    assert done.result["statuses"] == [3 << 8] * 3
    rows = check_parent(tmp_path / "fork.log", done.result["events"]).rows
    assert len([row for row in rows if (row.what, row.function) == ("CALL", "work")]) == 48_200


@pytest.mark.parametrize("ending", ["regular", "context", "terminate"])
def test_multiprocessing_pool(run_child: RunChild, tmp_path: Path, ending: str) -> None:
    # GIVEN a pool of forked workers; multiprocessing starts threads of its own in the parent
    source = """
        import multiprocessing
        import sys
        import pymemtrace
        from support.child import report

        def before():
            return abs(1)

        def in_child(n):
            return n * n

        def after():
            return abs(2)

        def main(ending):
            context = multiprocessing.get_context("fork")
            if ending == "context":
                with context.Pool(2) as pool:
                    return pool.map(in_child, range(50))
            pool = context.Pool(2)
            squares = pool.map(in_child, range(50))
            pool.close() if ending == "regular" else pool.terminate()
            pool.join()
            return squares

        with pymemtrace.trace(sys.argv[1], log="all", children=False) as recording:
            before()
            squares = main(sys.argv[2])
            after()
        report(squares=squares, events=recording.events, error=repr(recording.error))
    """
    # WHEN
    done = run_child(source, tmp_path / "pool.log", ending, timeout=90)
    # THEN
    assert done.result["squares"] == [n * n for n in range(50)]
    assert done.result["error"] == "None"
    text = log.read(tmp_path / "pool.log", "all")
    functions = [row.function for row in text.rows if row.what == "CALL"]
    assert (functions.count("before"), functions.count("after"), functions.count("in_child")) == (1, 1, 0)
    assert len(text.rows) == done.result["events"]


def test_multiprocessing_process(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN single processes by fork, in a program without threads of its own
    source = """
        import multiprocessing
        import sys
        import pymemtrace
        from support.child import report

        def in_child(n):
            sys.exit(n)

        def after():
            return abs(2)

        context = multiprocessing.get_context("fork")
        with pymemtrace.trace(sys.argv[1], log="all", children=False) as recording:
            codes = []
            for n in range(4):
                process = context.Process(target=in_child, args=(n,))
                process.start()
                process.join()
                codes.append(process.exitcode)
            after()
        report(codes=codes, events=recording.events)
    """
    # WHEN
    done = run_child(source, tmp_path / "process.log", options=STRICT)
    # THEN no warning was an error, and all came back
    assert done.result["codes"] == [0, 1, 2, 3]
    text = log.read(tmp_path / "process.log", "all")
    assert len(text.rows) == done.result["events"]
    functions = [row.function for row in text.rows if row.what == "CALL"]
    assert functions.count("after") == 1 and "in_child" not in functions


def test_subprocess_with_preexec_fn(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN subprocess with Python code between fork and exec, and without
    source = (
        HEAD
        + """
    import subprocess

    def preexec():
        in_child(1)
        os.environ["FROM_PREEXEC"] = "1"

    def failing():
        raise ValueError("in the child")

    with pymemtrace.trace(path, log="all", children=False) as recording:
        for n in range(100):
            before(n)
        command = [sys.executable, "-S", "-c", "print('out')"]
        outputs = [subprocess.run(command, preexec_fn=preexec, capture_output=True, text=True).stdout
                   for _ in range(3)]
        outputs.append(subprocess.run(command, capture_output=True, text=True).stdout)
        try:
            subprocess.run(command, preexec_fn=failing)
        except subprocess.SubprocessError:
            outputs.append("failed")
        for n in range(100):
            after(n)
    report(outputs=outputs, events=recording.events, error=repr(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "preexec.log", options=STRICT)
    # THEN
    assert done.result["outputs"] == ["out\n"] * 4 + ["failed"]
    assert done.result["error"] == "None"
    check_parent(tmp_path / "preexec.log", done.result["events"])


def test_spawned_and_vforked_children(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN children that run no fork handlers, or share our memory until they exec
    source = (
        HEAD
        + """
    import multiprocessing

    if __name__ == "__main__":
        with pymemtrace.trace(path, log="all", children=False) as recording:
            for n in range(100):
                before(n)
            arguments = [sys.executable, "-S", "-c", "raise SystemExit(5)"]
            child = os.posix_spawn(sys.executable, arguments, os.environ)
            statuses = [os.waitpid(child, 0)[1], os.system("exit 4")]
            process = multiprocessing.get_context("spawn").Process(target=in_child, args=(1,))
            process.start()
            process.join()
            for n in range(100):
                after(n)
        report(statuses=statuses, code=process.exitcode, events=recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "spawn.log")
    # THEN
    assert done.result["statuses"] == [5 << 8, 4 << 8]
    assert done.result["code"] == 0
    check_parent(tmp_path / "spawn.log", done.result["events"])


def test_fork_with_other_threads(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a fork while other Python threads are busy, from the main thread and from another one
    source = (
        HEAD
        + """
    import threading
    import warnings

    warnings.simplefilter("ignore")

    def busy():
        while not stop:
            work(1)

    def fork():
        for _ in range(5):
            child = os.fork()
            if child == 0:
                in_child(1)
                os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])

    stop, statuses = [], []
    with pymemtrace.trace(path, log="none", children=False) as recording:
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        fork()
        forking = threading.Thread(target=fork)
        forking.start()
        forking.join()
        stop.append(1)
        for thread in threads:
            thread.join()
        events = recording.events
        for n in range(100):
            after(n)
        more = recording.events
    report(statuses=statuses, events=more - events, error=repr(recording.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "threads.log")
    # THEN no child hangs, and the recording goes on
    assert done.result["statuses"] == [0] * 10
    assert done.result["error"] == "None"
    assert done.result["events"] >= 600
    log.read(tmp_path / "threads.log", "none")


def test_fork_does_not_warn(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN every warning shown
    source = (
        HEAD
        + """
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pymemtrace.trace(path, log="all", children=False) as recording:
            for n in range(100):
                before(n)
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)
            for n in range(100):
                after(n)
    report(caught=[str(each.message) for each in caught], events=recording.events)
    """
    )
    # WHEN a program without threads of its own forks
    done = run_child(source, tmp_path / "warn.log")
    # THEN nobody speaks of threads (3.12 and later count ours too, unless they are ended around the fork)
    assert done.result["caught"] == []
    check_parent(tmp_path / "warn.log", done.result["events"])


def test_failed_fork(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a user who may start no further process (limits do not hold for root)
    source = (
        HEAD
        + """
    import resource

    def fork():
        try:
            child = os.fork()
        except BlockingIOError:
            return "refused"
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return "forked"

    with pymemtrace.trace(path, log="all", children=False) as recording:
        if os.getuid() == 0:
            os.setgid(54321)
            os.setuid(54321)
        for n in range(100):
            before(n)
        limits = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, limits[1]))
        said = [fork() for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NPROC, limits)
        said.append(fork())
        for n in range(100):
            after(n)
    print(*said)
    print(recording.error)
    print(recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "fork.log", options=("-X", "faulthandler"))
    # THEN the program gets its errors; the recording goes on, or has ended with a reason where no thread was to be had
    first, error, events = done.stdout.splitlines()
    assert first.split() == ["refused"] * 3 + ["forked"]
    if error == "None":
        check_parent(tmp_path / "fork.log", int(events))
    else:
        assert "recording stopped" in done.stderr or "RuntimeWarning" in done.stderr
        log.parse((tmp_path / "fork.log").read_bytes(), complete=False)
