"""pymemtrace.read_run: which files are a run's, who started whom, how each ended, what was not recorded."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support import run_files
from support.run_files import CUT, EXEC, OS_EXIT, RECOVERED, write

import pymemtrace
from pymemtrace import reader
from pymemtrace.reader import tail

SUFFIXES = [".log", ".pmt"]
Tree = list[tuple[int, str]]


def tree(run: reader.Run) -> Tree:
    return [(depth, Path(process.path).stem) for depth, process in run.walk()]


# --- who started whom ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tree(tmp_path: Path, suffix: str) -> None:
    # GIVEN a process with two children, of which the first has one; names that are not in order of start
    write(tmp_path / f"z{suffix}", 10, 1, 0, 100)
    write(tmp_path / f"y{suffix}", 11, 10, 1, 50)
    write(tmp_path / f"x{suffix}", 12, 11, 2, 1, end=OS_EXIT)
    write(tmp_path / f"w{suffix}", 13, 10, 3, 1)
    # WHEN
    run = pymemtrace.read_run(tmp_path)
    # THEN
    assert tree(run) == [(0, "z"), (1, "y"), (2, "x"), (1, "w")]
    assert [process.pid for process in run.processes] == [10, 11, 12, 13]
    assert [process.pid for process in run.roots] == [10]
    one = run.processes[2]
    assert (one.parent, one.host, one.command) == (11, "vm", "python job.py 12")
    assert one.path == str(tmp_path / f"x{suffix}")
    assert one.start == datetime(2026, 11, 22, 12, 0, 2, tzinfo=timezone.utc)
    assert [event.what for event in one.recording] == ["CALL", "RETURN"]
    assert one.recording is one.recording
    assert (run.skipped, run.problems, run.not_recorded) == ([], [], [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pid_that_comes_twice(tmp_path: Path, suffix: str) -> None:
    # GIVEN two processes with one number, one after the other, and children that say no more than that
    write(tmp_path / f"root{suffix}", 1, 0, 0, 1000)
    write(tmp_path / f"early{suffix}", 10, 1, 10, 10)
    write(tmp_path / f"of_early{suffix}", 20, 10, 15, 1)
    write(tmp_path / f"of_neither{suffix}", 22, 10, 100, 1)
    write(tmp_path / f"late{suffix}", 10, 1, 200, 10)
    write(tmp_path / f"of_late{suffix}", 21, 10, 205, 1)
    write(tmp_path / f"elsewhere{suffix}", 23, 10, 206, 1, host="other")
    # WHEN
    run = pymemtrace.read_run(tmp_path)
    # THEN
    assert tree(run) == [
        (0, "root"), (1, "early"), (2, "of_early"), (1, "late"), (2, "of_late"), (0, "of_neither"), (0, "elsewhere"),
    ]  # fmt: skip


def test_a_parent_whose_end_is_unknown(tmp_path: Path) -> None:
    # GIVEN a process that was killed: it may have lived on after its last event
    write(tmp_path / "root.log", 10, 1, 0, 1, end=CUT)
    write(tmp_path / "child.log", 11, 10, 500)
    # THEN
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "root"), (1, "child")]


def test_a_child_that_loads_longer_than_its_parent_records(tmp_path: Path) -> None:
    write(tmp_path / "root.log", 10, 1, 0, 1)
    write(tmp_path / "child.log", 11, 10, 1.5)
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "root"), (1, "child")]


def test_nested_recordings(tmp_path: Path) -> None:
    # GIVEN two recordings of one process, the second within the first
    write(tmp_path / "outer.log", 10, 1, 0, 100)
    write(tmp_path / "inner.log", 10, 1, 10, 20)
    write(tmp_path / "in_inner.log", 11, 10, 20)
    write(tmp_path / "in_outer.log", 12, 10, 60)
    # THEN a child is below the one that recorded
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "outer"), (1, "in_outer"), (0, "inner"), (1, "in_inner")]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exec(tmp_path: Path, suffix: str) -> None:
    # GIVEN a process that becomes another program, twice, and has a child as the last; the shell starts another
    write(tmp_path / f"a{suffix}", 10, 1, 0, 1, end=EXEC)
    write(tmp_path / f"b{suffix}", 10, 1, 2, 1, end=EXEC)
    write(tmp_path / f"c{suffix}", 10, 1, 100, 5)
    write(tmp_path / f"d{suffix}", 11, 10, 102)
    write(tmp_path / f"e{suffix}", 12, 1, 103)
    # THEN
    run = pymemtrace.read_run(tmp_path)
    assert tree(run) == [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (0, "e")]
    assert [process.ended for process in run.processes][:3] == ["by exec", "by exec", "regularly"]


def test_exec_of_what_is_not_recorded(tmp_path: Path) -> None:
    # GIVEN a process that becomes a shell, which starts a program much later
    write(tmp_path / "a.log", 10, 1, 0, 1, end=EXEC)
    write(tmp_path / "b.log", 11, 10, 500)
    # THEN its process is the parent
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "a"), (1, "b")]


def test_the_pid_of_a_process_that_had_called_exec(tmp_path: Path) -> None:
    # GIVEN another process that gets its number: it has another parent
    write(tmp_path / "a.log", 10, 1, 0, 1, end=EXEC)
    write(tmp_path / "b.log", 10, 2, 500)
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "a"), (0, "b")]


def test_processes_that_claim_each_other(tmp_path: Path) -> None:
    """Nobody's child is its own ancestor, whatever files say."""
    write(tmp_path / "a.log", 10, 11, 0)
    write(tmp_path / "b.log", 11, 10, 0)
    write(tmp_path / "c.log", 12, 12, 0)
    assert tree(pymemtrace.read_run(tmp_path)) == [(0, "a"), (1, "b"), (0, "c")]


def test_a_long_chain(tmp_path: Path) -> None:
    """Deeper than Python's recursion."""
    for number in range(1, 1501):
        write(tmp_path / f"{number}.log", number, number - 1, number / 100, 100)
    assert [depth for depth, _ in pymemtrace.read_run(tmp_path).walk()] == list(range(1500))


def test_files_without_comments(tmp_path: Path) -> None:
    # GIVEN one that says nothing of its process
    write(tmp_path / "root.log", 10, 1, 0)
    with pymemtrace.trace(tmp_path / "a.log", log="all", comments=False):
        len("")
    # WHEN
    run = pymemtrace.read_run(tmp_path)
    # THEN
    assert tree(run) == [(0, "root"), (0, "a")]
    silent = run.processes[1]
    assert (silent.pid, silent.parent, silent.host, silent.command, silent.start) == (None,) * 5
    assert silent.ended == "unknown"


# --- how it ended ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "end, ended",
    [
        ("", "regularly"), (OS_EXIT, "by os._exit or os.abort"), (EXEC, "by exec"), (RECOVERED, "recovered"),
        (CUT, "cut"), ("cannot read RSS", "cannot read RSS"),
    ],
)  # fmt: skip
def test_how_it_ended(tmp_path: Path, suffix: str, end: str | None, ended: str) -> None:
    write(tmp_path / f"job{suffix}", 10, 1, 0, end=end)
    assert [process.ended for process in pymemtrace.read_run(tmp_path).processes] == [ended]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_end_is_found_without_reading_all(tmp_path: Path, suffix: str) -> None:
    # GIVEN a real recording, and every cut of its last part
    path = tmp_path / f"job{suffix}"
    with pymemtrace.trace(path, log="all") as recording:
        len("")
        recording.write_message("events: 5")
    data = path.read_bytes()
    whole = pymemtrace.read(path)
    assert whole.end["end"] == "" and len(whole.end) > 10
    cut = tmp_path / f"cut{suffix}"
    for size in [*range(len(data) - 700, len(data)), len(data)]:
        cut.write_bytes(data[:size])
        # THEN both ways say the same
        assert tail.lines_of(str(cut), suffix == ".pmt") == pymemtrace.read(cut)._end_lines()


def test_a_part_of_an_end_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "job.log", 10, 1, 0)
    path.write_text(path.read_text().replace("# end\n", ""))
    assert pymemtrace.read(path).end == {}


def test_the_last_block_must_be_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "job.pmt", 10, 1, 0)
    path.write_bytes(path.read_bytes().replace(b"# end", b"# eNd"))
    assert tail.lines_of(str(path), True) == []


# --- what was not recorded -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("many", [3, 2000, 20_000])
def test_not_recorded(tmp_path: Path, suffix: str, many: int) -> None:
    # GIVEN less than the first look at the end of a file sees, and more
    reason = "/job/x.log: Permission denied: (parent 3): so"
    write(
        tmp_path / f"job{suffix}", 10, 1, 0, not_recorded=[f"{n} (parent 10): {reason}" for n in range(11, 11 + many)]
    )
    # WHEN
    run = pymemtrace.read_run(tmp_path)
    # THEN
    assert len(run.not_recorded) == many
    assert run.not_recorded[0] == (11, 10, reason)
    assert run.not_recorded[-1].pid == 10 + many and run.not_recorded[-1].parent == 10
    recording = run.processes[0].recording
    assert recording.not_recorded == run.not_recorded
    assert "not recorded" not in recording.end and recording.end["events"] == "2"


@pytest.mark.parametrize("before", [0, 65_536 - 300, 65_536 - 280, 65_536 - 100])
def test_not_recorded_where_the_first_look_begins(tmp_path: Path, before: int) -> None:
    """No line is lost where the bytes that are read begin within one."""
    lines = [f"{n} (parent 10): {'x' * 50}" for n in range(1000, 1000 + before // 84)]
    for extra in range(90):
        path = write(tmp_path / "job.log", 10, 1, 0, not_recorded=["9 (parent 10): " + "y" * extra, *lines])
        assert tail.lines_of(str(path), False) == pymemtrace.read(path)._end_lines()


def test_a_line_that_says_it_otherwise_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "job.log", 10, 1, 0, not_recorded=["nobody knows"])
    assert pymemtrace.read_run(tmp_path).not_recorded == [(0, 0, "nobody knows")]


def test_other_lines_before_the_end(tmp_path: Path) -> None:
    """Whatever order they come in."""
    path = write(tmp_path / "job.log", 10, 1, 0, not_recorded=["11 (parent 10): no"])
    text = path.read_text().replace("# not rec", "# threads that could not be seen: 3\n# not rec", 1)
    more = "# recordings of other threads that passed through: 2\n# not noted: 4 further processes\n"
    text = text.replace("# events:", f"{more}# events:")
    path.write_text(text)
    (process,) = pymemtrace.read_run(path).processes
    assert process.recording.end["threads that could not be seen"] == "3"
    assert process.recording.end["recordings of other threads that passed through"] == "2"
    assert process.recording.end["not noted"] == "4 further processes"
    assert process.not_recorded == [(11, 10, "no")]


# --- which files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in a directory with much that is none."""
    write(tmp_path / "job.log", 10, 1, 0, end=CUT)
    write(tmp_path / "job_11.pmt", 11, 10, 0.5)
    for name in ("job.log.ring", "job.log.sites", "job_11.pmt.1", "job_11.pmt.27"):
        (tmp_path / name).write_text("beside")
    (tmp_path / "below.log").mkdir()
    write(tmp_path / "below.log" / "deeper.log", 12, 10, 0.6)
    return tmp_path


def test_other_files_are_skipped_and_listed(folder: Path) -> None:
    # GIVEN
    (folder / "app.log").write_text("INFO not ours\n")
    (folder / "empty.log").touch()
    (folder / "job.py").touch()
    (folder / "gone.log.ring").touch()
    (folder / "alone.rss").touch()  # samples of no recording
    (folder / "app.rss").touch()
    (folder / "job.rss").touch()  # and of ours
    (folder / "job_11.rss").touch()
    os.mkfifo(folder / "pipe.log")
    write(folder / "other.txt", 13, 10, 0.7)  # one of ours by another name: only who names it means it
    # WHEN
    run = pymemtrace.read_run(folder)
    # THEN
    assert tree(run) == [(0, "job"), (1, "job_11")]
    names = ["alone.rss", "app.log", "app.rss", "empty.log", "gone.log.ring", "job.py", "other.txt", "pipe.log"]
    assert run.skipped == [str(folder / name) for name in names]
    assert run.problems == []
    assert tree(pymemtrace.read_run(folder, folder / "other.txt")) == [(0, "job"), (1, "job_11"), (1, "other")]


def test_damaged_files_among_good_ones(folder: Path) -> None:
    # GIVEN a log of which only the beginning is there, captures that are none, a link that leads nowhere
    (folder / "damaged.log").write_bytes((folder / "job.log").read_bytes()[:100])
    (folder / "damaged.pmt").write_bytes((folder / "job_11.pmt").read_bytes()[:30])
    (folder / "empty.pmt").touch()
    (folder / "link.log").symlink_to("nowhere")
    # WHEN
    run = pymemtrace.read_run(folder)
    # THEN
    assert tree(run) == [(0, "job"), (1, "job_11")] and run.skipped == []
    assert [Path(problem.path).name for problem in run.problems] == [
        "damaged.log", "damaged.pmt", "empty.pmt", "link.log",
    ]  # fmt: skip
    for problem in run.problems:
        assert repr(problem.path) in problem.why and "\n" not in problem.why
        assert isinstance(problem.error, (OSError, ValueError))
    assert "No such file" in run.problems[3].why


def test_a_file_that_is_named_twice_counts_once(folder: Path) -> None:
    (folder / "link.log").symlink_to("job.log")
    run = pymemtrace.read_run(folder / "job_11.pmt", folder, folder / "job.log", os.fsencode(folder))
    assert sorted(process.pid or 0 for process in run.processes) == [10, 11]


def test_several_directories(tmp_path: Path) -> None:
    for name, pid, parent in (("a", 10, 1), ("b", 11, 10)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "job.log", pid, parent, pid)
    run = pymemtrace.read_run(tmp_path / "a", str(tmp_path / "b"))
    assert [(depth, process.pid) for depth, process in run.walk()] == [(0, 10), (1, 11)]


def test_what_cannot_be_read_at_all(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    # GIVEN
    empty = tmp_path_factory.mktemp("empty")
    (empty / "app.log").write_text("not ours")
    # THEN
    with pytest.raises(ValueError, match="name a directory"):
        pymemtrace.read_run()
    with pytest.raises(FileNotFoundError) as missing:
        pymemtrace.read_run(empty / "missing")
    assert missing.value.filename == str(empty / "missing")
    with pytest.raises(ValueError, match="neither a capture nor a text log"):
        pymemtrace.read_run(empty / "app.log")
    with pytest.raises(ValueError, match="has no recordings") as none:
        pymemtrace.read_run(empty)
    assert repr(str(empty)) in f"{none.value}"
    # WHEN there is one beside them, they are problems
    run = pymemtrace.read_run(empty, empty / "missing", folder / "job.log")
    assert [problem.path for problem in run.problems] == [str(empty), str(empty / "missing")]
    assert len(run.processes) == 1


def test_a_directory_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN (permissions do not stop root)
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    # THEN
    with pytest.raises(PermissionError):
        pymemtrace.read_run(folder)
    run = pymemtrace.read_run(folder, folder / "job.log")
    assert [problem.why for problem in run.problems] == [f"{str(folder)!r}: Permission denied"]


def test_a_large_file_of_others_is_not_read_to_its_end(tmp_path: Path) -> None:
    # GIVEN a terabyte, though on no disk
    write(tmp_path / "job.log", 10, 1, 0)
    with open(tmp_path / "huge.log", "wb") as file:
        file.truncate(1 << 40)
    # THEN
    assert pymemtrace.read_run(tmp_path).skipped == [str(tmp_path / "huge.log")]


def test_what_is_read_is_what_read_gives(tmp_path: Path) -> None:
    path = write(tmp_path / "job.pmt", 10, 1, 0)
    (process,) = pymemtrace.read_run(path).processes
    assert process.binary and process.header == pymemtrace.read(path).header
    assert process.header["start"] == run_files.at(0)
