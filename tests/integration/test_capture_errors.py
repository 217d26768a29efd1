"""A capture that cannot be written ends the recording, not the program; a wrong file is told in one sentence."""

from __future__ import annotations

import errno
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import capture_decoder, child, fault, log
from support.child import Child

import pymemtrace

RunChild = Callable[..., Child]

# A program that writes far more than the limit; `fail()` is called when the recording has begun.
PROGRAM = """
    import os
    import random
    import resource
    import shutil
    import sys
    import pymemtrace
    from support.child import report

    def work(n):
        return abs(n)

    def main():
        total = 0
        for n in range(30_000):
            total += work(n)
        return total

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def fail():
        {fail}

    path = sys.argv[1]
    {before}
    recording = pymemtrace.trace(path)
    with recording:
        fail()
        total = main()
    limit(resource.RLIM_INFINITY)
    error = recording.error
    report(total=total, errno=getattr(error, "errno", None), text=str(error), events=recording.events,
           logged=recording.events_logged, is_os_error=isinstance(error, OSError))
    sys.exit(7)
"""
TOTAL = sum(range(30_000))


def program(fail: str, before: str = "pass") -> str:
    return PROGRAM.replace("{fail}", fail).replace("{before}", before)


def check_came_through(done: Child, path: Path, number: int | None = None) -> None:
    """The program has done its work and ended with its own status; the error is an OSError, said once."""
    result = done.result
    assert result["total"] == TOTAL and done.returncode == 7
    assert result["is_os_error"], result
    assert number is None or result["errno"] == number
    warnings = [line for line in done.stderr.splitlines() if "RuntimeWarning" in line]
    assert len(warnings) == 1 and str(path) in warnings[0], done.stderr
    assert "Traceback" not in done.stderr


def check_readable(path: Path, logged: int | None = None) -> list[pymemtrace.reader.Event]:
    """All whole blocks can be read, it is known that this is not all, and nothing lies beside it. The events."""
    capture = pymemtrace.read(path)
    events = list(capture.events())
    assert [event.event for event in events] == list(range(len(events)))
    assert not capture.complete and capture.why and str(path) in capture.why and "\n" not in capture.why
    assert not capture.left_over
    assert [tuple(event) for event in capture_decoder.read(path).events] == [tuple(event) for event in events]
    assert logged is None or logged == len(events)
    return events


def test_limit_of_the_files_size(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN RLIMIT_FSIZE of 60 kB from the first event on
    path = tmp_path / "limit.pmt"
    # WHEN
    done = run_child(program("limit(60_000)"), path, expect=7)
    # THEN the program comes through, and what fits can be read
    check_came_through(done, path, errno.EFBIG)
    assert path.stat().st_size <= 60_000
    assert len(check_readable(path, done.result["logged"])) > 20_000


def test_limit_before_the_start(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a limit that leaves no room for the ring's file
    path = tmp_path / "limit.pmt"
    # WHEN
    done = run_child(program("pass", before="limit(60_000)"), path, expect=7)
    # THEN it is recorded without, as far as it fits
    check_came_through(done, path, errno.EFBIG)
    assert len(check_readable(path, done.result["logged"])) > 20_000
    assert pymemtrace.read(path).header["ring"].startswith("anonymous, a kill loses what is not yet written: ")


def test_limit_under_the_launcher(tmp_path: Path) -> None:
    # GIVEN a script that limits its files, and ends with a status of its own
    script = tmp_path / "job.py"
    script.write_text(
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "total = 0\n"
        "def work(n):\n    return abs(n)\n"
        "for n in range(30_000):\n    total += work(n)\n"
        "print(total)\nsys.exit(7)\n"
    )
    # WHEN
    command = [sys.executable, "-m", "pymemtrace", "run", "-q", "-o", "job.pmt", "job.py"]
    done = child.run(command, tmp_path, expect=7)
    # THEN its output and status are its own, and the reason is said in spite of -q
    assert done.stdout == f"{TOTAL}\n"
    assert done.stderr.count("INCOMPLETE") == 1 and "Traceback" not in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
    check_readable(tmp_path / "job.pmt")


@pytest.mark.parametrize(
    "fail", ["os.unlink(path)", "shutil.rmtree(os.path.dirname(path))"], ids=["file_removed", "folder_removed"]
)
def test_capture_removed(run_child: RunChild, tmp_path: Path, fail: str) -> None:
    # GIVEN a capture that is removed while it is written
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "removed.pmt"
    # WHEN
    done = run_child(program(fail), path, expect=7)
    # THEN the program comes through, its user is told, and nothing stays
    check_came_through(done, path)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_capture_renamed(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a capture that is moved while it is written
    path = tmp_path / "moved.pmt"
    # WHEN
    done = run_child(program("os.rename(path, path + '.old')"), path, expect=7)
    # THEN it is whole where it is now
    assert (done.result["total"], done.result["errno"], done.stderr) == (TOTAL, None, "")
    capture = pymemtrace.read(f"{path}.old")
    assert capture.complete and sum(1 for _ in capture) == done.result["events"]
    assert [each.name for each in tmp_path.glob("moved*")] == ["moved.pmt.old"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, timeout=30
    )
    if done.returncode != 0:
        pytest.skip(f"no small disk to be had: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


def test_full_disk(run_child: RunChild, small_disk: Path) -> None:
    # GIVEN a disk of 2 MiB, most of which is taken: the ring takes one of them
    (small_disk / "filler").write_bytes(bytes(960_000))
    path = small_disk / "full.pmt"
    # WHEN
    done = run_child(program("pass"), path, expect=7)
    # THEN the capture fills it, and is readable
    check_came_through(done, path, errno.ENOSPC)
    assert len(check_readable(path, done.result["logged"])) > 20_000


def test_disk_without_room_for_the_ring(run_child: RunChild, small_disk: Path) -> None:
    # GIVEN half a MiB of room
    (small_disk / "filler").write_bytes(bytes(1_500_000))
    path = small_disk / "full.pmt"
    # WHEN
    done = run_child(program("pass"), path, expect=None)
    # THEN it is an error at the start, and no files are left
    assert done.returncode == 1 and "OSError" in done.stderr and os.strerror(errno.ENOSPC) in done.stderr
    assert done.result is None
    assert [each.name for each in small_disk.iterdir()] == ["filler"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which system calls can go wrong."""
    return {"LD_PRELOAD": str(fault.build(tmp_path_factory.mktemp("fault")))}


FULL_AT_EACH_STEP = """
    import ctypes
    import os
    import sys
    import warnings
    import pymemtrace
    from support import fault

    folder, suffix, most = sys.argv[1:]
    library = ctypes.CDLL(None)
    warnings.simplefilter("ignore")

    def work(n):
        return abs(n)

    def record(path):
        recording = pymemtrace.trace(path, log="all")
        try:
            with recording:
                for n in range(3000):
                    work(n)
        except OSError as error:
            return 2 if recording.error is None and "No space left" in str(error) else 3
        if recording.error is None:
            return 0
        with open(path + ".logged", "w") as file:
            file.write(str(recording.events_logged))
        return 1

    n = 1
    while n < int(most):
        path = os.path.join(folder, f"step_{n}{suffix}")
        pid = os.fork()
        if pid == 0:
            library.pmt_fault_arm(path.encode(), b".logged", n, fault.REFUSE, b"/dev/null")
            os._exit(record(path))
        status = os.waitpid(pid, 0)[1]
        assert os.WIFEXITED(status), status
        if os.WEXITSTATUS(status) == 0:
            break
        print(n, os.WEXITSTATUS(status))
        n += 1
"""


@pytest.mark.not_sanitized
@pytest.mark.slow_once
@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_disk_that_is_full_at_each_step(
    run_child: RunChild, faulty: dict[str, str], tmp_path: Path, suffix: str
) -> None:
    # GIVEN a disk that is full from the first, second ... write on
    # WHEN
    done = run_child(FULL_AT_EACH_STEP, tmp_path, suffix, 60, env=faulty)
    steps = dict(tuple(map(int, line.split())) for line in done.stdout.splitlines())
    assert len(steps) >= 4
    wrong = []
    for n, status in steps.items():
        path = tmp_path / f"step_{n}{suffix}"
        names = sorted(each.name for each in tmp_path.glob(f"{path.name}*") if each.suffix != ".logged")
        try:
            # THEN either it does not begin, and leaves nothing, or what is there can be read
            assert status in (1, 2)
            if status == 2:
                assert names == []
                continue
            assert names == [path.name]
            logged = int(Path(f"{path}.logged").read_text())
            if suffix == ".pmt":
                check_readable(path, logged)
            else:
                text = log.parse(path.read_bytes(), complete=False)
                log.check_all(text.rows)
                assert text.end != "end"
        except Exception as error:
            wrong.append(f"full at write {n}, status {status}, {names}: {error!r}")
    assert not wrong, "\n".join(wrong)


FULL_RECOVER = """
    import ctypes
    import os
    import shutil
    import sys
    from pymemtrace import cPyMemTrace
    from support import fault

    source, folder, name, most = sys.argv[1:]
    library = ctypes.CDLL(None)
    n = 1
    while n < int(most):
        path = os.path.join(folder, str(n), name)
        shutil.copytree(source, os.path.dirname(path))
        library.pmt_fault_arm(path.encode(), b"", n, fault.REFUSE, b"/dev/null")
        try:
            cPyMemTrace.recover(path)
        except OSError as error:
            assert error.errno == 28 and path in str(error), error
        else:
            break
        library.pmt_fault_arm(path.encode(), b"", 0, fault.REFUSE, b"/dev/null")
        assert os.path.exists(path + ".ring")
        assert cPyMemTrace.recover(path)
        n += 1
    print(n)
"""


@pytest.mark.not_sanitized
@pytest.mark.slow_once
@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_recovering_on_a_full_disk(run_child: RunChild, faulty: dict[str, str], tmp_path: Path, suffix: str) -> None:
    # GIVEN what a killed program has left
    source = tmp_path / "source"
    source.mkdir()
    path = source / f"killed{suffix}"
    record = f"import os, pymemtrace\nwith pymemtrace.trace({str(path)!r}, log='all'):\n" + (
        "    for n in range(3000): abs(n)\n    os.kill(os.getpid(), 9)\n"
    )
    run_child(record, expect=-signal.SIGKILL)
    # WHEN it is recovered on a disk that is full from the first, second ... write on, and then on one with room
    done = run_child(FULL_RECOVER, source, tmp_path / "copies", path.name, 60, env=faulty)
    steps = int(done.stdout)
    assert steps > 1
    # THEN each is as if nothing had been
    contents = {(tmp_path / "copies" / str(n) / path.name).read_bytes() for n in range(1, steps + 1)}
    assert len(contents) == 1
    names = [f"killed{suffix}"]
    assert all([e.name for e in (tmp_path / "copies" / str(n)).iterdir()] == names for n in range(1, steps + 1))
    copy = tmp_path / "copies" / "1" / path.name
    assert pymemtrace.read(copy).complete
    assert [event.function for event in pymemtrace.read(copy)][:6000] == ["abs"] * 6000


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, as those that pytest makes are not."""
    with tempfile.TemporaryDirectory(prefix="pymemtrace_test_") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_folder_that_cannot_be_written(run_child: RunChild, open_folder: Path) -> None:
    # GIVEN a folder without the right to write, and a user for whom rights hold
    folder = open_folder / "locked"
    folder.mkdir()
    existing = folder / "existing.pmt"
    existing.touch()
    existing.chmod(0o666)
    folder.chmod(0o555 if os.getuid() else 0o755)
    source = """
        import os
        import sys
        import pymemtrace

        os.chdir(sys.argv[1])
        if os.getuid() == 0:
            os.setgid(54321)
            os.setuid(54321)
        try:
            with pymemtrace.trace("new.pmt"):
                print("recorded")
        except PermissionError as error:
            print(os.path.basename(error.filename))
        with pymemtrace.trace("existing.pmt") as recording:
            len("")
        print(recording.error, recording.events)
    """
    # WHEN
    done = run_child(source, folder)
    folder.chmod(0o755)
    # THEN a new file is an error at the start that names it, and the body does not run
    assert done.stdout == "new.pmt\nNone 2\n" and done.stderr == ""
    # and a file that is there is filled, without a ring beside it
    assert [each.name for each in folder.iterdir()] == ["existing.pmt"]
    capture = pymemtrace.read(existing)
    assert capture.complete and capture.header["ring"].startswith("anonymous, ")


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_folder_that_is_none(folder: str, tmp_path: Path) -> None:
    # GIVEN a folder that is not there, or is a file
    (tmp_path / "file").touch()
    # WHEN
    command = [sys.executable, "-m", "pymemtrace", "run", "-o", f"{folder}/x.pmt", "-c", "print('it ran')"]
    done = child.run(command, tmp_path, expect=2)
    # THEN the program is not started, and one sentence says why
    assert done.stdout == "" and done.stderr.count("\n") == 1 and f"{folder}/x.pmt" in done.stderr


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with several blocks of every kind."""
    folder = tmp_path_factory.mktemp("good")
    path = folder / "good.pmt"
    source = """
        import sys
        import threading
        import pymemtrace

        def work(n):
            return abs(n)

        def loop():
            for n in range(2500):
                work(n)

        with pymemtrace.trace(sys.argv[1]) as recording:
            for n in range(3):
                thread = threading.Thread(target=loop, name="t%d" % n)
                thread.start()
                thread.join()
                recording.write_message("message %d" % n)
    """
    child.run_source(source, folder, path)
    assert len(list(capture_decoder.blocks(path.read_bytes()))) > 8
    return path


BAD = {
    "missing.pmt": (None, "No such file"),
    "folder": ("folder", "Is a directory"),
    "empty.pmt": (b"", "neither a capture nor a text log"),
    "text.txt": (b"just a text\nof two lines\n", "neither a capture nor a text log"),
    "one_line": (b"x" * 5_000_000, "neither a capture nor a text log"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100), "neither a capture nor a text log"),
    "zeros": (bytes(100_000), "neither a capture nor a text log"),
    "all_bytes": (bytes(range(256)) * 100, "neither a capture nor a text log"),
    "titles.log": (b"Event Clock What\n1 2 3\n", "neither a capture nor a text log"),
    "version.pmt": (("<H", 8, 2), "version 2"),
    "version_65535.pmt": (("<H", 8, 65535), "version 65535"),
    "order.pmt": (("<H", 10, 0x0201), "byte order"),
    "page_0.pmt": (("<I", 12, 0), "page"),
    "page_odd.pmt": (("<I", 12, 5000), "page"),
    "magic.pmt": (("<B", 0, 0x88), ""),
    "newline.pmt": (("<H", 4, 0x0A0A), ""),  # as a transfer as text makes it: now it is a strange text log
}


def make_bad(name: str, good: Path, folder: Path) -> Path:
    path, (content, _) = folder / name, BAD[name]
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, tuple):
        form, at, value = content
        data = bytearray(good.read_bytes())
        struct.pack_into(form, data, at, value)
        path.write_bytes(data)
    return path


@pytest.mark.slow_once
@pytest.mark.parametrize("name", list(BAD))
def test_what_is_no_capture(name: str, good: Path, tmp_path: Path) -> None:
    # GIVEN a file that is none
    path, said = make_bad(name, good, tmp_path), BAD[name][1]
    # WHEN it is read
    with pytest.raises((OSError, ValueError)) as caught:
        capture = pymemtrace.read(path)
        list(capture)
    # THEN one sentence with its name says what it is
    text = str(caught.value)
    assert said in text and name in text and "\n" not in text
    if isinstance(caught.value, OSError):
        assert str(caught.value.filename) == str(path)


@pytest.mark.slow_once
@pytest.mark.parametrize("command", ["events", "summary", "recover"])
def test_what_is_no_capture_for_the_commands(command: str, good: Path, tmp_path: Path) -> None:
    # GIVEN files that are none
    paths = [make_bad(name, good, tmp_path) for name in BAD if BAD[name][1]]
    before = {path: path.read_bytes() for path in paths if path.is_file()}
    # WHEN
    if command == "events":  # takes one file
        some = [path for path in paths if path.name in ("empty.pmt", "picture.png", "order.pmt", "version.pmt")]
        done = [child.run([sys.executable, "-m", "pymemtrace", command, str(p)], tmp_path, expect=2) for p in some]
    else:
        some = paths
        done = [child.run([sys.executable, "-m", "pymemtrace", command, *map(str, paths)], tmp_path, expect=2)]
    # THEN one sentence for each, on stderr; no file is made or changed
    lines = [line for each in done for line in each.stderr.splitlines()]
    assert len(lines) == len(some), lines
    for path, line in zip(some, lines):
        why = "has no recordings" if (command, path.name) == ("summary", "folder") else BAD[path.name][1]
        assert line.startswith(f"pymemtrace {command}: ") and path.name in line and why in line
    assert "".join(each.stdout for each in done) == ""
    assert {path: path.read_bytes() for path in paths if path.is_file()} == before
    assert len([each for each in tmp_path.iterdir() if not each.name.startswith(("out.", "err.", "result."))]) == len(
        [path for path in paths if path.exists()]
    )


def test_what_is_no_file(tmp_path: Path) -> None:
    # GIVEN a device and a pipe, which would be waited for
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/null", str(tmp_path / "pipe"), "/dev/zero"):
        for command in ("events", "summary"):
            # WHEN
            done = child.run([sys.executable, "-m", "pymemtrace", command, name], tmp_path, expect=2, timeout=20)
            # THEN
            assert done.stderr.count("\n") == 1 and name in done.stderr and done.stdout == ""


def test_a_file_that_may_not_be_read(run_child: RunChild, good: Path, tmp_path: Path) -> None:
    # GIVEN a file of somebody else's
    path = tmp_path / "locked.pmt"
    path.write_bytes(good.read_bytes())
    path.chmod(0)
    source = """
        import os
        import sys
        import pymemtrace.commands.events, pymemtrace.commands.summary, pymemtrace.commands.recover
        import pymemtrace.reporters.summary
        from pymemtrace import commands

        if os.getuid() == 0:
            os.setgid(54321)
            os.setuid(54321)
        for name in ("events", "summary", "recover"):
            try:
                print(commands.main([name, sys.argv[1]]))
            except PermissionError:
                print("raised")
    """
    tmp_path.chmod(0o755)
    # WHEN
    done = run_child(source, path)
    # THEN
    assert done.stdout == "2\n2\n2\n"
    assert done.stderr.count("Permission denied") == done.stderr.count("\n") == 3
    assert done.stderr.count("locked.pmt") == 3


# --- cut and damaged -------------------------------------------------------------------------------------------------


def places(data: bytes) -> list[int]:
    """Where to cut: around each block's borders, within headers and payloads."""
    chance = random.Random(20261)
    found = {0, 1, 7, 8, 9, 12, 15, 16, 17, len(data) - 1, len(data)}
    for block in capture_decoder.blocks(data):
        assert not isinstance(block, str)
        start = block.offset
        end = start + capture_decoder.HEADER.size + len(block.payload)
        found |= {start - 1, start, start + 1, start + 12, start + 87, start + 88, start + 89, end - 1}
        found |= {chance.randrange(start, end) for _ in range(2)}
    return sorted(found)


@pytest.mark.slow_once
def test_cut_anywhere(good: Path, tmp_path: Path) -> None:
    # GIVEN a capture that is cut
    data = good.read_bytes()
    whole = [event[:6] + event[6:] for event in pymemtrace.read(good)]
    ends = {0: 0}  # of blocks -> events up to there
    events = 0
    for block in capture_decoder.blocks(data):
        assert not isinstance(block, str)
        events += block.events if block.kind == 3 else 0
        ends[block.offset + capture_decoder.HEADER.size + len(block.payload)] = events
    first = min(end for end in ends if end)
    path = tmp_path / "cut.pmt"
    for at in places(data):
        path.write_bytes(data[:at])
        # WHEN
        if at < first:
            with pytest.raises(ValueError) as caught:
                pymemtrace.read(path)
            # THEN nothing can be told without the first block, and one sentence says so
            assert str(path) in str(caught.value) and "\n" not in str(caught.value), at
            continue
        capture = pymemtrace.read(path)
        got = [event[:6] + event[6:] for event in capture]
        # THEN all events of whole blocks are there, and it is said where the file was cut
        assert len(got) == max(count for end, count in ends.items() if end <= at), at
        assert got == whole[: len(got)], at
        assert capture.complete == (at == len(data)), at
        if at < len(data):
            assert capture.why and str(path) in capture.why and "\n" not in capture.why
            assert capture.figures()["events"] == len(got)


@pytest.mark.slow_once
def test_damaged_anywhere(good: Path, tmp_path: Path) -> None:
    # GIVEN a capture with one byte changed
    data = good.read_bytes()
    whole = list(map(tuple, pymemtrace.read(good)))
    first = next(iter(capture_decoder.blocks(data)))
    assert not isinstance(first, str)
    begin = first.offset + capture_decoder.HEADER.size + len(first.payload)
    chance = random.Random(20262)
    path = tmp_path / "damaged.pmt"
    for _ in range(60):
        at = chance.randrange(begin, len(data))
        bad = bytearray(data)
        bad[at] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        # WHEN
        capture = pymemtrace.read(path)
        got = list(map(tuple, capture))
        # THEN everything before that block is good, nothing after it is believed, and it is said where that is
        assert got == whole[: len(got)]
        assert len(got) == sum(
            block.events
            for block in capture_decoder.blocks(bytes(bad))
            if not isinstance(block, str) and block.kind == 3
        )
        assert not capture.complete and capture.why and str(path) in capture.why and "\n" not in capture.why


def broken(good: Path, folder: Path) -> dict[str, Path]:
    """Captures that are cut or damaged in the middle, of which the first part is good."""
    data = good.read_bytes()
    blocks = [block for block in capture_decoder.blocks(data) if not isinstance(block, str)]
    middle = [block for block in blocks if block.kind == 3][2]
    within = middle.offset + 100
    crc = bytearray(data)
    crc[within] ^= 0x10
    contents = {
        "within.pmt": data[:within],
        "between.pmt": data[: middle.offset],
        "crc.pmt": bytes(crc),
        "no_end.pmt": data[: blocks[-1].offset],
        "zeros.pmt": data[: middle.offset] + bytes(5000),
        "more.pmt": data + b"more",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@pytest.mark.slow_once
def test_commands_on_what_is_cut(good: Path, tmp_path: Path) -> None:
    # GIVEN captures that are cut or damaged
    paths = broken(good, tmp_path)
    # WHEN
    shown = child.run([sys.executable, "-m", "pymemtrace", "summary", *map(str, paths.values())], tmp_path)
    # THEN the summary has what is there, and says of each that it is not all
    assert shown.stdout.count("INCOMPLETE") == len(paths) and shown.stderr == ""
    for path in paths.values():
        before = path.read_bytes()
        recovered = child.run([sys.executable, "-m", "pymemtrace", "recover", str(path)], tmp_path)
        assert recovered.stdout == f"{path}: nothing to recover\n"
        assert path.read_bytes() == before


@pytest.mark.slow_once
@pytest.mark.parametrize("name", ["within.pmt", "between.pmt", "crc.pmt", "no_end.pmt", "zeros.pmt", "more.pmt"])
def test_events_of_what_is_cut(name: str, good: Path, tmp_path: Path) -> None:
    # GIVEN a capture that is cut or damaged
    path = broken(good, tmp_path)[name]
    # WHEN
    done = child.run([sys.executable, "-m", "pymemtrace", "events", str(path)], tmp_path, expect=None)
    # THEN the rows up to there come out, without an end
    text = log.parse(done.stdout.encode())
    assert [row.event for row in text.rows] == [event.event for event in pymemtrace.read(path)]
    if name != "more.pmt":
        assert text.end is None
    # and a sentence says that this is not all
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, f"no word of the cut on stderr: {done.stderr!r}"
    assert path.name in done.stderr


def test_events_of_what_is_being_written(tmp_path: Path) -> None:
    # GIVEN a program that stands still in the middle of its recording
    path = tmp_path / "alive.pmt"
    source = (
        f"import os, pymemtrace, signal\nwith pymemtrace.trace({str(path)!r}):\n"
        f"    while os.stat({str(path)!r}).st_size < 20_000:\n        for n in range(30_000): abs(n)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", source], env=child.environment(), cwd=tmp_path)
    try:
        until = time.monotonic() + 60
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.005)
        # WHEN
        done = child.run([sys.executable, "-m", "pymemtrace", "events", str(path)], tmp_path)
        shown = child.run([sys.executable, "-m", "pymemtrace", "summary", str(path)], tmp_path)
    finally:
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
    # THEN there are whole rows, and a sentence
    text = log.parse(done.stdout.encode())
    log.check_all(text.rows)
    assert text.end is None and len(text.rows) > 1000
    assert "INCOMPLETE" in shown.stdout
    assert done.stderr.count("\n") == 1 and path.name in done.stderr, f"no word of the cut on stderr: {done.stderr!r}"
