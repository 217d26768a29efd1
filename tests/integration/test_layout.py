"""The log byte for byte: columns, escapes, long names, tags, comments, messages."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support import log
from support.child import Child

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

NAMES = {
    "plain": "name",
    "spaces": "with two  spaces",
    "leading_space": " leading",
    "hash": "with # and #12 name",
    "hash_at_end": "ends with#",
    "newline": "two\nlines",
    "carriage_return": "carriage\rreturn\r\n",
    "tab": "a\ttab",
    "backslash": "back\\slash \\n \\x41 \\u0041",
    "controls": "".join(map(chr, [0, 1, 7, 8, 11, 12, 27, 31, 127])),
    "c1_controls": "".join(map(chr, range(0x80, 0xA0))),
    "separators": "line\u2028paragraph\u2029",
    "surrogates": "lone \ud800 and \udfff and \udc80",
    "non_ascii": "é ß 日本語 \U0001f40d \u00a0",
    "latin_1": "caf\xe9 \xff",
    "long": "x" * 5000,
    "long_non_ascii": "日" * 5000,
    "long_mixed": "a #\n" * 1250,
    "as_wide_as_the_column": "w" * 120,
    "one_wider": "w" * 121,
    "looks_like_a_row": "0            1.000000     CALL     f                #   1 g                1            1",
    "looks_like_a_comment": "# end",
    "looks_like_a_format": "%s %d %n %%",
    "quotes": "'\"",
    "brackets": "<module>",
    "empty": "",
}

CALL_NAMED = """
    import json
    import sys
    import pymemtrace

    names = json.load(open(sys.argv[2], encoding="utf-8"))
    field = sys.argv[3]
    mode = sys.argv[4]

    def template():
        return abs(-1)

    functions = []
    for name in names:
        code = template.__code__.replace(**{field: name})
        functions.append(type(template)(code, globals()))

    with pymemtrace.trace(sys.argv[1], log=mode, threshold=0):
        for function in functions:
            function()
"""


def call_named(run_child: RunChild, tmp_path: Path, field: str, mode: str) -> list[log.Row]:
    """Rows of a program that calls one function for each name of NAMES."""
    import json

    (tmp_path / "names.json").write_text(json.dumps(list(NAMES.values())), "utf-8")
    run_child(CALL_NAMED, tmp_path / "names.log", tmp_path / "names.json", field, mode)
    return log.read(tmp_path / "names.log", mode, threshold=0).rows


@pytest.mark.parametrize("mode", ["all", "previous"])
def test_names_of_files(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN code objects with every kind of file name
    # WHEN each is called
    rows = call_named(run_child, tmp_path, "co_filename", mode)
    # THEN each comes through, in the rows of its own events and of the C function that it calls
    assert len(rows) == 4 * len(NAMES)
    width = 120 if mode == "all" else 80
    for index, (kind, name) in enumerate(NAMES.items()):
        # Spaces that end a name are lost in its padding, and only there.
        expected = name.rstrip(" ") if len(name) <= width else name
        for row in rows[4 * index : 4 * index + 4]:
            assert row.file == expected, kind


@pytest.mark.parametrize("mode", ["all", "previous"])
def test_names_of_functions(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN code objects with every kind of name
    # WHEN each is called
    rows = call_named(run_child, tmp_path, "co_name", mode)
    # THEN each comes through, the empty one as <?>
    assert len(rows) == 4 * len(NAMES)
    for index, (kind, name) in enumerate(NAMES.items()):
        call, c_call, c_return, leave = rows[4 * index : 4 * index + 4]
        assert call.function == leave.function == (name or "<?>"), kind
        assert c_call.function == c_return.function == "abs"


def test_escapes_as_written(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    # WHEN
    call_named(run_child, tmp_path, "co_name", "all")
    lines = (tmp_path / "names.log").read_bytes().splitlines()
    text = b"\n".join(line for line in lines if b" CALL " in line).decode("utf-8")
    # THEN the escapes are those of the contract, and what needs none stands as it is
    for escaped in (
        r"with\x20two\x20\x20spaces",
        r"with\x20\x23\x20and\x20\x2312\x20name",
        r"two\nlines",
        r"carriage\rreturn\r\n",
        r"a\ttab",
        r"back\\slash\x20\\n\x20\\x41\x20\\u0041",
        r"\x00\x01\x07\x08\x0b\x0c\x1b\x1f\x7f",
        r"\x80\x81\x82",
        r"line\u2028paragraph\u2029",
        r"lone\x20\ud800\x20and\x20\udfff\x20and\x20\udc80",
        "é\\x20ß\\x20日本語\\x20\U0001f40d",
        " <?> ",
        r"%s\x20%d\x20%n\x20%%",
    ):
        assert escaped in text, escaped


@pytest.mark.parametrize("mode", ["all", "threshold", "previous", "none"])
def test_message_is_the_first_thing(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN an opening message of several lines and scripts, one that looks like a comment among them
    message = "First line\n# second line é 日本語\nlast line"
    source = """
        import sys
        import pymemtrace

        with pymemtrace.trace(sys.argv[1], log=sys.argv[2], message=sys.argv[3]):
            abs(1)
    """
    # WHEN
    run_child(source, tmp_path / "message.log", mode, message)
    # THEN the file begins with it, as given, and is a whole log after it
    assert (tmp_path / "message.log").read_bytes().startswith(message.encode("utf-8"))
    log.read(tmp_path / "message.log", mode, message=message)


def test_messages_in_between(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN messages before, between and after events
    source = """
        import sys
        from pymemtrace import cPyMemTrace

        tracer = cPyMemTrace.Tracer(sys.argv[1], log="all")
        with tracer:
            tracer.write_message("first message")
            abs(1)
            tracer.write_message("between # two events \\u65e5")
            abs(2)
            tracer.write_message("several\\nlines of it")
            abs(3)
        try:
            tracer.write_message("too late")
        except ValueError:
            print("refused")
    """
    # WHEN
    done = run_child(source, tmp_path / "messages.log")
    # THEN each stands where it was written, as lines that begin with `# `
    text = log.read(tmp_path / "messages.log", "all")
    order = [
        f"{item.what} {item.function}" if isinstance(item, log.Row) else item.text
        for item in text.items
        if isinstance(item, log.Row) or "message" in item.text or "between" in item.text or "several" in item.text
    ]
    ours = [word for word in order if word.startswith(("C_", "first", "between", "several"))]
    calls = [word for word in ours if "write_message" not in word]
    assert calls[0] == "first message"
    assert calls.index("between # two events 日") > calls.index("C_RETURN abs")
    assert [word for word in calls if word.startswith("C_")] == ["C_CALL abs", "C_RETURN abs"] * 3
    everything = "\n".join(comment.text for comment in text.comments)
    assert "several" in everything and "lines of it" in everything
    assert "too late" not in everything
    assert done.stdout == "refused\n"


def test_messages_of_the_established_interface(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = """
        import sys
        from pymemtrace import cPyMemTrace

        with cPyMemTrace.Profile(0, "the opening", sys.argv[1]) as profile:
            assert profile.log_file_path() == sys.argv[1], profile.log_file_path()
            assert cPyMemTrace.profile_log_path() == sys.argv[1]
            assert cPyMemTrace.profile_wrapper_depth() == 1
            profile.write_message_to_log("by the object")
            cPyMemTrace.profile_write_message_to_log("by the module")
        assert profile.log_file_path() is None
        assert cPyMemTrace.profile_log_path() is None
        assert cPyMemTrace.profile_wrapper_depth() == 0
        for late, kind in ((profile.write_message_to_log, OSError),
                           (cPyMemTrace.profile_write_message_to_log, ValueError)):
            try:
                late("late")
            except kind:
                pass
            else:
                raise AssertionError(late)
    """
    # WHEN
    run_child(source, tmp_path / "profile.log")
    # THEN
    text = log.read(tmp_path / "profile.log", "threshold", threshold=0, message="the opening")
    comments = [comment.text for comment in text.comments]
    assert "by the object" in comments and "by the module" in comments


@pytest.mark.parametrize("mode", ["all", "threshold", "previous", "none"])
def test_without_comments_the_file_is_the_table(run_child: RunChild, tmp_path: Path, mode: str) -> None:
    # GIVEN a recording with several threads and a growth, comments off
    source = """
        import sys
        import threading
        import pymemtrace

        with pymemtrace.trace(sys.argv[1], log=sys.argv[2], comments=False) as recording:
            kept = bytearray(1 << 20)
            len(kept)
            thread = threading.Thread(target=abs, args=(1,))
            thread.start()
            thread.join()
    """
    # WHEN
    run_child(source, tmp_path / "table.log", mode)
    # THEN there is the header and rows, and nothing else
    text = log.read(tmp_path / "table.log", mode, comments=False)
    lines = (tmp_path / "table.log").read_bytes().splitlines(keepends=True)
    assert lines[0] == (log.PREVIOUS_HEADER if mode == "previous" else log.PLAIN_HEADER)
    assert len(lines) == 1 + len(text.rows)
    assert bool(text.rows) == (mode != "none")


def test_message_without_comments(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN an opening message with comments off
    source = """
        import sys
        import pymemtrace

        with pymemtrace.trace(sys.argv[1], log="all", comments=False, message="the message\\n"):
            abs(1)
    """
    # WHEN
    run_child(source, tmp_path / "table.log")
    # THEN it is there all the same
    rows = log.read(tmp_path / "table.log", "all", comments=False, message="the message\n").rows
    assert [row.what for row in rows] == ["C_CALL", "C_RETURN"]


def test_what_the_head_says(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = """
        import os
        import sys
        import pymemtrace
        from support.child import report

        with pymemtrace.trace(sys.argv[1], log="threshold", threshold=12288):
            abs(1)
        report(pid=os.getpid(), parent=os.getppid(), version=getattr(pymemtrace, "__version__", ""))
    """
    begun = datetime.now(timezone.utc)
    # WHEN
    done = run_child(source, tmp_path / "head.log", "an argument")
    # THEN the log can be understood alone: what ran, where, when, how
    text = log.read(tmp_path / "head.log", "threshold", threshold=12288)
    pairs = dict(comment.pair for comment in text.head if comment.pair)
    whole = "\n".join(comment.text for comment in text.head)
    values = list(pairs.values())
    assert "program_0.py" in whole and "an argument" in whole
    assert platform.python_version() in whole
    assert done.result["version"] in whole
    assert any(re.search(rf"\b{done.result['pid']}\b", value) for value in values)
    assert any(re.search(rf"\b{done.result['parent']}\b", value) for value in values)
    assert platform.node() in whole
    assert "threshold" in whole and re.search(r"\b12288\b", whole)
    assert re.search(rf"\b{os.sysconf('SC_PAGESIZE')}\b", pairs.get("page size", whole))
    starts = re.findall(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[^ \n]*", whole)
    assert len(starts) == 1
    started = datetime.fromisoformat(re.sub(r"\.\d+|Z$", "", starts[0]))
    local = started.astimezone(timezone.utc) if started.tzinfo else started.astimezone(timezone.utc)
    assert abs((local - begun).total_seconds()) < 60
    for word in ("engine", "gate", "granularity", "peak before"):
        assert any(word in key for key in pairs), word


def test_what_the_foot_says(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = """
        import sys
        import pymemtrace
        from support.child import report

        def grow(kept):
            kept.append(bytearray(1 << 20))

        with pymemtrace.trace(sys.argv[1]) as recording:
            kept = []
            for _ in range(20):
                grow(kept)
        report(stats=recording.stats())
    """
    # WHEN
    done = run_child(source, tmp_path / "foot.log")
    # THEN the end has every figure of the API, and `# end` alone is last
    text = log.read(tmp_path / "foot.log", "threshold")
    assert text.end == "end"
    foot = "\n".join(comment.text for comment in text.foot)
    stats = done.result["stats"]
    numbers = set(re.findall(r"\d+", foot))
    for key in (
        "events",
        "logged",
        "rss_first",
        "rss_peak",
        "rss_last",
        "readings",
        "skipped",
        "audit_tried",
        "audit_differed",
        "waits",
    ):
        assert str(stats[key]) in numbers, key
    assert stats["logged"] == len(text.rows)
    for word in ("events", "seconds", "rss", "audit", "gate", "waits", "tracer"):
        assert re.search(word, foot, re.IGNORECASE), word


def test_end_says_why_when_it_was_not_a_regular_one(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a body that is left by an exception: that is a regular end of a recording
    source = """
        import sys
        import pymemtrace

        try:
            with pymemtrace.trace(sys.argv[1], log="all"):
                raise ValueError("the program's own")
        except ValueError as error:
            print(error)
    """
    # WHEN
    done = run_child(source, tmp_path / "end.log")
    # THEN the exception is the program's, and the end a plain one
    assert done.stdout == "the program's own\n"
    assert log.read(tmp_path / "end.log", "all").end == "end"


def test_default_name(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN two recordings without a path in the same second, in a folder of their own
    source = """
        import os
        import sys
        import time
        import pymemtrace
        from support.child import report

        os.chdir(sys.argv[1])
        paths = []
        begun = time.localtime()
        for _ in range(3):
            with pymemtrace.trace() as recording:
                abs(1)
            paths.append(recording.path)
        report(paths=paths, pid=os.getpid(), times=[time.strftime("%y%m%d_%H%M%S", moment)
               for moment in (begun, time.localtime())])
    """
    folder = tmp_path / "here"
    folder.mkdir()
    # WHEN
    done = run_child(source, folder)
    # THEN time, PID and a number where two would be the same
    paths = [Path(path) for path in done.result["paths"]]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    assert len(set(paths)) == 3
    first, last = done.result["times"]
    for path in paths:
        match = re.fullmatch(rf"(\d{{6}}_\d{{6}})_{done.result['pid']}(_[12])?\.log", path.name)
        assert match, path.name
        assert first <= match[1] <= last
        assert path.parent == folder
        log.read(path, "threshold")
    assert re.fullmatch(r"\d{6}_\d{6}_\d+\.log", paths[0].name)


@pytest.mark.not_sanitized
@pytest.mark.parametrize("mode, threshold", [("threshold", 4096), ("threshold", 40960), ("threshold", 1)])
def test_threshold_rows(run_child: RunChild, tmp_path: Path, mode: str, threshold: int) -> None:
    # GIVEN a program that grows page by page and shrinks in larger steps
    done, text = run_steps(run_child, tmp_path, mode, threshold)
    # THEN log.read has checked that no row is too near to the one before; and none that was due is missing:
    # worked out once more from the log with every event
    rows = text.rows
    truth = done["rss"]
    last = rows[0].rss
    assert len(rows) > 10
    expected = [0]
    for number, rss in enumerate(truth):
        if number and abs(rss - last) >= threshold:
            expected.append(number)
            last = rss
        elif number == 0:
            last = rss
    assert abs(len(rows) - len(expected)) <= max(2, len(expected) // 20)


def run_steps(run_child: RunChild, tmp_path: Path, mode: str, threshold: int) -> tuple[dict[str, list[int]], log.Log]:
    """A program of known steps, once with every event logged, once in `mode`: all its RSS values, and the log."""
    source = """
        import mmap
        import sys
        import pymemtrace

        PAGE = mmap.PAGESIZE

        def touch(memory, page):
            memory[page * PAGE] = 1

        def quick(n):
            return n

        def body():
            for _ in range(4):
                memory = mmap.mmap(-1, 64 * PAGE)
                for page in range(64):
                    touch(memory, page)
                    quick(page)
                    quick(page)
                memory.close()

        body()
        with pymemtrace.trace(sys.argv[1] + ".warm", log=sys.argv[2], threshold=int(sys.argv[3])):
            body()
        with pymemtrace.trace(sys.argv[1] + ".all", log="all"):
            body()
        with pymemtrace.trace(sys.argv[1], log=sys.argv[2], threshold=int(sys.argv[3])):
            body()
    """
    path = tmp_path / "steps.log"
    run_child(source, path, mode, threshold)
    every = log.read(str(path) + ".all", "all")
    return {"rss": [row.rss for row in every.rows]}, log.read(path, mode, threshold=threshold)


@pytest.mark.not_sanitized
@pytest.mark.parametrize("threshold", [4096, 16384, 262144])
def test_previous_rows(run_child: RunChild, tmp_path: Path, threshold: int) -> None:
    # GIVEN the same steps
    # WHEN the log has pairs (their rules are checked by log.read)
    _, text = run_steps(run_child, tmp_path, "previous", threshold)
    # THEN there are both tags, and each PREV carries its own event's clock and RSS
    rows = text.rows
    assert {row.tag for row in rows} == {"PREV", "NEXT"}
    for before, row in zip(rows, rows[1:]):
        if before.tag == "PREV":
            assert row.event == before.event + 1
    # with a threshold of one page each touched page is a NEXT: 64 and the closing, four times
    if threshold == 4096:
        assert len([row for row in rows if row.tag == "NEXT" and row.function == "touch"]) >= 250


@pytest.mark.not_sanitized
def test_threshold_of_a_page_logs_each_page(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    # WHEN
    _, text = run_steps(run_child, tmp_path, "threshold", 4096)
    # THEN each touched page is a row, at the RETURN of the function that touched it
    rows = [row for row in text.rows if row.function == "touch"]
    assert len(rows) >= 250
    assert {row.what for row in rows} == {"RETURN"}


def test_clock_is_seconds_since_the_process_began(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that knows its own age, and waits until a clock has moved on
    source = """
        import os
        import sys
        import time
        import pymemtrace
        from support.child import report

        def age():
            with open("/proc/self/stat", encoding="ascii") as file:
                ticks = int(file.read().rpartition(")")[2].split()[19])
            return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")

        def mark():
            pass

        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            youngest, a = age(), time.monotonic()
            mark()
            b, oldest = time.monotonic(), age()
            time.sleep(0.5)  # the time itself is what is measured
            c = time.monotonic()
            mark()
            d = time.monotonic()
        report(age=[youngest, oldest], between=[c - b, d - a], seconds=recording.stats()["seconds"])
    """
    # WHEN
    done = run_child(source, tmp_path / "clock.log")
    # THEN
    rows = log.read(tmp_path / "clock.log", "all").rows
    first, second = (row.clock for row in rows if (row.what, row.function) == ("CALL", "mark"))
    youngest, oldest = done.result["age"]
    assert youngest - 0.03 <= first <= oldest + 0.03
    least, most = done.result["between"]
    assert least - 0.001 <= second - first <= most + 0.001
    assert done.result["seconds"] >= 0.5


def test_thread_names_are_escaped(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN threads with names that would break a line
    source = """
        import sys
        import threading
        import pymemtrace

        def work():
            return abs(1)

        with pymemtrace.trace(sys.argv[1], log="all"):
            for name in ("two\\nlines", "# end", "tab\\there", "日本 \\udc80", "n" * 5000):
                thread = threading.Thread(target=work, name=name)
                thread.start()
                thread.join()
    """
    # WHEN
    run_child(source, tmp_path / "threads.log")
    # THEN each name is one line (log.read holds every line to that), and no name is lost
    text = log.read(tmp_path / "threads.log", "all")
    names = set(text.names.values())
    assert len(names) == 6
    assert "MainThread" in names
    assert any("lines" in name for name in names)
    assert any(name.startswith("n" * 200) for name in names)  # how much of a very long one is not promised
