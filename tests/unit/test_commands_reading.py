"""The commands that read recordings: events, summary, recover. What they say, and what they say to bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import capture_builder as build
from support import child, log, run_files
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


@pytest.mark.parametrize(
    "name, said", [("events", "has no recordings"), ("summary", "has no recordings"), ("recover", "Is a directory")]
)
def test_a_directory_without_recordings(folder: Path, name: str, said: str) -> None:
    done = command(folder, name, "full", expect=2)
    assert done.stderr.startswith(f"pymemtrace {name}: 'full'") and said in done.stderr and done.stdout == ""
    assert done.stderr.count("\n") == 1


EVENTS_BAD = [
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


@pytest.mark.parametrize("args", [["events", "long.log"], ["summary", *[f"good_{n}.pmt" for n in range(200)]]])
def test_a_reader_that_goes_away(folder: Path, args: list[str]) -> None:
    # GIVEN more than a pipe holds; a file that is named twice counts once
    for number in range(200 if args[0] == "summary" else 0):
        (folder / f"good_{number}.pmt").write_bytes(GOOD)
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


# --- of a run --------------------------------------------------------------------------------------------------------

REASON = "cannot write '/run/job_14.log': Permission denied"


@pytest.fixture
def run(folder: Path) -> Path:
    """A directory with the files of four processes and another; two more were not recorded."""
    path = folder / "run"
    path.mkdir()
    # PIDs and names are in another order than starts
    lines = [f"14 (parent 13): {REASON}", "15 (parent 10): no extension for this Python"]
    run_files.write(path / "job.log", 10, 1, 0, 9, grown=1, not_recorded=lines)
    run_files.write(path / "job_13.pmt", 13, 10, 1, 2, grown=512, end=run_files.OS_EXIT)
    run_files.write(path / "job_12.log", 12, 13, 1.5, grown=-100, end=run_files.CUT)
    run_files.write(path / "job_11.pmt", 11, 10, 3, grown=0, end=run_files.RECOVERED)
    (path / "notes.txt").touch()
    return path


def section(text: str, name: str) -> list[str]:
    """The rows below a label, in the part that is of the whole run."""
    whole = text.partition("\n\n")[0].splitlines()
    first = next(i for i, line in enumerate(whole) if line.startswith(f"  {name} ")) + 1
    rows = [line if line.startswith("    ") else "" for line in whole[first:]]
    return rows[: rows.index("")] if "" in rows else rows


def test_summary_of_a_run(folder: Path, run: Path) -> None:
    # WHEN
    done = command(folder, "summary", "run")
    # THEN first the tree: each with its file, its end, events, net change, peak, command
    assert done.stderr == ""
    assert done.stdout.startswith("4 processes, 2 more not recorded\n  processes   process, file, ")
    rows = [row.split() for row in section(done.stdout, "processes")]
    assert [" ".join(row) for row in rows] == [
        "10 run/job.log regularly 2 +4.0 KiB 3.9 MiB python job.py 10",
        "13 run/job_13.pmt by os._exit or os.abort 2 +2.0 MiB 5.9 MiB python job.py 13",
        "12 run/job_12.log cut 2 -400.0 KiB 3.9 MiB python job.py 12",
        "11 run/job_11.pmt recovered 2 0 B 3.9 MiB python job.py 11",
    ]
    indents = [len(row) - len(row.lstrip()) for row in section(done.stdout, "processes")]
    assert indents == [4, 6, 8, 6]
    # THEN what was not recorded, what was passed over
    assert [" ".join(row.split()) for row in section(done.stdout, "not recorded")] == [
        f"14 (parent 13) {REASON}",
        "15 (parent 10) no extension for this Python",
    ]
    assert "  passed over 1 file not of ours: run/notes.txt\n" in done.stdout
    # THEN the totals: 1 + 512 - 100 pages; a function is charged in whatever process it ran
    assert "  all         8 events, 9.000 s\n" in done.stdout
    assert f"  in bytes: {413 * 4096:+,}, {4096 * (1001 + 1512 + 1000 + 1000):,}\n" in done.stdout
    # THEN each file, as alone
    for name in ("job.log", "job_11.pmt"):
        assert f"\n\n{command(folder, 'summary', f'run/{name}').stdout}" in f"{done.stdout}\n"


def test_summary_adds_up_functions(folder: Path) -> None:
    # GIVEN the same function, twice
    for number, grown in ((10, 100), (11, 200)):
        run_files.write(folder / f"job_{number}.pmt", number, 10, number, grown=grown)
    done = command(folder, "summary", "job_10.pmt", "job_11.pmt")
    assert [row.split()[0] for row in section(done.stdout, "grew most")][:1] == [f"{300 * 4096:+,}"]


def test_summary_of_one_process_of_a_directory(folder: Path, run: Path) -> None:
    # GIVEN
    for path in run.glob("job_*"):
        path.unlink()
    text = (run / "job.log").read_text().replace("# events:", "# not noted: 4 further processes\n# events:")
    (run / "job.log").write_text(text)
    # WHEN
    done = command(folder, "summary", "run")
    # THEN there is no tree, but what was not recorded
    assert done.stdout.startswith("run/job.log\n  command     python job.py 10\n  process     10 (parent 1) on vm")
    assert "  not noted   4 further processes\n" in done.stdout
    assert REASON in done.stdout and "passed over 1 file" in done.stdout and "  processes   " not in done.stdout


def test_summary_of_processes_of_several_hosts(folder: Path, run: Path) -> None:
    run_files.write(run / "other.log", 10, 1, 5, host="other")
    done = command(folder, "summary", "run")
    assert [row.split()[0] for row in section(done.stdout, "processes")] == [
        "10@vm", "13@vm", "12@vm", "11@vm", "10@other",
    ]  # fmt: skip


def test_summary_of_a_run_with_damaged_files(folder: Path, run: Path) -> None:
    # GIVEN one that is not a capture, one whose rows are damaged, one that is not there
    (run / "bad.pmt").write_text("no capture")
    text = (run / "job_12.log").read_text()
    (run / "job_12.log").write_text(text.replace("RETURN", "RETRUN"))
    # WHEN
    done = command(folder, "summary", "run", "missing", expect=2)
    # THEN a sentence for each, and the rest
    said = done.stderr.splitlines()
    assert len(said) == 3 and all(line.startswith("pymemtrace summary: '") for line in said)
    assert "'run/bad.pmt'" in said[0] and "'missing'" in said[1] and "'run/job_12.log', line " in said[2]
    rows = [" ".join(row.split()) for row in section(done.stdout, "processes")]
    assert rows[2] == "12 run/job_12.log cut ? ? ? python job.py 12" and len(rows) == 4
    assert "  all         6 events, 9.000 s\n              of 3 processes: " in done.stdout


def test_events_of_a_run(folder: Path, run: Path) -> None:
    # WHEN
    done = command(folder, "events", "run")
    # THEN one after the other, in order of start, as each alone
    names = ["run/job.log", "run/job_13.pmt", "run/job_12.log", "run/job_11.pmt"]
    parts = [command(folder, "events", name) for name in names]
    assert done.stdout == "".join(f"# file: {name}\n{part.stdout}" for name, part in zip(names, parts))
    assert done.stderr == "".join(part.stderr for part in parts)
    assert done.stderr.count("\n") == 1 and "'run/job_12.log' is cut" in done.stderr
    # WHEN files are named, or into a file
    assert command(folder, "events", *reversed(names)).stdout == done.stdout
    command(folder, "events", "run", "-o", "run/all.txt")
    assert (run / "all.txt").read_text() == done.stdout
    # THEN a directory of one file names it, too; without comments nothing is named
    (folder / "one").mkdir()
    (folder / "one" / "x.pmt").write_bytes(GOOD)
    assert (
        command(folder, "events", "one").stdout == "# file: one/x.pmt\n" + command(folder, "events", "good.pmt").stdout
    )
    assert "\n#" not in "\n" + command(folder, "events", "one", "--no-comments").stdout


def test_events_of_a_run_with_damaged_files(folder: Path, run: Path) -> None:
    # GIVEN one that is no capture, one whose rows are damaged, and logs, which have the rows that they have
    (run / "bad.pmt").write_text("no capture")
    text = (run / "job_12.log").read_text()
    (run / "job_12.log").write_text(text.replace("RETURN", "RETRUN"))
    # WHEN
    done = command(folder, "events", "run", "--threshold", "1M", "-o", "all.txt", expect=2)
    # THEN
    said = done.stderr.splitlines()
    assert ["'run/bad.pmt'" in said[0], "'run/job.log'" in said[1], "'run/job_12.log'" in said[2]] == [True] * 3
    assert len(said) == 3
    assert len(log_rows(folder / "all.txt")) == 3  # two of the one that grew by 2 MiB, one of the other
    # WHEN all are damaged, nothing is made
    command(folder, "events", "run/job.log", "run/job_12.log", "--threshold", "1M", "-o", "none.txt", expect=2)
    assert not (folder / "none.txt").exists()


def test_events_of_a_damaged_log(folder: Path, run: Path) -> None:
    """It is copied, and what is wrong with it is said; not a traceback."""
    text = (run / "job.log").read_text().replace("RETURN", "RETRUN")
    (run / "job.log").write_text(text)
    done = command(folder, "events", "run/job.log", expect=2)
    assert done.stdout == text and done.stderr.count("\n") == 1 and "'run/job.log', line " in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_events_onto_a_full_disk(folder: Path, run: Path) -> None:
    """It ends there: one sentence, not one for each file."""
    done = command(folder, "events", "run", "-o", "/dev/full", expect=2)
    assert done.stderr == "pymemtrace events: '/dev/full': No space left on device\n"


def log_rows(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line[:1].isdigit()]


def test_nothing_to_recover(folder: Path) -> None:
    before = (folder / "good.log").read_bytes()
    done = command(folder, "recover", "good.pmt", "good.log")
    assert done.stdout == "good.pmt: nothing to recover\ngood.log: nothing to recover\n"
    assert ((folder / "good.pmt").read_bytes(), (folder / "good.log").read_bytes()) == (GOOD, before)
