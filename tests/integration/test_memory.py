"""Known growth is charged page for page to the function that grew; temporaries are seen; the gate misses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import charge, log
from support.child import Child

PAGE = 4096
GATES = [pytest.param(None, id="gate"), pytest.param("off", id="no_gate")]
RunChild = Callable[..., Child]
pytestmark = [pytest.mark.not_sanitized, pytest.mark.usefixtures("each_engine")]

# Functions that each grow or shrink by a known number of pages, seen at every kind of event. The whole of it runs three
# times: untraced, traced for nothing (so that no code page, freelist or arena is met for the first time), in earnest.
GROWING = """
    import mmap
    import sys

    import pymemtrace
    from pymemtrace import cPyMemTrace
    from support.child import report

    path, mode, extensions = sys.argv[1:]
    sys.path.insert(0, extensions)
    import probe

    PAGE = mmap.PAGESIZE

    def noop():
        pass

    def touch_and_return(memory, first, pages):
        for at in range(first * PAGE, (first + pages) * PAGE, PAGE):
            memory[at] = 1

    def touch_and_call_c(memory, first, pages):
        for at in range(first * PAGE, (first + pages) * PAGE, PAGE):
            memory[at] = 1
        abs(1)

    def touch_and_call(memory, first, pages):
        for at in range(first * PAGE, (first + pages) * PAGE, PAGE):
            memory[at] = 1
        noop()

    def touch_and_raise(memory, first, pages):
        for at in range(first * PAGE, (first + pages) * PAGE, PAGE):
            memory[at] = 1
        raise LookupError

    def touch_one(memory, page):
        memory[page * PAGE] = 1

    def delete_first(memories):
        del memories[0]

    def body(memory, others):
        touch_and_return(memory, 0, 7)
        touch_and_call_c(memory, 7, 11)
        touch_and_call(memory, 18, 13)
        try:
            touch_and_raise(memory, 31, 17)
        except LookupError:
            pass
        for page in range(48, 53):
            touch_one(memory, page)
            noop()
        probe.keep(19)
        try:
            probe.keep_and_raise(23)
        except LookupError:
            pass
        touch_and_return(others[0], 0, 29)
        delete_first(others)
        memory.close()
        probe.drop()
        probe.drop()

    def run(path):
        memory, others = mmap.mmap(-1, 64 * PAGE), [mmap.mmap(-1, 64 * PAGE)]
        with pymemtrace.trace(path, log=mode) as recording:
            body(memory, others)
        return recording

    body(mmap.mmap(-1, 64 * PAGE), [mmap.mmap(-1, 64 * PAGE)])
    run(path + ".warm")
    recording = run(path)
    report(info=cPyMemTrace.info(), growth=recording.growth(-1), stats=recording.stats())
"""
GROWN = {  # function: net pages, times
    "touch_and_return": (36, 2),
    "touch_and_call_c": (11, 1),
    "touch_and_call": (13, 1),
    "touch_and_raise": (17, 1),
    "touch_one": (5, 5),
    "keep": (19, 1),
    "keep_and_raise": (23, 1),
    "delete_first": (-29, 1),
    "close": (-53, 1),
    "drop": (-42, 2),
}


def exact(result: dict[str, Any]) -> bool:
    """Whether this kernel's counter of RSS is exact to one page, as the self-test has found."""
    return bool(result["info"]["granularity"] == PAGE)


def check_sum(result: dict[str, Any]) -> None:
    """Nothing that grew is charged to nobody."""
    stats = result["stats"]
    net = sum(grown for grown, _ in charge.by_function(result["growth"]).values())
    grown = stats["rss_last"] - stats["rss_first"] - stats["tracer_growth"] - stats["suspended_growth"]
    assert net == grown, result["growth"]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("mode", ["all", "threshold", "previous", "none"])
def test_growth_is_charged_page_for_page(
    run_child: RunChild, probe_folder: Path, tmp_path: Path, gate: str | None, mode: str
) -> None:
    # GIVEN a program that grows and shrinks by known numbers of pages
    path = tmp_path / "growing.log"
    # WHEN
    done = run_child(GROWING, path, mode, probe_folder, env={"PYMEMTRACE_GATE": gate})
    # THEN each function has its pages, and nobody else any
    got = {function: value for (_, function), value in charge.by_function(done.result["growth"]).items()}
    if exact(done.result):
        assert got == {function: (pages * PAGE, times) for function, (pages, times) in GROWN.items()}
    else:
        for function, (pages, times) in GROWN.items():
            within = times * done.result["info"]["granularity"]
            assert abs(got.get(function, (0, 0))[0] - pages * PAGE) <= within, function
    check_sum(done.result)
    nets = [entry[3] for entry in done.result["growth"]]
    assert nets == sorted(nets, reverse=True)
    log.read(path, mode)
    # and without the gate every event was read
    stats = done.result["stats"]
    if gate == "off":
        assert stats["skipped"] == 0
        assert stats["readings"] >= stats["events"]


@pytest.mark.parametrize("gate", GATES)
def test_rows_and_totals_say_the_same(
    run_child: RunChild, probe_folder: Path, tmp_path: Path, gate: str | None
) -> None:
    # GIVEN the same program with every event in the log
    path = tmp_path / "growing.log"
    # WHEN the charges are worked out from the rows alone
    done = run_child(GROWING, path, "all", probe_folder, env={"PYMEMTRACE_GATE": gate})
    text = log.read(path, "all")
    base = (str(tmp_path / "child" / "program_0.py"), "run")
    expected = charge.charges(text, base)
    # THEN they are the totals, bytes and times
    assert charge.by_function(done.result["growth"]) == expected
    assert expected
    # and where the counter is exact, the rows at which the changes are seen carry them whole
    if exact(done.result):
        changes = [(row.what, row.function, row.drss // PAGE) for row in text.rows[1:] if row.drss]
        assert changes == [
            ("RETURN", "touch_and_return", 7),
            ("C_CALL", "abs", 11),
            ("CALL", "noop", 13),
            ("RETURN", "touch_and_raise", 17),
            *[("RETURN", "touch_one", 1)] * 5,
            ("C_RETURN", "keep", 19),
            ("C_EXCEPT", "keep_and_raise", 23),
            ("RETURN", "touch_and_return", 29),
            ("RETURN", "delete_first", -29),
            ("C_RETURN", "close", -53),
            ("C_RETURN", "drop", -23),
            ("C_RETURN", "drop", -19),
        ]


def test_lines_of_growth_lead_to_the_function(run_child: RunChild, probe_folder: Path, tmp_path: Path) -> None:
    # GIVEN
    # WHEN
    done = run_child(GROWING, tmp_path / "growing.log", "none", probe_folder)
    # THEN file and line of each entry lie in the function that grew (of a C function: where it is called)
    path = tmp_path / "child" / "program_0.py"
    lines = path.read_text("utf-8").splitlines()
    for file, line, function, _, _ in done.result["growth"]:
        if function.startswith("<"):
            continue
        assert file == str(path)
        if function in ("keep", "keep_and_raise", "drop", "close"):
            assert f"{function}(" in lines[line - 1]
        else:
            above = [text for text in lines[:line] if text.startswith("def ")]
            assert above[-1].startswith(f"def {function}("), (function, line)


@pytest.mark.parametrize("gate", GATES)
def test_bytearrays(run_child: RunChild, tmp_path: Path, gate: str | None) -> None:
    # GIVEN bytearrays taken and freed, what they cost read by the program itself around each step
    source = """
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support import statm
        from support.child import report

        def take(size):
            return bytearray(size)

        def give(arrays):
            arrays.clear()

        def leave(arrays):
            del arrays[:]

        def body():
            arrays, taken, given, left = [], [], [], []
            for size in (1 << 20, 3 << 20, 200_000, 12_345_678):
                for action, steps in ((give, given), (leave, left)):
                    before = statm.rss()
                    array = take(size)
                    after = statm.rss()
                    arrays.append(array)
                    array = None
                    full = statm.rss()
                    action(arrays)
                    empty = statm.rss()
                    taken.append(after - before)
                    steps.append(empty - full)
            return sum(taken), sum(given), sum(left)

        def run(path):
            with pymemtrace.trace(path, log="all") as recording:
                sums = body()
            return sums, recording

        body()
        run(sys.argv[1] + ".warm")
        (taken, given, left), recording = run(sys.argv[1])
        report(info=cPyMemTrace.info(), growth=recording.growth(-1), stats=recording.stats(),
               taken=taken, given=given, left=left)
    """
    # WHEN
    # (every array a mapping of its own: else the allocator keeps what was given back)
    done = run_child(source, tmp_path / "arrays.log", env={"PYMEMTRACE_GATE": gate, "MALLOC_MMAP_THRESHOLD_": "131072"})
    # THEN the taker has what was taken; clear() is a C function and has what it gave back; `del` is the function's own
    got = {function: net for (_, function), (net, _) in charge.by_function(done.result["growth"]).items()}
    result = done.result
    assert result["taken"] > 2 * (12_345_678 + (3 << 20))
    slack = 0 if exact(result) else 8 * result["info"]["granularity"]
    assert abs(got["take"] - result["taken"]) <= slack
    assert abs(got.get("clear", 0) - result["given"]) <= slack
    assert abs(got.get("leave", 0) - result["left"]) <= slack
    check_sum(result)
    # and rows and totals agree
    text = log.read(tmp_path / "arrays.log", "all")
    base = (str(tmp_path / "child" / "program_0.py"), "run")
    assert charge.by_function(result["growth"]) == charge.charges(text, base)


@pytest.mark.parametrize("gate", GATES)
def test_rss_of_rows_is_the_kernels(run_child: RunChild, tmp_path: Path, gate: str | None) -> None:
    # GIVEN a program that reads statm itself, at random moments of growing and shrinking
    source = """
        import mmap
        import os
        import random
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        PAGE = mmap.PAGESIZE
        statm = os.open("/proc/self/statm", os.O_RDONLY)
        pread = os.pread

        def step(chance, memories, values):
            what = chance.randrange(4)
            if what == 0:
                memory = mmap.mmap(-1, 16 * PAGE)
                for page in range(chance.randrange(1, 16)):
                    memory[page * PAGE] = 1
                memories.append(memory)
            elif what == 1 and memories:
                memories[chance.randrange(len(memories))][15 * PAGE] = 1
            elif what == 2 and memories:
                del memories[chance.randrange(len(memories))]
            values.append(pread(statm, 128, 0))

        def body(values):
            chance = random.Random(7)
            memories = []
            for _ in range(2000):
                step(chance, memories, values)

        body([])
        values = []
        with pymemtrace.trace(sys.argv[1], log="all"):
            body(values)
        report(info=cPyMemTrace.info(), values=[int(value.split()[1]) * PAGE for value in values])
    """
    # WHEN
    done = run_child(source, tmp_path / "statm.log", env={"PYMEMTRACE_GATE": gate})
    # THEN the row before each of its readings has the same figure
    rows = [row for row in log.read(tmp_path / "statm.log", "all").rows if row.function == "pread"]
    before = [row.rss for row in rows if row.what == "C_CALL"]
    after = [row.rss for row in rows if row.what == "C_RETURN"]
    values = done.result["values"]
    assert len(values) == len(before) == len(after) == 2000
    assert len(set(values)) > 50
    slack = 0 if exact(done.result) else done.result["info"]["granularity"]
    # The reading itself may take a page for its result; nothing gives one back meanwhile.
    wrong = [
        (low, value, high)
        for low, value, high in zip(before, values, after)
        if not low - slack <= value <= high + slack or high - low > PAGE + 2 * slack
    ]
    assert not wrong


@pytest.mark.parametrize("mode", ["all", "threshold"])
def test_peak_inside_a_c_call(run_child: RunChild, probe_folder: Path, tmp_path: Path, mode: str) -> None:
    # GIVEN a C function that takes memory, more than the process ever had, and gives it back before it returns
    source = """
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        path, mode, extensions = sys.argv[1:]
        sys.path.insert(0, extensions)
        import probe

        MIB = 1 << 20
        PAGES = MIB // 4096

        def caller(pages):
            probe.temporary(pages)

        def raising(pages):
            try:
                probe.temporary_and_raise(pages)
            except LookupError:
                pass

        probe.temporary(1)
        with pymemtrace.trace(path, log=mode) as recording:
            caller(64 * PAGES)
            first = recording.rss_peak
            caller(64 * PAGES)
            caller(8 * PAGES)
            raising(128 * PAGES)
        report(info=cPyMemTrace.info(), peak=recording.rss_peak, first=first, stats=recording.stats(),
               growth=recording.growth(-1))
    """
    # WHEN
    done = run_child(source, tmp_path / "peak.log", mode, probe_folder)
    # THEN the first and the larger one have a line each, the equal and the smaller one none
    text = log.read(tmp_path / "peak.log", mode)
    peaks = text.peaks
    within = done.result["info"]["peak_granularity"]
    assert [peak.function for peak in peaks] == ["temporary", "temporary_and_raise"]
    stats = done.result["stats"]
    largest = max(row.rss for row in text.rows)
    for peak, size in zip(peaks, (64 << 20, 128 << 20)):
        # RSS at the call is between the first row's and the largest.
        assert stats["rss_first"] + size - within <= peak.bytes <= largest + size + within
        assert peak.file == str(tmp_path / "child" / "program_0.py")
    # and so has the API
    assert done.result["peak"] == stats["rss_peak"] == peaks[1].bytes
    assert done.result["first"] == peaks[0].bytes
    # and nobody is charged with growth for what was given back
    net = {function: grown for (_, function), (grown, _) in charge.by_function(done.result["growth"]).items()}
    assert abs(net.get("temporary", 0)) < 1 << 20
    check_sum(done.result)
    if mode == "all":
        # The events named are the call and the return of that function.
        for peak in peaks:
            before, after = text.rows[peak.before], text.rows[peak.after]
            assert (before.what, before.function, after.function) == ("C_CALL", peak.function, peak.function)
            assert after.line == peak.line


def test_peak_inside_a_python_function(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a temporary between two events of a Python function
    source = """
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        def temporary():
            data = bytearray(96 << 20)
            del data

        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            temporary()
        report(info=cPyMemTrace.info(), stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "peak.log")
    # THEN it is charged to that function
    (peak,) = log.read(tmp_path / "peak.log", "all").peaks
    assert peak.function == "temporary"
    size = peak.bytes - done.result["stats"]["rss_first"]
    assert abs(size - (96 << 20)) <= done.result["info"]["peak_granularity"] + (1 << 20)


def test_no_peak_without_a_temporary(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that only grows, seen at its events, after a past that was larger
    source = """
        import sys
        import pymemtrace

        def grow(kept):
            kept.append(bytearray(1 << 20))

        past = bytearray(64 << 20)
        del past
        kept = []
        with pymemtrace.trace(sys.argv[1], log="all"):
            for _ in range(48):
                grow(kept)
    """
    # WHEN
    run_child(source, tmp_path / "peak.log")
    # THEN no row is above anything unseen
    assert log.read(tmp_path / "peak.log", "all").peaks == []


def test_peak_of_growth_that_stays(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN growth to a new maximum that every row shows
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def grow(kept):
            kept.append(bytearray(4 << 20))

        kept = []
        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            for _ in range(32):
                grow(kept)
            for _ in range(30):
                kept.pop()
        report(peak=recording.rss_peak, stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "peak.log")
    # THEN the peak is the largest row, though the program ended lower, and needs no line of its own
    text = log.read(tmp_path / "peak.log", "all")
    rows = text.rows
    assert text.peaks == []
    assert done.result["peak"] == max(row.rss for row in rows)
    stats = done.result["stats"]
    assert (stats["rss_first"], stats["rss_last"]) == (rows[0].rss, rows[-1].rss)
    assert stats["rss_peak"] - stats["rss_last"] >= 100 << 20


@pytest.mark.parametrize("gate", GATES)
def test_audit_finds_nothing(run_child: RunChild, probe_folder: Path, tmp_path: Path, gate: str | None) -> None:
    # GIVEN many quick events between changes of every size, and no native thread but the recorder's own
    source = """
        import mmap
        import sys
        import pymemtrace
        from support.child import report

        path, extensions = sys.argv[1:]
        sys.path.insert(0, extensions)
        import probe

        PAGE = mmap.PAGESIZE

        def touch(memory, page):
            memory[page * PAGE] = 1

        def quick(n):
            return n

        def body():
            for _ in range(60):
                memory = mmap.mmap(-1, 64 * PAGE)
                for page in range(64):
                    touch(memory, page)
                    for n in range(30):
                        quick(abs(n))
                memory.close()
                probe.keep(3)
                probe.drop()

        with pymemtrace.trace(path, log="none") as recording:
            body()
        report(stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "audit.log", probe_folder, env={"PYMEMTRACE_GATE": gate}, timeout=120)
    # THEN readings that were skipped and made anyway never differed
    stats = done.result["stats"]
    assert stats["events"] > 450_000
    assert stats["audit_differed"] == 0
    if gate == "off":
        assert (stats["skipped"], stats["readings"] >= stats["events"]) == (0, True)
    else:
        # one in 1,024 of those skipped, at random: far from none, far from all
        assert stats["skipped"] > stats["events"] // 2
        assert stats["skipped"] / 4096 < stats["audit_tried"] < stats["skipped"] / 256
        assert stats["gate_first"] > 0 and 0 < stats["gate_last"] <= stats["gate_first"]


def test_nested_recording_suspends_the_outer_one(run_child: RunChild, probe_folder: Path, tmp_path: Path) -> None:
    # GIVEN growth in an inner recording and around it
    source = """
        import sys
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support.child import report

        folder, extensions = sys.argv[1:]
        sys.path.insert(0, extensions)
        import probe

        def before():
            probe.keep(100)

        def within():
            probe.keep(1000)

        def after():
            probe.keep(200)

        before()
        within()
        with pymemtrace.trace(folder + "/outer.log", log="all") as outer:
            before()
            with pymemtrace.trace(folder + "/inner.log", log="all") as inner:
                within()
            after()
        report(info=cPyMemTrace.info(), growth=outer.growth(-1), stats=outer.stats(), inner=inner.growth(-1),
               inner_stats=inner.stats())
    """
    # WHEN
    done = run_child(source, tmp_path, probe_folder)
    # THEN each event is in one of the logs, numbers go on, and the difference is in the outer's first row after
    cycle = ["CALL", "C_CALL", "C_RETURN", "RETURN"]
    inner = log.read(tmp_path / "inner.log", "all")
    outer = log.read(tmp_path / "outer.log", "all")
    assert [row.what for row in inner.rows] == cycle
    assert [row.what for row in outer.rows] == cycle * 2
    assert [row.function for row in outer.rows if row.what == "CALL"] == ["before", "after"]
    texts = [comment.text for comment in outer.comments]
    assert len([text for text in texts if text.startswith("suspended")]) == 1
    assert len([text for text in texts if text.startswith("resumed")]) == 1
    assert outer.rows[4].drss >= 1000 * PAGE
    # in totals it is nobody's
    stats = done.result["stats"]
    net = {function: grown for (_, function), (grown, _) in charge.by_function(done.result["growth"]).items()}
    assert net["keep"] == 300 * PAGE or not exact(done.result)
    assert 1000 * PAGE <= stats["suspended_growth"] < 1000 * PAGE + (8 << 20)
    check_sum(done.result)
    check_sum({"growth": done.result["inner"], "stats": done.result["inner_stats"]})


def test_quiet_program_does_not_grow(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that takes no memory, and enough events to go through the whole ring several times
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def quick(n):
            return abs(n)

        def body(times):
            for n in range(times):
                quick(n)

        body(1000)
        with pymemtrace.trace(sys.argv[1] + ".warm", log="none"):
            body(1000)
        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            body(45_000)
        report(stats=recording.stats(), growth=recording.growth(-1))
    """
    # WHEN
    done = run_child(source, tmp_path / "quiet.log", timeout=120)
    # THEN the recorder's own memory was there before event 0: nothing is reported as the program's
    rows = log.read(tmp_path / "quiet.log", "all").rows
    assert len(rows) == 180_002
    stats = done.result["stats"]
    assert abs(stats["rss_last"] - stats["rss_first"] - stats["tracer_growth"]) <= 4 * PAGE
    assert sum(abs(entry[3]) for entry in done.result["growth"]) <= 4 * PAGE
    assert stats["tracer_growth"] <= 1 << 20


def test_rss_and_rss_peak(run_child: RunChild) -> None:
    # GIVEN a process that was larger once
    source = """
        import pymemtrace
        from pymemtrace import cPyMemTrace
        from support import statm
        from support.child import report

        past = bytearray(50 << 20)
        del past
        statm.rss()
        report(truth=statm.rss(), rss=pymemtrace.rss(), c_rss=cPyMemTrace.rss(),
               hwm=statm.status("VmHWM"), peak=pymemtrace.rss_peak(), c_peak=cPyMemTrace.rss_peak())
    """
    # WHEN
    got = run_child(source).result
    # THEN both are the kernel's, in bytes
    for key in ("rss", "c_rss"):
        assert abs(got[key] - got["truth"]) <= 64 * PAGE
    for key in ("peak", "c_peak"):
        assert got["hwm"] <= got[key] <= got["hwm"] + (1 << 20)
        assert got[key] > got["truth"] + (45 << 20)
