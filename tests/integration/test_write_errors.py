"""When the log cannot be written the recording ends, not the program: one warning, a readable file, a reason."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import log
from support.child import Child

RunChild = Callable[..., Child]

# A program that writes far more than the limit, and knows that it came through: `fail()` is called when the recording
# has begun. Warnings are counted where they are raised.
PROGRAM = """
    import os
    import resource
    import shutil
    import sys
    import warnings
    import pymemtrace
    from support.child import report

    def work(n):
        return abs(n)

    def main():
        total = 0
        for n in range(50_000):
            total += work(n)
        return total

    def fail():
        {fail}

    path = sys.argv[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pymemtrace.trace(path, log="all") as recording:
            fail()
            total = main()
    error = recording.error
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    report(total=total, error=type(error).__name__, errno=getattr(error, "errno", None), text=str(error),
           events=recording.events, logged=recording.events_logged,
           is_os_error=isinstance(error, OSError),
           caught=[[each.category.__name__, str(each.message)] for each in caught])
"""
TOTAL = sum(range(50_000))

# The same where not even the beginning can be written: the program goes on by itself when it is told so at the start.
AT_START = """
    import resource
    import sys
    import warnings
    import pymemtrace
    from support.child import report

    def main():
        return sum(abs(n) for n in range(1000))

    path, total, ran, refused = sys.argv[1], None, 0, None
    {limit}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recording = pymemtrace.trace(path, log="all")
        try:
            with recording:
                ran = 1
                total = main()
        except OSError as error:
            refused = error
    error = refused or recording.error
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    report(ran=ran, total=total, refused=refused is not None, errno=getattr(error, "errno", None),
           filename=str(getattr(error, "filename", None)), is_os_error=isinstance(error, OSError),
           caught=[each.category.__name__ for each in caught])
"""


def program(fail: str) -> str:
    return PROGRAM.replace("{fail}", fail)


def check_came_through(done: Child, path: Path | str) -> None:
    """The program has done its work; the error is an OSError, said once."""
    result = done.result
    assert result["total"] == TOTAL
    assert result["is_os_error"], result["error"]
    assert [name for name, _ in result["caught"]] == ["RuntimeWarning"], result["caught"]
    assert str(path) in result["caught"][0][1]
    assert "Traceback" not in done.stderr


def check_told_at_start(done: Child, number: int, path: Path | str) -> None:
    """An OSError with the path at the start and no body run, or a body run to its end and one warning."""
    result = done.result
    assert (result["is_os_error"], result["errno"], result["filename"]) == (True, number, str(path)), result
    if result["refused"]:
        assert (result["ran"], result["caught"]) == (0, [])
    else:
        assert (result["ran"], result["total"], result["caught"]) == (1, sum(range(1000)), ["RuntimeWarning"])


def check_readable(path: Path) -> list[log.Row]:
    """The file is a log up to its last complete line: its rows, which begin at 0 and have no gap."""
    text = log.parse(path.read_bytes(), complete=False)
    rows = text.rows
    log.check_sums(rows)
    log.check_all(rows)
    assert text.end is None or text.end != "end", "a broken recording must not look like a regular one"
    return rows


def test_limit_of_the_files_size(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN RLIMIT_FSIZE of 1 MiB (CPython ignores SIGXFSZ)
    source = program("resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))")
    path = tmp_path / "limit.log"
    # WHEN
    done = run_child(source, path)
    # THEN
    check_came_through(done, path)
    assert done.result["errno"] == errno.EFBIG
    assert path.stat().st_size <= 1 << 20
    assert len(check_readable(path)) > 1000


def test_limit_at_the_start(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a limit that leaves no room for even the header
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))"
    # WHEN
    done = run_child(AT_START.replace("{limit}", limit), tmp_path / "limit.log")
    # THEN
    check_told_at_start(done, errno.EFBIG, tmp_path / "limit.log")


def test_dev_full(run_child: RunChild) -> None:
    # GIVEN a device on which every write fails
    # WHEN
    done = run_child(AT_START.replace("{limit}", "pass"), "/dev/full")
    # THEN
    check_told_at_start(done, errno.ENOSPC, "/dev/full")


@pytest.mark.parametrize("mode", ["none", "threshold", "previous"])
@pytest.mark.parametrize("comments", [True, False])
def test_dev_full_where_little_is_written(run_child: RunChild, mode: str, comments: bool) -> None:
    # GIVEN modes that write next to nothing
    source = AT_START.replace('log="all"', f'log="{mode}", comments={comments}').replace("{limit}", "pass")
    # WHEN
    done = run_child(source, "/dev/full")
    # THEN that little is missed, and said
    check_told_at_start(done, errno.ENOSPC, "/dev/full")


def test_dev_null_is_no_error(run_child: RunChild) -> None:
    # GIVEN
    source = program("pass")
    # WHEN
    done = run_child(source, "/dev/null")
    # THEN everything counts as written
    assert done.result["error"] == "NoneType"
    assert done.result["caught"] == []
    assert done.result["events"] == done.result["logged"] >= 200_000


@pytest.mark.parametrize(
    "fail", ["os.unlink(path)", "shutil.rmtree(os.path.dirname(path))"], ids=["file_removed", "folder_removed"]
)
def test_log_removed(run_child: RunChild, tmp_path: Path, fail: str) -> None:
    # GIVEN a log that is removed while it is written: all that is written from then on is lost
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "removed.log"
    # WHEN
    done = run_child(program(fail), path)
    # THEN the program comes through, and its user is told that there is no log
    check_came_through(done, path)
    assert not path.exists()


def test_log_renamed(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a log that is moved while it is written
    path = tmp_path / "moved.log"
    # WHEN
    done = run_child(program("os.rename(path, path + '.old')"), path)
    # THEN it is whole where it is now
    assert done.result["total"] == TOTAL
    assert len(log.read(str(path) + ".old", "all").rows) == done.result["events"]


def test_warnings_as_errors(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN `-W error`, under which a warning is an exception
    source = """
        import resource
        import sys
        import pymemtrace
        from support.child import report

        def main():
            for n in range(50_000):
                abs(n)
            return "done"

        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        raised = result = own = ""
        try:
            with pymemtrace.trace(sys.argv[1] + ".1", log="all") as first:
                limit(100_000)
                result = main()
        except BaseException as error:
            raised = repr(error)
        limit(resource.RLIM_INFINITY)
        try:
            with pymemtrace.trace(sys.argv[1] + ".2", log="all") as second:
                limit(100_000)
                main()
                raise ValueError("the program's own")
        except BaseException as error:
            own = repr(error)
        limit(resource.RLIM_INFINITY)
        errors = [isinstance(each.error, OSError) for each in (first, second)]
        report(result=result, raised=raised, own=own, errors=errors)
    """
    # WHEN
    done = run_child(source, tmp_path / "error.log", options=("-X", "faulthandler", "-W", "error"))
    # THEN a full disk has not become the program's exception, and does not hide one that is
    expected = {"result": "done", "raised": "", "own": 'ValueError("the program\'s own")', "errors": [True, True]}
    assert done.result == expected


def test_the_programs_own_files_are_not_hurt(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording that ends by an error in the middle, and a program that writes a file of its own
    source = """
        import resource
        import sys
        import warnings
        import pymemtrace

        def work(n):
            file.write("%d\\n" % n)

        warnings.simplefilter("ignore")
        with open(sys.argv[1] + ".own", "w") as file:
            with pymemtrace.trace(sys.argv[1], log="all"):
                resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
                for n in range(20_000):
                    work(n)
    """
    # WHEN
    run_child(source, tmp_path / "error.log")
    # THEN the program's file is whole
    text = (tmp_path / "error.log.own").read_text("ascii")
    assert text == "".join(f"{n}\n" for n in range(20_000))
    assert len(check_readable(tmp_path / "error.log")) > 1000


def test_folder_that_cannot_be_written(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a folder without the right to write, and a user for whom rights hold
    folder = tmp_path / "locked"
    folder.mkdir()
    for each in (tmp_path / "child", folder):
        each.chmod(0o755)
    source = """
        import os
        import sys
        import pymemtrace

        os.chdir(sys.argv[1])
        if os.getuid() == 0:
            os.setgid(54321)
            os.setuid(54321)
        try:
            with pymemtrace.trace(sys.argv[2]):
                print("recorded")
        except PermissionError as error:
            print(os.path.basename(error.filename))
    """
    if os.getuid() != 0:
        folder.chmod(0o555)
    # WHEN
    done = run_child(source, folder, "new.log")
    # THEN the error is at the start and names the file; the body does not run
    assert done.stdout == "new.log\n"
    assert list(folder.iterdir()) == []


def test_folder_that_is_not_there(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = """
        import sys
        import pymemtrace

        try:
            with pymemtrace.trace(sys.argv[1]):
                print("recorded")
        except FileNotFoundError as error:
            print(error.filename)
    """
    # WHEN
    done = run_child(source, tmp_path / "missing" / "new.log")
    # THEN
    assert done.stdout == f"{tmp_path}/missing/new.log\n"


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
    # GIVEN a disk of 2 MiB: the ring takes one of them
    path = small_disk / "full.log"
    # WHEN
    done = run_child(program("pass"), path)
    # THEN the log fills it, and is readable
    check_came_through(done, path)
    assert done.result["errno"] == errno.ENOSPC
    assert len(check_readable(path)) > 1000


def test_disk_full_from_the_start(run_child: RunChild, small_disk: Path) -> None:
    # GIVEN a disk without a free byte
    with open(small_disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    path = small_disk / "full.log"
    # WHEN
    done = run_child(program("pass"), path, expect=None)
    # THEN an error at the start, or a recording that ended by it; never a signal
    if done.returncode == 0:
        check_came_through(done, path)
        assert done.result["errno"] == errno.ENOSPC
    else:
        assert done.returncode == 1
        assert "No space left" in done.stderr


def test_recording_again_after_an_error(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording that ended by an error
    source = """
        import resource
        import sys
        import warnings
        import pymemtrace

        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        warnings.simplefilter("ignore")
        with pymemtrace.trace(sys.argv[1] + ".error", log="all") as first:
            limit(100_000)
            for n in range(10_000):
                abs(1)
        limit(resource.RLIM_INFINITY)
        with pymemtrace.trace(sys.argv[1], log="all") as second:
            len("")
        print(isinstance(first.error, OSError), second.error)
    """
    # WHEN
    done = run_child(source, tmp_path / "again.log")
    # THEN the next one is as any other
    assert done.stdout == "True None\n"
    assert [row.function for row in log.read(tmp_path / "again.log", "all").rows] == ["len", "len"]
