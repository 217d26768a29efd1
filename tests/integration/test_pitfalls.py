"""The pitfalls of the hot path, each by what a user would see of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import engines, log
from support.child import Child

PAGE = 4096
RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.mark.not_sanitized
def test_first_sight_of_a_site_hides_no_growth(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN functions that are called for the first time, so that the recorder does its slowest work at their CALL, and
    # that touch one page right after it and return: the time of that work must not hide the fault
    source = """
        import mmap
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        COUNT = 3000
        PAGE = mmap.PAGESIZE

        def make():
            functions = []
            for n in range(COUNT):
                namespace = {}
                exec("def touch_%d(memory, at):\\n    memory[at] = 1\\n" % n, namespace)
                functions.append(namespace["touch_%d" % n])
            return functions

        def main(functions):
            memory = mmap.mmap(-1, COUNT * PAGE)
            at = 0
            for function in functions:
                function(memory, at)
                at += PAGE
            return memory

        main(make())
        functions = make()
        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            main(functions)
        report(info=cPyMemTrace.info(), stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "first.log")
    # THEN each RETURN shows the page of its own function
    rows = log.read(tmp_path / "first.log", "all").rows
    grown = [row.drss for row in rows if row.what == "RETURN" and row.function.startswith("touch_")]
    assert len(grown) == 3000
    if done.result["info"]["granularity"] == PAGE:
        assert [pages for pages in grown if pages < PAGE] == []
        # what the interpreter takes by itself at a first call is little
        assert len([pages for pages in grown if pages > PAGE]) < 300
    else:
        assert abs(sum(grown) - 3000 * PAGE) <= done.result["info"]["granularity"]
    # and what the recorder itself took at first sight is charged to it
    stats = done.result["stats"]
    total = stats["rss_last"] - stats["rss_first"] - stats["tracer_growth"]
    assert total <= 3000 * PAGE + (4 << 20)


@pytest.mark.not_sanitized
def test_rss_is_one_and_the_last_reading_is_each_threads_own(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN two threads that hand a lock to and fro, each growing by a page before it hands over
    source = """
        import mmap
        import sys
        import threading
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        PAGE = mmap.PAGESIZE
        ROUNDS = 500

        def play(mine, other, memory):
            for page in range(ROUNDS):
                mine.acquire()
                memory[page * PAGE] = 1
                other.release()

        def record(path):
            first, second = threading.Lock(), threading.Lock()
            first.acquire()
            second.acquire()
            memories = [mmap.mmap(-1, ROUNDS * PAGE) for _ in range(2)]
            with pymemtrace.trace(path, log="all"):
                threads = [
                    threading.Thread(target=play, args=(first, second, memories[0]), name="ping"),
                    threading.Thread(target=play, args=(second, first, memories[1]), name="pong"),
                ]
                for thread in threads:
                    thread.start()
                first.release()
                for thread in threads:
                    thread.join()

        record(sys.argv[1] + ".warm")
        record(sys.argv[1])
        report(info=cPyMemTrace.info())
    """
    # WHEN
    done = run_child(source, tmp_path / "pingpong.log")
    # THEN every page is seen by the thread that touched it, at its next event
    text = log.read(tmp_path / "pingpong.log", "all")
    for name in ("ping", "pong"):
        (tid,) = (tid for tid, each in text.names.items() if each == name)
        rows = [row for row in text.rows if (row.tid, row.what, row.function) == (tid, "C_CALL", "release")]
        assert len(rows) == 500
        if done.result["info"]["granularity"] == PAGE:
            assert [row for row in rows if row.drss < PAGE] == []
        grown = sum(row.drss for row in rows)
        assert 500 * PAGE <= grown + done.result["info"]["granularity"] - PAGE
        assert grown <= 500 * PAGE + (1 << 20)


def test_names_of_functions_whose_definitions_are_freed(
    run_child: RunChild, probe_folder: Path, tmp_path: Path
) -> None:
    # GIVEN C functions whose PyMethodDef lies on the heap and is freed, and whose memory comes back for the next one
    source = """
        import sys
        import pymemtrace

        path, extensions = sys.argv[1:]
        sys.path.insert(0, extensions)
        import probe

        def call(function):
            function()

        def use(name):
            function = probe.make_function(name)
            addresses.append(probe.def_address(function))
            call(function)
            call(function)
            probe.free_function(function)

        addresses = []
        with pymemtrace.trace(path, log="all"):
            for n in range(2000):
                use("" if n % 5 == 0 else "made_%d" % (n % 700) if n % 2 else "same_length_%04d" % n)
        print(len(addresses) - len(set(addresses)))
    """
    # WHEN
    done = run_child(source, tmp_path / "freed.log", probe_folder)
    # THEN each call has the name that it had at that moment
    assert int(done.stdout) > 1000, "no address came back: the test tests nothing"
    rows = log.read(tmp_path / "freed.log", "all").rows
    got = [row.function for row in rows if row.function.startswith(("made_", "same_length_", "<?>"))]
    names = ["<?>" if n % 5 == 0 else f"made_{n % 700}" if n % 2 else f"same_length_{n:04d}" for n in range(2000)]
    assert got == [name for name in names for _ in range(4)]


@pytest.mark.parametrize("mode", ["all", "threshold", "previous"])
def test_records_wrap_at_the_rings_end(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN records of every size, enough of each for the ring to be gone through many times: changes of RSS at every
    # other event, and quiet stretches of odd lengths between them
    source = """
        import mmap
        import sys
        import pymemtrace
        from support.child import report

        PAGE = mmap.PAGESIZE
        PAGES = 1024

        def touch(memory, page):
            memory[page * PAGE] = 1

        def quick():
            pass

        def main():
            for number in range(48):
                memory = mmap.mmap(-1, PAGES * PAGE)
                for page in range(PAGES):
                    touch(memory, page)
                    if page % 3 == 0:
                        quick()
                memory.close()

        with pymemtrace.trace(sys.argv[1], log=sys.argv[2]) as recording:
            main()
        report(events=recording.events, logged=recording.events_logged)
    """
    # WHEN
    done = run_child(source, tmp_path / "wrap.log", mode, timeout=180)
    # THEN no row is torn (log.read), lost or doubled
    rows = log.read(tmp_path / "wrap.log", mode).rows
    assert done.result["logged"] == len(rows)
    assert done.result["events"] == 2 + 48 * (1024 * 2 + 342 * 2 + 2)
    touches = [row for row in rows if (row.what, row.function) == ("RETURN", "touch")]
    assert len(touches) == 48 * 1024 if mode == "all" else len(touches) > 48 * 1000


@pytest.mark.parametrize("threads", ["daemon", "none"])
@pytest.mark.parametrize("how", ["end", "sys.exit(3)", "raise ValueError('the end')"])
def test_stop_at_interpreter_exit(run_child: RunChild, tmp_path: Path, threads: str, how: str) -> None:
    # GIVEN a recording that nobody ends, and daemon threads that are busy until the interpreter is gone
    source = """
        import sys
        import threading
        import pymemtrace

        def work(n):
            return n if n < 2 else work(n - 1) + work(n - 2)

        def forever():
            while True:
                work(8)
                ready.release()

        ready = threading.Semaphore(0)
        recording = pymemtrace.trace(sys.argv[1], log="all")
        recording.__enter__()
        if sys.argv[2] == "daemon":
            for _ in range(3):
                threading.Thread(target=forever, daemon=True).start()
            for _ in range(30):
                ready.acquire()
        work(10)
        HOW
    """.replace("HOW", "pass" if how == "end" else how)
    # WHEN
    done = run_child(source, tmp_path / "exit.log", threads, expect=None, timeout=60)
    # THEN the program ends as it would without us, and the log is whole
    assert done.returncode == (0 if how == "end" else 3 if "exit" in how else 1)
    assert ("ValueError: the end" in done.stderr) == ("ValueError" in how)
    assert "Fatal" not in done.stderr
    text = log.read(tmp_path / "exit.log", "all")
    assert text.end is not None
    main = [row for row in text.rows if row.tid == text.rows[0].tid and row.function == "work"]
    assert [row.what for row in main].count("CALL") == 177
    assert [row.what for row in main].count("RETURN") == 177


def test_output_read_by_this_process(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a FIFO that a Python thread of the same process reads: the reader needs the GIL, which a recorder that waits
    # for room in its ring would hold
    source = """
        import os
        import sys
        import threading
        import warnings
        import pymemtrace
        from support.child import report

        warnings.simplefilter("ignore")

        def read():
            with open(path, "rb") as file:
                for line in file:
                    lines.append(line)

        def work(n):
            return abs(n)

        path, lines = sys.argv[1], []
        os.mkfifo(path)
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        total, error, events = 0, None, 0
        try:
            with pymemtrace.trace(path, log="all") as recording:
                for n in range(50_000):
                    total += work(n)
            error, events = recording.error, recording.events
        except (OSError, ValueError) as refused:
            error = refused
            for n in range(50_000):
                total += work(n)
        else:
            thread.join(40)
        report(total=total, error=error and str(error), events=events,
               rows=len([line for line in lines if not line.startswith(b"#")]) - 1)
    """
    # WHEN
    done = run_child(source, tmp_path / "fifo", timeout=80)
    # THEN the program comes to its end; either all rows have arrived, or it was said that they could not
    assert done.result["total"] == sum(range(50_000))
    assert done.result["error"] or done.result["rows"] == done.result["events"] >= 200_000


def test_fifo_read_by_another_process(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a FIFO with a reader that is slow to begin
    source = """
        import os
        import subprocess
        import sys
        import pymemtrace
        from support.child import report

        def work(n):
            return abs(n)

        path = sys.argv[1]
        os.mkfifo(path)
        reader = subprocess.Popen(["cat", path], stdout=open(path + ".copy", "wb"))
        with pymemtrace.trace(path, log="all") as recording:
            for n in range(50_000):
                work(n)
        reader.wait()
        report(events=recording.events, error=repr(recording.error))
    """
    # WHEN
    done = run_child(source, tmp_path / "fifo", timeout=60)
    # THEN all of it arrives, the end line too
    assert done.result["error"] == "None"
    text = log.read(tmp_path / "fifo.copy", "all")
    assert len(text.rows) == done.result["events"] == 200_000


GC = """
    import gc
    import sys
    import pymemtrace
    from support.child import report

    path, extensions, how = sys.argv[1:]
    sys.path.insert(0, extensions)
    import probe

    COUNT = 2000

    class Canary:
        # A cycle: only a collection ends it.
        def __init__(self):
            self.me = self

        def __del__(self):
            died.append(1)

    def make():
        functions = []
        for n in range(COUNT):
            namespace = {}
            exec("def first_sight_%d(x):\\n    return abs(x)\\n" % n, namespace)
            functions.append(namespace["first_sight_%d" % n])
        return functions

    def main(functions):
        Canary()
        for function in functions:
            function(1)

    def count():
        return sum(each["collections"] for each in gc.get_stats())

    def run():
        # The next object that the collector tracks starts a collection, and each one after it too.
        gc.collect()
        gc.set_threshold(1, 1000, 1000)
        gc.enable()
        before = count()
        main(functions)
        after = count()
        gc.disable()
        return after - before

    died = []
    gc.disable()
    functions = make()
    if how == "plain":
        collections, events = run(), 0
    elif how == "empty":
        probe.set_empty_profile(True)
        collections, events = run(), 0
        probe.set_empty_profile(False)
    else:
        with pymemtrace.trace(path, log="all") as recording:
            collections = run()
        events = recording.events
    report(collections=collections, died=len(died), events=events)
"""


@pytest.mark.not_sanitized
def test_no_collection_is_ours(run_child: RunChild, probe_folder: Path, tmp_path: Path, each_engine: str) -> None:
    # GIVEN a collector that runs at the next object it tracks, and 4,000 sites seen for the first time
    # WHEN they are called without us (under an empty profile function, since CPython makes frame objects for one; for
    # sys.monitoring it makes none), and under the recorder
    without = "empty" if each_engine == "profile" else "plain"
    empty = run_child(GC, tmp_path / "gc.log", probe_folder, without).result
    traced = run_child(GC, tmp_path / "gc.log", probe_folder, "traced").result
    # THEN there are as many collections: we make no object that the collector tracks
    assert abs(traced["collections"] - empty["collections"]) <= 20
    assert traced["died"] == empty["died"]
    # and no event is missing: a collection inside the callback would have swallowed some
    rows = log.read(tmp_path / "gc.log", "all").rows
    assert len(rows) == traced["events"]
    calls = [row for row in rows if row.function.startswith("first_sight_")]
    assert len(calls) == 4000


def test_destructors_of_collections_are_events(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that leaves cycles whose destructors call functions, with the collector at work all the time
    source = """
        import gc
        import sys
        import pymemtrace

        class Cycle:
            def __init__(self, n):
                self.me = self
                self.n = n

            def __del__(self):
                died(self.n)

        def died(n):
            deaths.append(n)

        def make(n):
            exec("def new_%d():\\n    return Cycle(%d)\\nnew_%d()\\n" % (n, n, n), globals())

        def main():
            for n in range(3000):
                make(n)

        deaths = []
        gc.collect()
        gc.set_threshold(5, 2, 2)
        with pymemtrace.trace(sys.argv[1], log="all"):
            main()
            gc.collect()
            counted = len(deaths)
        print(counted)
    """
    # WHEN
    done = run_child(source, tmp_path / "cycles.log", timeout=120)
    # THEN every destructor and what it calls is in the log
    rows = log.read(tmp_path / "cycles.log", "all").rows
    assert int(done.stdout) == 3000
    for function in ("__del__", "died"):
        whats = [row.what for row in rows if row.function == function]
        assert (whats.count("CALL"), whats.count("RETURN")) == (3000, 3000), function


def test_signals_go_to_the_program(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program with a timer that interrupts it often, and a handler in Python
    source = """
        import signal
        import sys
        import threading
        import pymemtrace
        from support.child import report

        def handler(number, frame):
            threads.append(threading.get_ident())

        def work(n):
            return n if n < 2 else work(n - 1) + work(n - 2)

        threads = []
        signal.signal(signal.SIGALRM, handler)
        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            while len(threads) < 60:
                work(5)
            signal.setitimer(signal.ITIMER_REAL, 0)
        report(main=set(threads) == {threading.get_ident()}, count=len(threads), events=recording.events)
    """
    # WHEN
    done = run_child(source, tmp_path / "signals.log", timeout=120)
    # THEN each signal ran its handler, which is in the log, and no write was broken by one
    rows = log.read(tmp_path / "signals.log", "all").rows
    assert done.result["main"]
    assert len(rows) == done.result["events"]
    handlers = [row for row in rows if (row.what, row.function) == ("CALL", "handler")]
    assert len(handlers) == done.result["count"]


def test_fork_handler_only_switches_off(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child made by a fork that runs no Python hooks (C's own fork, through ctypes)
    source = """
        import ctypes
        import os
        import sys
        import pymemtrace
        from support.child import report

        def work(n):
            return abs(n)

        def in_child(n):
            return abs(n)

        fork = ctypes.PyDLL(None).fork
        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            for n in range(1000):
                work(n)
            child = fork()
            if child == 0:
                for n in range(100_000):
                    in_child(n)
                os._exit(9)
            _, status = os.waitpid(child, 0)
            for n in range(1000):
                work(n)
        report(status=status, events=recording.events)
    """
    # WHEN it makes more events than the ring holds
    done = run_child(source, tmp_path / "fork.log", timeout=60)
    # THEN it neither waits for a writer that it does not have nor writes into the parent's log
    assert done.result["status"] == 9 << 8
    text = log.read(tmp_path / "fork.log", "all")
    assert len(text.rows) == done.result["events"]
    functions = [row.function for row in text.rows if row.what == "CALL"]
    assert functions.count("work") == 2000 and "in_child" not in functions


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the events of these calls differ between versions only later")
def test_corners_of_the_interpreter(run_child: RunChild, tmp_path: Path, each_engine: str) -> None:
    # GIVEN calls at which CPython itself doubles or forgets events (bound methods of built-in functions)
    source = """
        import sys
        import types
        import pymemtrace
        from support import reference
        from support.child import report

        def main():
            method = types.MethodType(divmod, 7)
            return [method(3), method(*(2,)), method(*[5]), list(map(method, [4]))]

        def record():
            with pymemtrace.trace(sys.argv[1], log="all"):
                return main()

        main()
        result, (expected,) = reference.run(main)
        traced = record()
        report(expected=expected, same=traced == result)
    """
    # WHEN
    done = run_child(source, tmp_path / "corners.log")
    # THEN we have what CPython gives, no more and no less
    rows = log.read(tmp_path / "corners.log", "all").rows
    expected = [tuple(event) for event in done.result["expected"]]
    assert [row.key for row in rows] == (expected if each_engine == "profile" else engines.with_missing_calls(expected))
    assert done.result["same"]
