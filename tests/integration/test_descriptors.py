"""The program's file descriptors are its own: the numbers it gets, and what is in its files, are as without us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

# Runs main() with or without a recording; what it returns goes to the test.
RUNNER = """

    import pymemtrace
    from support.child import report

    def run():
        path, traced = sys.argv[1], sys.argv[2] == "traced"
        if traced:
            with pymemtrace.trace(path, log="all") as recording:
                result = main()
            report(result=result, events=recording.events, error=repr(recording.error))
        else:
            report(result=main())

    run()
"""


def both(run_child: RunChild, path: Path, source: str, **options: object) -> tuple[Child, Child]:
    """The program without and with a recording."""
    plain = run_child(source + RUNNER, path, "plain", **options)
    traced = run_child(source + RUNNER, path, "traced", **options)
    assert traced.result["error"] == "None"
    return plain, traced


def test_numbers_are_the_same(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that opens files, pipes, sockets and duplicates
    source = """
    import os
    import socket
    import sys
    import tempfile

    def main():
        numbers = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        numbers += os.pipe()
        first, second = socket.socketpair()
        numbers += [first.fileno(), second.fileno(), os.dup(0), os.dup2(0, 50), os.open("/dev/null", os.O_RDONLY)]
        os.close(numbers[3])
        with tempfile.TemporaryFile() as file:
            numbers.append(file.fileno())
        with open(sys.argv[0]) as file:
            numbers.append(file.fileno())
        return numbers
    """
    # WHEN
    plain, traced = both(run_child, tmp_path / "numbers.log", source)
    # THEN
    assert traced.result["result"] == plain.result["result"]
    log.read(tmp_path / "numbers.log", "all")


CLOSING = """
    import os
    import resource
    import sys

    def grow(kept):
        kept.extend((bytearray(1 << 20),))

    def work(n):
        return abs(n)

    def main():
        folder, first, last = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
        if last < 0:
            last = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        kept, numbers, files = [], [], []
        for n in range(1000):
            work(n)
        os.closerange(first, last)
        for number in range(12):
            files.append(os.open("%s/file %d" % (folder, number), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            numbers.append(files[-1])
        for n in range(5000):
            work(n)
            os.write(files[n % 12], b"line %d\\n" % n)
            if n % 500 == 0:
                grow(kept)
        os.closerange(first, last)
        files = []
        for number in range(12):
            files.append(os.open("%s/again %d" % (folder, number), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            numbers.append(files[-1])
        for n in range(1000):
            work(n)
            os.write(files[n % 12], b"again %d\\n" % n)
            if n % 500 == 0:
                grow(kept)
        return numbers
"""


@pytest.mark.parametrize(
    "first, last",
    [
        pytest.param(3, 4096, id="from_3_to_4096"),
        pytest.param(3, -1, id="from_3_to_the_limit"),
        pytest.param(0, 4096, id="standard_streams_too"),
        pytest.param(0, -1, id="all"),
    ],
)
def test_all_descriptors_closed(run_child: RunChild, tmp_path: Path, first: int, last: int) -> None:
    # GIVEN a program that closes every descriptor twice, and opens its own files meanwhile
    results, contents = [], []
    for how in ("plain", "traced"):
        folder = tmp_path / how
        folder.mkdir()
        # WHEN
        done = run_child(CLOSING + RUNNER, tmp_path / "closed.log", how, folder, first, last, options=())
        results.append(done.result["result"])
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    # THEN its descriptors have the numbers and its files the bytes that they have without us
    assert results[0] == results[1]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 24
    expected = b"".join(b"line %d\n" % n for n in range(0, 5000, 12))
    assert contents[1]["file 0"] == expected
    # and the log is whole, and its RSS goes on being read
    text = log.read(tmp_path / "closed.log", "all")
    assert done.result["error"] == "None"
    assert done.result["events"] == len(text.rows)
    assert len([row for row in text.rows if (row.what, row.function) == ("CALL", "work")]) == 7000
    grown = [row.drss for row in text.rows if (row.what, row.function) == ("C_CALL", "extend")]
    assert len(grown) == 12
    assert min(grown) >= 1 << 19


def test_nothing_of_ours_reaches_a_child(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that starts another one with all descriptors open
    source = """
    import os
    import subprocess
    import sys

    LIST = (
        "import os; paths = map('/proc/self/fd/{}'.format, os.listdir('/proc/self/fd'));"
        "print([os.readlink(path) for path in paths if os.path.lexists(path)])"  # not that of listdir itself
    )

    def main():
        done = subprocess.run([sys.executable, "-S", "-c", LIST], close_fds=False, capture_output=True, text=True)
        return sorted(name.partition(":")[0] for name in eval(done.stdout))
    """
    # WHEN
    plain, traced = both(run_child, tmp_path / "child.log", source)
    # THEN it has the same ones
    assert traced.result["result"] == plain.result["result"]


def test_pipes_of_the_program_end_when_it_closes_them(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a pipe made before the recording, its writing end closed while recording
    source = """
        import os
        import sys
        import pymemtrace

        reading, writing = os.pipe()
        with pymemtrace.trace(sys.argv[1], log="all"):
            os.write(writing, b"last words")
            os.close(writing)
            first, second = os.read(reading, 100), os.read(reading, 100)
        print(first, second)
    """
    # WHEN
    done = run_child(source, tmp_path / "pipe.log", timeout=30)
    # THEN its reader sees the end: nobody of ours holds it open
    assert done.stdout == "b'last words' b''\n"
    log.read(tmp_path / "pipe.log", "all")


def test_no_descriptor_is_left_open(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN many recordings one after another
    source = """
        import os
        import sys
        import time
        import pymemtrace

        def count():
            return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

        def record(number):
            with pymemtrace.trace("%s.%d" % (sys.argv[1], number), log="all"):
                abs(1)

        record(0)
        # A joined thread leaves /proc a moment after it was joined.
        deadline = time.monotonic() + 30
        while count()[1] > 1 and time.monotonic() < deadline:
            pass
        before = count()
        for number in range(1, 100):
            record(number)
        deadline = time.monotonic() + 30
        while count() != before and time.monotonic() < deadline:
            pass
        print(before == count(), before, count())
    """
    # WHEN
    done = run_child(source, tmp_path / "many.log")
    # THEN no descriptor and no thread stays behind
    assert done.stdout.startswith("True"), done.stdout
    for number in range(100):
        assert len(log.read(tmp_path / f"many.log.{number}", "all").rows) == 2


def test_few_descriptors_allowed(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a limit of descriptors that the program reaches
    source = """
    import os
    import resource
    import sys

    def main():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        numbers = []
        try:
            while True:
                numbers.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            refused = error.errno
        kept = [bytearray(1 << 20) for _ in range(4)]
        for number in numbers:
            os.close(number)
        return numbers[:20], refused, len(kept)
    """
    # WHEN
    plain, traced = both(run_child, tmp_path / "few.log", source)
    # THEN it gets the same ones and the same error, and the log is whole
    assert traced.result["result"] == plain.result["result"]
    text = log.read(tmp_path / "few.log", "all")
    assert text.rows[-1].rss - text.rows[0].rss >= 3 << 20
