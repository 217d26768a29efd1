"""The commands that read recordings: events, summary, recover. What they say, and what they say to bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import capture_builder as build
from support import child, log
from support.capture_builder import Builder, Step

import pymemtrace

DEFINITIONS = b"".join(
    [
        build.define_code(1, 3, "/job/job.py", "grow"),
        build.define_site(16, 1, build.CALL, 3),
        build.define_site(17, 1, build.RETURN, 4),
        build.define_thread(0, 7, "MainThread"),
    ]
)
STEPS = [Step(16, 1, 1000), Step(16, 1), Step(17, 1, 500), Step(17, 1, 1)]
GOOD = Builder(definitions=DEFINITIONS).build(STEPS)
COMMANDS = ("events", "summary", "recover")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.pmt").write_bytes(GOOD)
    (tmp_path / "later.pmt").write_bytes(build.file_header(version=2) + GOOD[16:])
    (tmp_path / "cut.pmt").write_bytes(GOOD[:-20])
    (tmp_path / "head.pmt").write_bytes(GOOD[:12])
    (tmp_path / "other.txt").write_text("just a text\n")
    (tmp_path / "empty").touch()
    (tmp_path / "full").mkdir()
    with pymemtrace.trace(tmp_path / "good.log", log="all"):
        len("")
    return tmp_path


def command(folder: Path, *args: str, expect: int | None = 0) -> child.Child:
    return child.run([sys.executable, "-m", "pymemtrace", *args], folder, expect=expect)


# --- bad input -------------------------------------------------------------------------------------------------------

BAD = [
    (["missing.pmt"], ["'missing.pmt'", "No such file"]),
    (["full"], ["'full'", "Is a directory"]),
    (["other.txt"], ["'other.txt'", "neither"]),
    (["empty"], ["'empty'", "neither"]),
    (["later.pmt"], ["'later.pmt'", "version 2"]),
    (["head.pmt"], ["'head.pmt'", "cut"]),
    ([], ["no file given", "name one"]),
    (["--nonsense", "good.pmt"], ["'--nonsense'"]),
    (["good.pmt", "--nonsense"], ["'--nonsense'"]),
    (["good.pmt", "-x"], ["'-x'"]),
    (["good.pmt", "-mx"], ["'-mx'"]),
]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("args, said", BAD, ids=[" ".join(args) for args, _ in BAD])
def test_bad_input_is_one_sentence(folder: Path, name: str, args: list[str], said: list[str]) -> None:
    # WHEN
    done = command(folder, name, *args, expect=2)
    # THEN
    assert done.stderr.startswith(f"pymemtrace {name}: ") and done.stderr.count("\n") == 1, done.stderr
    assert any(part in done.stderr for part in said) if not args else all(part in done.stderr for part in said)
    assert done.stdout == ""


EVENTS_BAD = [
    (["good.pmt", "other.txt"], ["not 2"]),
    (["good.pmt", "--log", "none"], ["--log", "'none'"]),
    (["good.pmt", "--threshold", "x"], ["--threshold", "'x'"]),
    (["good.pmt", "-o", ""], ["-o"]),
    (["good.pmt", "-o", "other.txt"], ["'other.txt'", "-f"]),
    (["good.pmt", "-o", "none/x.log"], ["'none/x.log'", "No such file"]),
    (["good.pmt", "-o", "full"], ["'full'", "Is a directory"]),
    (["good.log", "--log", "previous"], ["'good.log'", "'all'", "capture"]),
    (["good.log", "--threshold", "1M"], ["'good.log'", "capture"]),
]


@pytest.mark.parametrize("args, said", EVENTS_BAD, ids=[" ".join(args) for args, _ in EVENTS_BAD])
def test_events_that_cannot_be(folder: Path, args: list[str], said: list[str]) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = command(folder, "events", *args, expect=2)
    assert done.stderr.count("\n") == 1 and all(part in done.stderr for part in said), done.stderr
    assert all(path.read_bytes() == data for path, data in before.items())
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help(folder: Path, name: str) -> None:
    done = command(folder, name, "--help")
    assert done.stdout.startswith(f"usage: python -m pymemtrace {name} ") and "examples:" in done.stdout


@pytest.mark.parametrize("args", [["events", "long.log"], ["summary", *["good.pmt"] * 200]])
def test_a_reader_that_goes_away(folder: Path, args: list[str]) -> None:
    # GIVEN more than a pipe holds
    with pymemtrace.trace(folder / "long.log", log="all"):
        for _ in range(1000):
            len("")
    # WHEN
    with subprocess.Popen(
        [sys.executable, "-m", "pymemtrace", *args],
        cwd=folder,
        env=child.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.wait(60)
    # THEN
    assert (said, process.returncode) == (b"", 0)


# --- what they do ----------------------------------------------------------------------------------------------------


def test_events_of_a_capture(folder: Path) -> None:
    done = command(folder, "events", "good.pmt")
    # THEN it is a log as any other
    rows = log.parse(done.stdout.encode()).rows
    assert [(row.what, row.function, row.rss // 4096) for row in rows] == [
        ("CALL", "grow", 1000), ("CALL", "grow", 1000), ("RETURN", "grow", 1500), ("RETURN", "grow", 1501),
    ]  # fmt: skip


def test_events_in_other_modes(folder: Path) -> None:
    done = command(folder, "events", "--log", "previous", "good.pmt", "--threshold=1M", "--no-comments")
    rows = log.check(log.parse(done.stdout.encode()), "previous", threshold=2**20, comments=False).rows
    assert [(row.tag, row.event) for row in rows] == [("NEXT", 0), ("PREV", 1), ("NEXT", 2)]


def test_events_into_a_file(folder: Path) -> None:
    # WHEN
    command(folder, "events", "good.pmt", "-o", "new.log")
    command(folder, "events", "good.pmt", "-o", "empty")
    command(folder, "events", "good.pmt", "-fo", "other.txt")
    # THEN
    expected = command(folder, "events", "good.pmt").stdout
    for name in ("new.log", "empty", "other.txt"):
        assert (folder / name).read_text() == expected
    assert not list(folder.glob("*.part"))


def test_events_of_a_text_log_are_itself(folder: Path) -> None:
    assert command(folder, "events", "good.log").stdout == (folder / "good.log").read_text()
    plain = command(folder, "events", "good.log", "--log=all", "--no-comments").stdout
    assert len(log.check(log.parse(plain.encode()), "all", comments=False).rows) == 2


def test_summary(folder: Path) -> None:
    done = command(folder, "summary", "good.pmt", "good.log")
    assert "+2,052,096" in done.stdout and "grow" in done.stdout and "/job/job.py#3" in done.stdout
    assert "INCOMPLETE" not in done.stdout and "left over" not in done.stdout
    assert "good.log\n  command " in done.stdout


def test_summary_of_a_part(folder: Path) -> None:
    (folder / "cut.pmt.ring").touch()
    done = command(folder, "summary", "cut.pmt")
    assert "INCOMPLETE" in done.stdout and "offset" in done.stdout
    assert "python -m pymemtrace recover cut.pmt" in done.stdout


def test_summary_goes_on_after_an_error(folder: Path) -> None:
    done = command(folder, "summary", "missing", "good.pmt", expect=2)
    assert "grow" in done.stdout and "'missing'" in done.stderr


def test_nothing_to_recover(folder: Path) -> None:
    before = (folder / "good.log").read_bytes()
    done = command(folder, "recover", "good.pmt", "good.log")
    assert done.stdout == "good.pmt: nothing to recover\ngood.log: nothing to recover\n"
    assert ((folder / "good.pmt").read_bytes(), (folder / "good.log").read_bytes()) == (GOOD, before)
