"""Captures of real programs: what `read` and `events` say of them is what is in the file, and what has happened."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import corpus
import pytest
from support import capture_decoder, child, engines, log
from support.child import Child

import pymemtrace

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")
PROGRAMS = sorted(module.name for module in pkgutil.iter_modules(corpus.__path__) if not module.ispkg)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "las_to_html"

# What a row of a log must say of an event: the clock apart, which is printed in microseconds.
Key = tuple[object, ...]


def decoded(path: Path) -> capture_decoder.Capture:
    """The whole file by the independent decoder."""
    capture = capture_decoder.read(path)
    assert (capture.complete, capture.why) == (True, "")
    return capture


def first_difference(expected: Iterable[object], got: Iterable[object]) -> str:
    """Where two sequences part. "" when they are equal."""
    expected, got = list(expected), list(got)
    if expected == got:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    lines = [f"{len(expected)} expected, {len(got)} there; they part at {at}:"]
    lines += [f"    expected {each}" for each in expected[at : at + 3]]
    lines += [f"    got      {each}" for each in got[at : at + 3]]
    return "\n".join(lines)


def check_reader(path: Path) -> capture_decoder.Capture:
    """`read` and the independent decoder tell the same story. What it is."""
    capture, expected = pymemtrace.read(path), decoded(path)
    assert capture.binary and capture.complete and capture.why is None and not capture.left_over
    difference = first_difference([tuple(event) for event in expected.events], [tuple(event) for event in capture])
    assert not difference, difference
    assert [tuple(peak) for peak in capture.peaks] == expected.peaks
    assert capture.threads == expected.threads
    assert sorted(capture.totals() or []) == sorted(expected.totals or [])
    assert [event.event for event in expected.events] == list(range(len(expected.events)))
    assert int(capture.end["events"]) == int(capture.end["logged"]) == len(expected.events)
    clocks = [event.clock for event in expected.events]
    assert clocks == sorted(clocks)
    return expected


# --- which rows a log has, from docs/log-format.md -------------------------------------------------------------------


class Selected(NamedTuple):
    """A row as the document prescribes it."""

    tag: str
    event: int
    devent: int
    clock: str
    key: tuple[str, str, int, str]
    rss: int
    drss: int
    tid: int


def select(events: list[capture_decoder.Event], mode: str, threshold: int) -> list[Selected]:
    """Section "Which events are logged": the rows of a mode, with their tag, dEvent and dRSS."""
    chosen: list[tuple[str, capture_decoder.Event]] = []
    reference = 0  # RSS of the last logged event; with `previous` that of the last NEXT
    last_next = -1
    for index, event in enumerate(events):
        far = index == 0 or abs(event.rss - reference) >= threshold
        if mode == "all":
            chosen.append(("", event))
        elif far:
            if mode == "previous" and index and events[index - 1].event != last_next:
                chosen.append(("PREV", events[index - 1]))
            chosen.append(("NEXT" if mode == "previous" else "", event))
            reference, last_next = event.rss, event.event
    rows, before, anchor = [], 0, None
    for tag, event in chosen:
        devent = 0 if not tag or anchor is None else event.event - anchor
        key = (event.what, event.file, event.line, event.function)
        rows.append(
            Selected(tag, event.event, devent, f"{event.clock:.6f}", key, event.rss, event.rss - before, event.tid)
        )
        before = event.rss
        if tag == "NEXT":
            anchor = event.event
    return rows


def rows_of(text: log.Log) -> list[Selected]:
    return [
        Selected(row.tag, row.event, row.devent, f"{row.clock:.6f}", row.key, row.rss, row.drss, row.tid)
        for row in text.rows
    ]


def print_log(path: Path, *args: str) -> bytes:
    """The command."""
    target = path.with_name(f"{path.name}.printed")
    child.run([sys.executable, "-m", "pymemtrace", "events", str(path), "-f", "-o", str(target), *args], path.parent)
    data = target.read_bytes()
    target.unlink()
    return data


def write_log(path: Path, mode: str, threshold: int | None = None) -> bytes:
    """The same without a process of its own."""
    target = path.with_name(f"{path.name}.written")
    with open(target, "wb") as file:
        rows = pymemtrace.read(path).write_log(file.fileno(), mode, threshold)
    data = target.read_bytes()
    target.unlink()
    assert data.count(b"\n") > rows
    return data


def check_logs(path: Path, expected: capture_decoder.Capture, printed: Callable[..., bytes] = write_log) -> None:
    """In every mode: the rows of the document, and the lines around them."""
    header = {line.partition(": ")[0]: line.partition(": ")[2] for line in expected.header.splitlines()}
    for mode, threshold in [("all", 4096), ("threshold", 4096), ("previous", 4096), ("previous", 65536),
                            ("threshold", 1 << 20), ("previous", 0)]:  # fmt: skip
        options = [mode, threshold] if printed is write_log else ["--log", mode, "--threshold", str(threshold)]
        text = log.check(log.parse(printed(path, *options)), mode, threshold=threshold)
        difference = first_difference(select(expected.events, mode, threshold), rows_of(text))
        assert not difference, f"{mode} {threshold}: {difference}"
        # the header is the capture's, but for the two lines that say what is printed
        head = dict(comment.pair for comment in text.head if comment.pair)
        assert (head["log"], head["threshold"]) == (mode, str(threshold))
        assert {f"# {key}": value for key, value in head.items() if key not in ("log", "threshold")} == {
            key: value for key, value in header.items() if key not in ("# log", "# threshold") and key.startswith("# ")
        }
        assert f"logged: {len(text.rows)}" in [comment.text for comment in text.foot]
        assert f"events: {len(expected.events)}" in [comment.text for comment in text.foot]
        assert text.end == "end"
        # and so are the lines within the table
        assert [(peak.bytes, peak.after, peak.file, peak.line, peak.function) for peak in text.peaks] == expected.peaks
        tracer = sum(int(value) for _, kind, value in expected.notes if kind == "tracer" and isinstance(value, int))
        assert text.tracer_growth == tracer
        assert set(text.names) == {row.tid for row in text.rows}
        for tid, name in text.names.items():
            assert log.unescape(name) == (expected.threads[tid] or "-")


# --- the corpus ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_sequence_equals_the_reference(program: str, tmp_path: Path, each_engine: str) -> None:
    # GIVEN a program of the corpus
    path = tmp_path / "program.pmt"
    # WHEN it runs under the reference and under the recorder
    command = [sys.executable, "-X", "faulthandler", "-m", "support.compare", program, "all", "4096", str(path)]
    done = child.run(command, tmp_path)
    assert done.result["steady"], "the program of the corpus is not deterministic"
    assert done.result["error"] is None
    # THEN reader and decoder agree, each thread has the same events as in the reference, and the program could not tell
    expected = check_reader(path)
    threads: dict[int, list[Key]] = {}
    for event in expected.events:
        threads.setdefault(event.tid, []).append((event.what, event.file, event.line, event.function))
    reference = [[tuple(event) for event in events] for events in done.result["threads"]]
    if each_engine == "monitoring":
        reference = [engines.with_missing_calls(events) for events in reference]
    assert len(threads) == len(reference)
    for number, (wanted, got) in enumerate(zip(reference, threads.values())):
        difference = first_difference(wanted, got)
        assert not difference, f"thread {number}: {difference}"
    assert done.result["traced"] == done.result["plain"]
    assert done.result["events"] == done.result["logged"] == len(expected.events)
    # and as a text log it has the rows that the document prescribes, in every mode
    check_logs(path, expected)


GROWING = """
    import mmap
    import sys
    import threading
    import pymemtrace

    def touch(memory, at, pages):
        for page in range(at, at + pages):
            memory[page * mmap.PAGESIZE] = 1

    def let_go(memory):
        memory.close()

    def peak(size):
        return (b"x" * size)[0]

    def grow(rounds):
        memory = mmap.mmap(-1, 4096 * mmap.PAGESIZE)
        at = 0
        for n in range(rounds):
            pages = n * 7 % 40
            touch(memory, at, pages)
            at += pages
            abs(n)
        let_go(memory)

    def main():
        threads = [threading.Thread(target=grow, args=(40,), name="grower %d # \\n" % n) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for size in (10 << 20, 40 << 20, 90 << 20):
            peak(size)

    with pymemtrace.trace(sys.argv[1], message="a message\\n# of two lines") as recording:
        recording.write_message("it begins\\n\\nand goes on")
        main()
        with pymemtrace.trace(sys.argv[2]) as inner:
            inner.write_message("within")
            grow(20)
        grow(20)
        recording.write_message("it ends")
"""


@pytest.mark.not_sanitized
def test_every_kind_of_line(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program with threads, growth up and down, temporaries, messages and a nested recording
    path, inner = tmp_path / "outer.pmt", tmp_path / "inner.pmt"
    # WHEN
    run_child(GROWING, path, inner)
    # THEN both captures are whole, and so is what is printed of them
    expected, nested = check_reader(path), check_reader(inner)
    assert expected.peaks and {event.tid for event in expected.events} == set(expected.threads)
    assert len(expected.threads) == 4 and "grower 1 # \n" in expected.threads.values()
    assert {event.tid for event in nested.events} < set(expected.threads)
    capture = pymemtrace.read(path)
    assert capture.message == "a message\n# of two lines\n"
    assert capture.header["log"] == "all"
    check_logs(inner, nested, print_log)
    for mode in ("all", "threshold", "previous"):
        data = print_log(path, "--log", mode)
        text = log.check(log.parse(data, message="a message\n# of two lines"), mode)
        difference = first_difference(select(expected.events, mode, 4096), rows_of(text))
        assert not difference, f"{mode}: {difference}"
        lines = [comment.text for comment in text.comments]
        assert [line for line in lines if line.startswith(("it ", "and "))] == ["it begins", "and goes on", "it ends"]
        assert lines.count("suspended") == lines.count("resumed") == 1
        assert lines.index("it begins") < lines.index("suspended") < lines.index("resumed") < lines.index("it ends")
        assert [(peak.bytes, peak.after) for peak in text.peaks] == [peak[:2] for peak in expected.peaks]
    # and what happened in the nested recording is in the first event after it
    assert expected.notes.count((expected.notes[-1][0], "text", "it ends")) == 1
    resumed = next(number for number, kind, value in expected.notes if kind == "nested" and value[0] == 0)
    assert expected.events[resumed].rss == expected.events[resumed - 1].rss + expected.events[resumed].drss


def test_without_comments(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a capture of a program with all that makes comments
    path, inner = tmp_path / "outer.pmt", tmp_path / "inner.pmt"
    run_child(GROWING, path, inner)
    expected = decoded(path)
    # WHEN it is printed without them
    for mode in ("all", "threshold", "previous"):
        data = print_log(path, "--log", mode, "--no-comments")
        # THEN it is message and table
        text = log.check(log.parse(data, message="a message\n# of two lines"), mode, comments=False)
        rows = [row._replace(tid=0) for row in select(expected.events, mode, 4096)]
        assert not first_difference(rows, rows_of(text))


def test_recorded_again_as_text(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program, recorded as a capture and as text
    source = """
        import sys
        import pymemtrace

        def work(n):
            return [abs(n), len("x" * n)]

        for name in sys.argv[1:]:
            with pymemtrace.trace(name, log="all"):
                for n in range(200):
                    work(n)
    """
    run_child(source, tmp_path / "warm.log", tmp_path / "text.log", tmp_path / "binary.pmt")
    # WHEN the capture is printed
    printed = log.check(log.parse(print_log(tmp_path / "binary.pmt")), "all")
    # THEN it is the same log, but for times and sizes
    text = log.read(tmp_path / "text.log", "all")
    assert not first_difference([row.key for row in text.rows], [row.key for row in printed.rows])

    def shape(comments: list[log.Comment]) -> list[str]:
        return [comment.text.partition(": ")[0] for comment in comments if not comment.text.startswith("tracer +")]

    assert shape(text.head) == shape(printed.head)
    assert shape(text.foot) == shape(printed.foot)
    assert [comment.text for comment in text.foot][-1] == printed.foot[-1].text == "end"


# --- names -----------------------------------------------------------------------------------------------------------


def test_hostile_names(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN files, functions and threads with every kind of name
    source = r"""
        import sys
        import threading
        import pymemtrace
        from support.child import report

        names = [
            "plain", "with space", "#", "a#1 b", "\n", "a\nb\r\tc", "\\", "\\n", "\x00", "\x1b[31m", "\x7f\x85",
            "\u2028\u2029", "\ud800", "a\udfffb", "\udc80\udcff", "\U0001f600", "\u00e4\u0142", "", " ", "  lead",
            "trail  ", "# thread 1 x", "# end", "n" * 5000, "\u00e4" * 5000, " #\n" * 2000, "%s%n%d", "'\"",
        ]

        def run(functions):
            for function in functions:
                function()

        functions = []
        for number, name in enumerate(names):
            for file, function in [(name, "f%d" % number), ("/f%d" % number, name)]:
                namespace = {}
                code = compile("def x():\n    return abs(-1)\n", "/file", "exec")
                exec(code, namespace)
                x = namespace["x"]
                x.__code__ = x.__code__.replace(co_filename=file, co_name=function)
                functions.append(x)
        threads = [threading.Thread(target=run, args=([],), name=name) for name in names if name]
        with pymemtrace.trace(sys.argv[1]):
            run(functions)
            for thread in threads:
                thread.start()
                thread.join()
        report(names=names)
    """
    path = tmp_path / "names.pmt"
    # WHEN
    done = run_child(source, path)
    names: list[str] = done.result["names"]
    # THEN each is read back as it was: reader and decoder, CALL, RETURN and the file of the C call within
    expected = check_reader(path)
    calls = [(event.file, event.function) for event in expected.events if event.what == "CALL" and event.line == 1]
    wanted = [pair for n, name in enumerate(names) for pair in [(name, f"f{n}"), (f"/f{n}", name or "<?>")]]
    assert not first_difference(wanted, calls)
    files = [event.file for event in expected.events if event.what == "C_CALL" and event.function == "abs"]
    assert not first_difference([file for file, _ in wanted], files)
    # and the threads' names, up to the length that the document gives
    seen = [name for name in expected.threads.values() if name != "MainThread"]
    for name, got in zip([name for name in names if name], seen):
        assert got == name or (len(name.encode("utf-8", "surrogatepass")) > 240 and name.startswith(got)), (name, got)
    # and printed it is one line an event, from which the names come back
    for mode in ("all", "previous"):
        text = log.check(log.parse(print_log(path, "--log", mode, "--threshold", "0")), mode, threshold=0)
        rows = [(row.file, row.function) for row in text.rows if row.what == "CALL" and row.line == 1]
        assert not first_difference([(file.rstrip(" "), function) for file, function in wanted],
                                    [(file.rstrip(" "), function) for file, function in rows])  # fmt: skip


def test_names_that_come_again_and_change(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN functions whose code is freed, so that its address comes back as another's
    source = """
        import sys
        import pymemtrace

        with pymemtrace.trace(sys.argv[1]):
            for n in range(2000):
                namespace = {}
                exec(compile("def f_%d():\\n    pass\\n" % n, "/file %d" % (n // 100), "exec"), namespace)
                namespace["f_%d" % n]()
                namespace["f_%d" % n]()
    """
    path = tmp_path / "again.pmt"
    # WHEN
    run_child(source, path)
    # THEN each call has its own name
    calls = [(e.file, e.function) for e in check_reader(path).events if e.what == "CALL" and e.function[:2] == "f_"]
    assert calls == [(f"/file {n // 100}", f"f_{n}") for n in range(2000) for _ in range(2)]


@pytest.mark.slow_once
def test_more_sites_than_16_bits(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN 70,000 functions, some of which are called again at the end
    source = """
        import sys
        import pymemtrace
        from support.child import report

        COUNT = 70_000

        def main(functions, again):
            for function in functions:
                function()
            for n in again:
                functions[n]()

        functions = []
        for n in range(COUNT // 1000):
            namespace = {}
            lines = "".join("def f_%d(): pass\\n" % (n * 1000 + k) for k in range(1000))
            exec(compile(lines, "/file %d" % n, "exec"), namespace)
            functions += [namespace["f_%d" % (n * 1000 + k)] for k in range(1000)]
        again = list(range(0, COUNT, 7)) + [0, COUNT - 1, 65535, 65536, 0, 65536]
        with pymemtrace.trace(sys.argv[1]) as recording:
            main(functions, again)
        report(sites=recording.stats()["sites"], events=recording.events, again=again)
    """
    path = tmp_path / "sites.pmt"
    # WHEN
    done = run_child(source, path, timeout=120)
    # THEN each call and return is read back with its own name
    assert done.result["sites"] > 140_000
    order = [*range(70_000), *done.result["again"]]
    wanted = [(what, f"/file {n // 1000}", n % 1000 + 1, f"f_{n}") for n in order for what in ("CALL", "RETURN")]
    got = [event[2:6] for event in pymemtrace.read(path) if event.function[:2] == "f_"]
    assert not first_difference(wanted, got)
    assert done.result["events"] == len(wanted) + 2
    # and the decoder, too, which is slow
    if "PYMEMTRACE_SOAK" not in os.environ:
        return
    expected = decoded(path)
    assert not first_difference(wanted, [event[2:6] for event in expected.events if event.function[:2] == "f_"])


# --- many recordings -------------------------------------------------------------------------------------------------


def test_recordings_one_after_another(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that records itself ten times, the same function each time, to captures and to logs
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def work(n):
            for _ in range(n):
                abs(n)

        events = []
        for n in range(10):
            path = "%s/%d.%s" % (sys.argv[1], n, "log" if n % 3 == 2 else "pmt")
            with pymemtrace.trace(path, log="all") as recording:
                work(n)
            events.append(recording.events)
        report(events=events)
    """
    # WHEN
    done = run_child(source, tmp_path)
    # THEN each stands for itself
    for n, events in enumerate(done.result["events"]):
        path = tmp_path / f"{n}.{'log' if n % 3 == 2 else 'pmt'}"
        if path.suffix == ".pmt":
            check_reader(path)
        got = [(event.what, event.function) for event in pymemtrace.read(path)]
        assert got == [("CALL", "work"), *[("C_CALL", "abs"), ("C_RETURN", "abs")] * n, ("RETURN", "work")]
        assert len(got) == events
    assert sorted(each.suffix for each in tmp_path.iterdir() if each.is_file()) == [".log"] * 3 + [".pmt"] * 7


def test_nested_recordings(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN recordings three deep, captures and a log among them
    source = """
        import sys
        import pymemtrace

        def work(name):
            len(name)

        folder = sys.argv[1]
        with pymemtrace.trace(folder + "/a.pmt"):
            work("a")
            with pymemtrace.trace(folder + "/b.log", log="all"):
                work("b")
                with pymemtrace.trace(folder + "/c.pmt"):
                    work("c")
                work("b")
            work("a")
            with pymemtrace.trace(folder + "/d.pmt"):
                work("d")
            work("a")
    """
    # WHEN
    run_child(source, tmp_path)
    # THEN each has what it saw itself, in an unbroken sequence
    once = [("CALL", "work"), ("C_CALL", "len"), ("C_RETURN", "len"), ("RETURN", "work")]
    for name, times in [("a.pmt", 3), ("b.log", 2), ("c.pmt", 1), ("d.pmt", 1)]:
        capture = pymemtrace.read(tmp_path / name)
        assert capture.complete
        got = [(event.what, event.function) for event in capture if event.function in ("work", "len")]
        assert got == once * times, name
        if capture.binary:
            check_reader(tmp_path / name)
            check_logs(tmp_path / name, decoded(tmp_path / name))
    kinds = [value[0] for _, kind, value in decoded(tmp_path / "a.pmt").notes if kind == "nested"]
    assert kinds == [1, 0, 1, 0]


def test_messages(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN messages of every kind
    source = r"""
        import sys
        import pymemtrace
        from support.child import report

        texts = ["one", "", "two\nlines", "\ttab \\ back", "\x00\x1b\u2028", "\ud800", "x" * 60_000, "# end", "end"]
        with pymemtrace.trace(sys.argv[1]) as recording:
            for text in texts:
                recording.write_message(text)
                len(text)
        report(texts=texts)
    """
    path = tmp_path / "messages.pmt"
    # WHEN
    run_child(source, path)
    # THEN all are in the capture, in their places, and printed none can be taken for something else
    expected = check_reader(path)
    places = [number for number, kind, _ in expected.notes if kind == "text"]
    assert len(places) >= 8 and places == sorted(places)
    text = log.parse(print_log(path))
    assert text.end == "end"
    said = [comment.text for comment in text.comments]
    assert "one" in said and "two" in said and "lines" in said
    assert [row.function for row in text.rows if row.what == "C_CALL" and row.function == "len"] == ["len"] * 9


# --- while it is written ---------------------------------------------------------------------------------------------


def test_read_while_it_is_written(tmp_path: Path) -> None:
    # GIVEN a program that records and goes on until it is told to end
    path = tmp_path / "growing.pmt"
    source = f"""
import pymemtrace, sys
def work(n):
    return abs(n)
with pymemtrace.trace({str(path)!r}):
    sys.stdout.write("x"); sys.stdout.flush()
    while True:
        for n in range(1000):
            work(n)
        if len(open({str(tmp_path / "stop")!r}).read()):
            break
"""
    (tmp_path / "stop").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", source], env=child.environment(), stdout=subprocess.PIPE, cwd=tmp_path
    )
    try:
        assert process.stdout is not None and process.stdout.read(1) == b"x"
        last = 0
        for _ in range(3):
            # WHEN it is read meanwhile, once there is more than last time
            until = time.monotonic() + 30
            while path.stat().st_size < last + 20_000:
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGSTOP)  # or the file is another one each time it is looked at
            tasks = Path(f"/proc/{process.pid}/task")  # each thread stops by itself, the writer maybe as the last one
            while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in tasks.glob("*/stat")):
                assert time.monotonic() < until
                time.sleep(0.001)
            capture = pymemtrace.read(path)
            numbers = [event.event for event in capture]
            last = path.stat().st_size
            # THEN there are whole events, it is known not to be whole, and why
            assert numbers == list(range(len(numbers))) and len(numbers) > 1000
            assert not capture.complete and capture.left_over
            assert capture.why and str(path) in capture.why and "\n" not in capture.why
            assert capture.end == {} and capture.totals() is None
            assert capture.figures()["events"] == len(numbers)
            done = child.run([sys.executable, "-m", "pymemtrace", "summary", str(path)], tmp_path)
            assert "INCOMPLETE" in done.stdout
            process.send_signal(signal.SIGCONT)
    finally:
        (tmp_path / "stop").write_text("x")
        process.send_signal(signal.SIGCONT)
        try:
            status = process.wait(60)
        finally:
            process.kill()
            process.wait()
    # and at the end it is whole
    assert status == 0
    assert pymemtrace.read(path).complete


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow_once
@pytest.mark.not_sanitized
def test_size_of_the_example(tmp_path: Path) -> None:
    # GIVEN the example program
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("the example program needs numpy")
    las, path = tmp_path / "las", tmp_path / "example.pmt"
    child.run([sys.executable, str(EXAMPLE / "generate.py"), str(las), "--size", "1M", "--seed", "1"], tmp_path)
    # WHEN
    script = str(EXAMPLE / "las_to_html.py")
    command = [
        sys.executable,
        "-m",
        "pymemtrace",
        "run",
        "-q",
        "-o",
        str(path),
        script,
        str(las),
        str(tmp_path / "html"),
    ]
    child.run(command, tmp_path, timeout=120)
    # THEN an event takes 1.5 bytes at most, all told
    events = int(pymemtrace.read(path).end["events"])
    size = path.stat().st_size / events
    print(f"{size:.3f} bytes an event, {events:,} events")
    assert events > 1_000_000
    assert size <= 1.5


ADVERSARIES = {
    "recursion": """
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        def main():
            fib(27)
    """,
    "threads": """
        import threading
        sys.setswitchinterval(1e-6)
        def work(n):
            return abs(n)
        def loop():
            for n in range(35_000):
                work(n)
        def main():
            threads = [threading.Thread(target=loop) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    """,
    "exceptions": """
        def fail(n):
            if n % 3:
                raise ValueError(n)
            return int("x")
        def attempt(n):
            try:
                fail(n)
            except ValueError:
                hash(n)
        def main():
            for n in range(180_000):
                attempt(n)
    """,
    "functions": """
        COUNT = 5000
        def main():
            namespace = {}
            exec("".join("def f_%d(): pass\\n" % n for n in range(COUNT)), namespace)
            functions = [namespace["f_%d" % n] for n in range(COUNT)]
            for _ in range(105):
                for function in functions:
                    function()
    """,
    "functions in no order": """
        import random
        COUNT = 5000
        def main():
            namespace = {}
            exec("".join("def f_%d(): pass\\n" % n for n in range(COUNT)), namespace)
            functions = [namespace["f_%d" % n] for n in range(COUNT)]
            chance = random.Random(1)
            order = [int(chance.random() * COUNT) for _ in range(20_000)]
            for _ in range(26):
                for n in order:
                    functions[n]()
    """,
    "growth": """
        import mmap
        def touch(memory, at):
            memory[at] = 1
        def main():
            size = 2000 * mmap.PAGESIZE
            for n in range(250):
                memory = mmap.mmap(-1, size)
                for at in range(0, size, mmap.PAGESIZE):
                    touch(memory, at)
                memory.close()
    """,
}


@pytest.mark.slow_once
@pytest.mark.not_sanitized
@pytest.mark.parametrize("name", list(ADVERSARIES))
def test_size_of_the_worst(name: str, run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program whose events are hard to foresee
    path = tmp_path / f"{name}.pmt"
    source = (
        "import sys\nimport pymemtrace\n"
        + textwrap.dedent(ADVERSARIES[name])
        + "\nwith pymemtrace.trace(sys.argv[1]):\n    main()\n"
    )
    # WHEN
    run_child(source, path, timeout=120)
    # THEN an event takes 3 bytes at most, all told
    end = pymemtrace.read(path).end
    events = int(end["events"])
    size = path.stat().st_size / events
    print(f"{size:.3f} bytes an event, {events:,} events")
    assert events >= 1_000_000
    assert size <= 3


def test_a_capture_is_what_it_takes_by_name_or_by_format(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN the two ways to ask for a capture, and the way to refuse one
    source = """
        import sys
        import pymemtrace

        folder = sys.argv[1]
        with pymemtrace.trace(folder + "/name.pmt"):
            len("")
        with pymemtrace.trace(folder + "/format.log", format="binary"):
            len("")
        with pymemtrace.trace(folder + "/text.pmt", format="text", log="all"):
            len("")
    """
    # WHEN
    run_child(source, tmp_path)
    # THEN content, not name, says what it is, to us as well
    for name, binary in [("name.pmt", True), ("format.log", True), ("text.pmt", False)]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PMT") == binary
        capture = pymemtrace.read(os.fsencode(tmp_path / name))
        assert (capture.binary, capture.complete) == (binary, True)
        assert [event.function for event in capture] == ["len", "len"]
        done = child.run([sys.executable, "-m", "pymemtrace", "events", name], tmp_path)
        assert len(log.check(log.parse(done.stdout.encode()), "all").rows) == 2


def test_the_tree_adds_up(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a capture of a program that grows
    path, inner = tmp_path / "outer.pmt", tmp_path / "inner.pmt"
    run_child(GROWING, path, inner)
    for each in (path, inner):
        # WHEN
        capture = pymemtrace.read(each)
        events, root = list(capture), capture.tree()
        # THEN every byte is somewhere, and every call is counted
        assert root.net_inclusive == events[-1].rss - events[0].rss
        assert sum(node.net for _, node in root.walk()) == root.net_inclusive
        calls = sum(node.calls for _, node in root.walk())
        assert calls == sum(event.what in ("CALL", "C_CALL") for event in events)
        assert sum(total[3] for total in capture.totals() or []) == sum(
            node.net for _, node in root.walk() if node.function not in ("<tracer>", "<suspended>")
        )
