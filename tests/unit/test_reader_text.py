"""pymemtrace.read on text logs: rows, comments, both ends, the tree; held against the tests' own parser."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import log as reference

import pymemtrace
from pymemtrace import reader

HERE = __file__
KEPT: list[mmap.mmap] = []


def leaf(size: int) -> int:
    """Its own growth, whatever the allocator has to spare."""
    fresh = mmap.mmap(-1, size)
    fresh[:] = bytes(size)
    KEPT.append(fresh)
    return len(KEPT)


def counting(number: int) -> Iterator[int]:
    yield number
    yield number + 1


def work() -> None:
    leaf(2_000_000)
    for _ in counting(1):
        leaf(10)
    try:
        {}.pop("missing")
    except KeyError:
        pass
    thread = threading.Thread(target=leaf, args=(500_000,), name="other #1")
    thread.start()
    thread.join()


def record(path: Path, mode: str, **options: object) -> Path:
    KEPT.clear()
    with pymemtrace.trace(path, log=mode, **options) as recording:  # type: ignore[arg-type]
        work()
        recording.write_message("half # way")
        leaf(3_000_000)
    return path


@pytest.mark.parametrize("mode", ["all", "threshold", "previous", "none"])
@pytest.mark.parametrize("comments", [True, False])
def test_rows_as_the_other_parser_has_them(tmp_path: Path, mode: str, comments: bool) -> None:
    # GIVEN
    path = record(tmp_path / "x.log", mode, comments=comments, message="first\nsecond")
    expected = reference.read(path, mode, comments=comments, message="first\nsecond")
    # WHEN
    got = pymemtrace.read(path)
    # THEN
    assert [tuple(event) for event in got.events()] == [
        (row.event, row.clock, row.what, row.file, row.line, row.function, row.rss, row.drss, row.tid)
        for row in expected.rows
    ]
    assert got.message == "first\nsecond\n"
    assert not got.binary and not got.left_over
    assert got.threads == expected.names
    assert got.header == dict(comment.pair for comment in expected.head if comment.pair)
    assert got.complete == comments
    if comments:
        assert got.end["end"] == "" and got.end["events"].isdigit()
        assert [peak.bytes for peak in got.peaks] == [peak.bytes for peak in expected.peaks]
        assert got.figures()["events"] == int(got.end["events"])
    else:
        assert got.end == {} and got.why is not None and str(path) in got.why


def test_names_are_what_they_were(tmp_path: Path) -> None:
    # GIVEN names with all that is escaped, and one that only looks so
    name = "a b#1 \\n\n\t\u2028.py"
    names: dict[str, object] = {}
    with pymemtrace.trace(tmp_path / "x.log", log="all"):
        exec(compile("def f():\n  return 1\nf()\n", name, "exec"), names)
    # THEN
    files = {event.file for event in pymemtrace.read(tmp_path / "x.log").events() if event.function == "f"}
    assert files == {name}


def test_the_tree_of_all_rows(tmp_path: Path) -> None:
    # WHEN
    capture = pymemtrace.read(record(tmp_path / "x.log", "all"))
    tree = capture.tree()
    # THEN
    (working,) = [node for node in tree.children if node.function == "work"]
    assert (working.file, working.line, working.calls) == (HERE, work.__code__.co_firstlineno, 1)
    by_name = {node.function: node for node in working.children}
    assert by_name["leaf"].calls == 3
    assert by_name["leaf"].net >= 1_900_000
    assert by_name["counting"].line == counting.__code__.co_firstlineno  # one node, though it went on elsewhere
    assert by_name["pop"].is_c and by_name["pop"].line == 0 and by_name["pop"].file == HERE
    events = list(capture.events())
    assert tree.net_inclusive == events[-1].rss - events[0].rss
    assert tree.up_inclusive + tree.down_inclusive == tree.net_inclusive
    assert tree.peak_inclusive >= max(event.rss for event in events)
    elsewhere = [node for _, node in tree.walk() if node.function == "leaf" and node is not by_name["leaf"]]
    assert sum(node.calls for node in elsewhere) == 2  # of the other thread, and after work()


def test_the_tree_of_a_capture_and_of_its_log_are_the_same(tmp_path: Path) -> None:
    # GIVEN
    path = record(tmp_path / "x.pmt", "all")
    with open(tmp_path / "x.log", "wb") as file:
        pymemtrace.read(path).write_log(file.fileno())
    # WHEN
    trees = [pymemtrace.read(name).tree() for name in (path, tmp_path / "x.log")]

    # THEN; a row says less of a module, and of peaks only that of all calls is compared
    def shape(tree: reader.Node) -> list[object]:
        return [
            (depth, node.function, node.file, node.is_c, node.calls, node.up, node.down, node.net_inclusive,
             round(node.seconds_inclusive, 3))
            for depth, node in tree.walk()
        ]  # fmt: skip

    assert shape(trees[0]) == shape(trees[1])
    assert trees[0].peak_inclusive == trees[1].peak_inclusive


def test_events_of_a_capture_and_of_its_log_are_the_same(tmp_path: Path) -> None:
    path = record(tmp_path / "x.pmt", "all")
    with open(tmp_path / "x.log", "wb") as file:
        assert pymemtrace.read(path).write_log(file.fileno()) == len(list(pymemtrace.read(path)))
    assert list(pymemtrace.read(path)) == list(pymemtrace.read(tmp_path / "x.log"))


@pytest.mark.parametrize("mode", ["threshold", "previous", "none"])
def test_no_tree_of_a_part_of_the_events(tmp_path: Path, mode: str) -> None:
    capture = pymemtrace.read(record(tmp_path / "x.log", mode))
    with pytest.raises(ValueError, match=f"x.log.*--log {mode}"):
        capture.tree()


def test_no_tree_without_threads_or_with_a_gap(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no comments"):
        pymemtrace.read(record(tmp_path / "x.log", "all", comments=False)).tree()
    path = record(tmp_path / "y.log", "all")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if not line.startswith(b"5  ")))
    with pytest.raises(ValueError, match="lacks event 5"):
        pymemtrace.read(path).tree()


def test_cut_anywhere(tmp_path: Path) -> None:
    """Rows that are whole can be had; a cut is said."""
    # GIVEN
    data = record(tmp_path / "x.log", "threshold", threshold=1_000_000).read_bytes()
    table = data.index(b"Event  ")
    start = data.index(b"\n", table) + 1
    path = tmp_path / "cut.log"
    whole = list(pymemtrace.read(tmp_path / "x.log"))
    for size in range(start, len(data)):
        path.write_bytes(data[:size])
        # WHEN
        capture = pymemtrace.read(path)
        events = list(capture)
        # THEN
        assert events == whole[: len(events)]
        last = data[:size].splitlines()[-1]
        assert capture.complete == (data[:size].endswith(b"\n") and last.startswith(b"# end")), last
        assert capture.complete or "cut.log" in (capture.why or "")
    # AND before its table it is no log
    path.write_bytes(data[: start - 1])
    with pytest.raises(ValueError, match="neither a capture nor a text log"):
        pymemtrace.read(path)


def test_a_line_that_is_no_row(tmp_path: Path) -> None:
    path = record(tmp_path / "x.log", "all")
    data = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*data[:25], b"what is this\n", *data[25:]]))
    with pytest.raises(ValueError, match=r"x.log', line 26: neither .*what is this"):
        list(pymemtrace.read(path))
    path.write_bytes(b"".join([*data[:25], b"\xff\xfe\n", *data[25:]]))
    with pytest.raises(ValueError, match=r"x.log', line 26: not UTF-8"):
        list(pymemtrace.read(path))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        pymemtrace.read(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        pymemtrace.read(tmp_path)
    (tmp_path / "empty").touch()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "picture.png", "pipe"):
        with pytest.raises(ValueError, match=f"{name}.* neither a capture nor a text log"):
            pymemtrace.read(os.fsencode(tmp_path / name))


@pytest.mark.parametrize("head", [b"", b"# pymemtrace: 0.1.0\n", reader.MAGIC], ids=["empty", "log", "capture"])
def test_killed_before_the_header(tmp_path: Path, head: bytes) -> None:
    # GIVEN what a recording has made that was killed before its header was written, or within it
    (tmp_path / "x").write_bytes(head)
    (tmp_path / "x.ring").touch()
    # THEN what cannot be read yet comes with the advice
    with pytest.raises(ValueError, match=r"x' is .*; '.*x\.ring' is there: .*; python -m pymemtrace recover '.*x'$"):
        pymemtrace.read(tmp_path / "x")


def test_reading_is_not_loaded_unless_asked_for() -> None:
    assert pymemtrace.read is reader.read
    with pytest.raises(AttributeError, match="nonsense"):
        pymemtrace.nonsense
