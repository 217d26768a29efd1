"""`sample --pid` and `sample --tree`: other processes, watched from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from support import child, sample_files
from support.sample_files import MIB

HOLD = "import sys, time; held = b'x' * (int(sys.argv[1]) << 20); time.sleep(float(sys.argv[2]))"

# Of a program that is to live until it has been seen, however late the watch begins: the next line that has `what` may
# be of a look begun before, the one after it is not.
WAIT = """
import os, time

def seen(what):
    return open("x.rss").read().count(what) if os.path.exists("x.rss") else 0

def wait(what, more):
    many = seen(what) + more
    until = time.monotonic() + 50
    while seen(what) < many:
        assert time.monotonic() < until, "nobody looks"
        time.sleep(0.01)
"""


def sample(folder: Path, *args: object, expect: int | None = 0, timeout: float = 60) -> child.Child:
    command = [sys.executable, "-m", "pymemtrace", "sample", *map(str, args)]
    return child.run(command, folder, expect=expect, timeout=timeout)


def program(folder: Path, source: str) -> Path:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(source), "utf-8")
    return path


def by_pid(lines: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        if "rss" in line:
            found.setdefault(line["pid"], []).append(line)
    return found


@pytest.fixture
def sleeper(tmp_path: Path) -> Any:
    """A process that holds 20 MiB and sleeps for long."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, "20", "60"], cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


# --- one process -----------------------------------------------------------------------------------------------------


def test_a_process_until_it_ends(tmp_path: Path) -> None:
    # GIVEN a process that ends by itself, and has its memory when the watch begins: PSS is read after RSS
    source = WAIT + "held = b'x' * (20 << 20); print(flush=True); wait('\"rss\"', 6)"
    process = subprocess.Popen([sys.executable, "-c", source], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        # WHEN
        done = sample(tmp_path, "--pid", process.pid, "-i", "0.05", "-o", "x.rss")
    finally:
        process.stdout.close()
        assert process.wait(60) == 0
    # THEN
    header, *samples = sample_files.read(tmp_path / "x.rss")
    assert (header["scope"], header["pid"], header["parent"]) == ("pid", process.pid, os.getpid())
    assert header["command"][1:] == ["-c", source]
    assert len(samples) >= 5 and {one["pid"] for one in samples} == {process.pid}
    largest = max(one["rss"] for one in samples)  # the last one may be of an interpreter that has freed it already
    assert 20 * MIB < largest < 60 * MIB and samples[-1]["peak_rss"] >= samples[-1]["rss"]
    assert samples[-1]["rss"] == samples[-1]["anon"] + samples[-1]["file"] + samples[-1]["shmem"]
    with_pss = [one for one in samples if "pss" in one]
    assert with_pss and all(0 < one["uss"] <= one["pss"] <= one["rss"] for one in with_pss)
    times = [one["time"] for one in samples]
    assert times == sorted(times) and times[-1] - times[0] < 20
    assert done.stdout == "" and done.stderr.startswith("pymemtrace: ") and "plot x.rss" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watch_and_not_the_process(tmp_path: Path, sleeper: Any, number: int) -> None:
    # GIVEN
    command = [sys.executable, "-m", "pymemtrace", "sample", "--pid", str(sleeper.pid), "-i", "0.05", "-o", "x.rss"]
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background has it ignored
    watch = subprocess.Popen(command, cwd=tmp_path, env=child.environment(), stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ignored)
    wait_for(lambda: (tmp_path / "x.rss").exists() and len(sample_files.read(tmp_path / "x.rss")) >= 3)
    # WHEN
    watch.send_signal(number)
    said = watch.communicate(timeout=30)[1]
    # THEN
    assert watch.returncode == 0 and "ticks" in said
    assert sleeper.poll() is None
    assert (tmp_path / "x.rss").read_bytes().endswith(b"\n")


def wait_for(condition: Any, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def test_the_clock_is_that_of_a_log(tmp_path: Path) -> None:
    """Of the same process: events and samples agree about when it was."""
    # GIVEN a recorded program that has run for more than two seconds when the watch begins, and then takes 40 MiB
    source = (
        WAIT + "while not (os.path.exists('x.rss') and os.path.getsize('x.rss') > 2000): time.sleep(0.1)\n"
        "held = b'x' * (40 << 20); wait('\"rss\"', 3)"
    )
    command = [sys.executable, "-m", "pymemtrace", "run", "-q", "--log", "all", "-o", "x.log", "-c", source]
    process = subprocess.Popen(command, cwd=tmp_path, env=child.environment())
    time.sleep(2.5)
    # WHEN
    sample(tmp_path, "--pid", process.pid, "-i", "0.02", "-o", "x.rss")
    assert process.wait(30) == 0
    # THEN
    rows = [line.split() for line in (tmp_path / "x.log").read_text().splitlines() if line[:1].isdigit()]
    grown = next(float(row[1]) for row in rows if int(row[-1]) > 30 * MIB)
    samples = by_pid(sample_files.read(tmp_path / "x.rss"))[process.pid]
    large = next(i for i, one in enumerate(samples) if one["rss"] > 40 * MIB)
    assert samples[large - 1]["time"] < grown + 0.05 and samples[large]["time"] > grown - 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--pid", "4194305"], "there is no process 4194305"),
        (["--pid", "0"], "--pid must be the number of a process; it is '0'"),
        (["--pid", "-5"], "--pid must be the number of a process; it is '-5'"),
        (["--pid", "x"], "--pid must be the number of a process; it is 'x'"),
        (["--pid", "9" * 30], "--pid must be the number of a process"),
    ],
)
def test_a_process_that_is_none(tmp_path: Path, args: list[str], said: str) -> None:
    done = sample(tmp_path, *args, "-o", "x.rss", expect=2)
    assert done.stderr.startswith("pymemtrace sample: ") and said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "x.rss").exists()


def test_a_zombie(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: b") Z " in Path(f"/proc/{process.pid}/stat").read_bytes())
    done = sample(tmp_path, "--pid", process.pid, "-o", "x.rss", expect=2)
    process.wait()
    assert f"process {process.pid} has ended" in done.stderr and done.stderr.count("\n") == 1


def test_an_existing_file_is_refused(tmp_path: Path, sleeper: Any) -> None:
    (tmp_path / "x.rss").write_text("mine")
    done = sample(tmp_path, "--pid", sleeper.pid, "-o", "x.rss", expect=2)
    assert "'x.rss' exists already: -f replaces it" in done.stderr and (tmp_path / "x.rss").read_text() == "mine"


def test_a_process_of_somebody_else(tmp_path: Path, sleeper: Any) -> None:
    """Its RSS may be read, its PSS not."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody who may not read it")
    # GIVEN a watch by nobody, who may not read the packages of this Python: all is loaded before
    source = (
        "import os, sys, psutil; from pymemtrace.commands import main, sample, watched\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main(['sample', *sys.argv[1:]]))"
    )
    folder = tmp_path / "open"
    folder.mkdir()
    path = folder / "x.rss"
    path.touch()
    path.chmod(0o666)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)  # its folders are not for nobody
    command = [sys.executable, "-c", source, "--pid", str(sleeper.pid), "-i", "0.05", "-o", f"/proc/self/fd/{fd}"]
    environment = {**child.environment(), "PYTHONUNBUFFERED": "1"}
    watch = subprocess.Popen(command, cwd="/", env=environment, stderr=subprocess.PIPE, text=True, pass_fds=[fd])
    # WHEN
    try:
        wait_for(lambda: len(sample_files.read(path)) >= 5 or watch.poll() is not None)
        sleeper.kill()
        said = watch.communicate(timeout=30)[1]
    finally:
        os.close(fd)
    # THEN
    assert watch.returncode == 0, said
    assert "NOT READ    PSS and USS of 1 process, not permitted" in said
    lines = sample_files.read(path)
    assert [line["note"] for line in lines if "note" in line] == ["PSS and USS cannot be read: not permitted"]
    samples = [line for line in lines if "rss" in line]
    assert samples and samples[-1]["rss"] > 20 * MIB and not any("pss" in one for one in samples)


# --- a tree ----------------------------------------------------------------------------------------------------------

TREE = (
    WAIT
    + """
import subprocess, sys
hold = "import sys; held = b'x' * (int(sys.argv[1]) << 20); print(flush=True); sys.stdin.read()"
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
kids = [subprocess.Popen([sys.executable, "-c", hold, str(mib)], **pipes) for mib in (20, 40)]
print(*[kid.pid for kid in kids], flush=True)
for kid in kids:
    kid.stdout.readline()
wait('"tree"', 3)
wait('"pss"', 1)
for kid in kids:
    kid.communicate()
sys.exit(7)
"""
)


def test_a_program_and_its_children(tmp_path: Path) -> None:
    # GIVEN children that end when they have been seen with their memory, and with PSS
    program(tmp_path, TREE)
    # WHEN
    done = sample(tmp_path, "--tree", "-i", "0.05", "-o", "x.rss", "program.py", "--its", "-o", "option", expect=7)
    # THEN its output, and who was there
    small, large = map(int, done.stdout.split())
    header, *lines = sample_files.read(tmp_path / "x.rss")
    assert header["scope"] == "tree" and header["command"][-4:] == ["program.py", "--its", "-o", "option"]
    samples = by_pid(lines)
    assert {small, large, header["pid"]} <= set(samples)
    assert max(one["rss"] for one in samples[small]) > 20 * MIB and max(one["rss"] for one in samples[large]) > 40 * MIB
    began = {line["pid"]: line for line in lines if line.get("process") == "began"}
    assert began[small]["parent"] == began[large]["parent"] == header["pid"]
    assert [line["pid"] for line in lines if line.get("process") == "ended"][-1] == header["pid"]
    named = [line["command"][-1] for line in lines if line.get("process") == "began" and line["pid"] == large]
    assert named[-1] == "40"
    # THEN sums are those of the samples of the tick, and what is shared counts once in PSS: it is read after RSS, and
    # may be more than that was while a child still takes its memory
    grown = [
        {one["time"] for one in samples[pid] if one["rss"] > mib * MIB and "pss" in one}
        for pid, mib in ((small, 20), (large, 40))
    ]
    settled = grown[0] & grown[1]
    assert settled
    for total in (line for line in lines if "tree" in line):
        of_tick = [one for each in samples.values() for one in each if one["time"] == total["time"]]
        assert total["tree"]["processes"] == len(of_tick)
        assert total["tree"]["rss"] == sum(one["rss"] for one in of_tick)
        if "pss" in total["tree"]:
            assert total["tree"]["pss"] == sum(one["pss"] for one in of_tick)
            assert total["tree"]["pss"] < total["tree"]["rss"] or total["time"] not in settled
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    assert "3 processes" in done.stderr or "processes" in done.stderr


def test_a_tree_that_runs(tmp_path: Path) -> None:
    """--pid --tree, begun when the children are there."""
    # GIVEN
    path = program(tmp_path, TREE)
    process = subprocess.Popen([sys.executable, str(path)], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = {int(pid) for pid in process.stdout.readline().split()}
    # WHEN
    sample(tmp_path, "--pid", process.pid, "--tree", "-i", "0.1", "-o", "x.rss")
    # THEN
    assert process.wait(30) == 7
    process.stdout.close()
    assert set(by_pid(sample_files.read(tmp_path / "x.rss"))) == pids | {process.pid}


def test_a_program_that_is_killed(tmp_path: Path) -> None:
    program(tmp_path, WAIT + "import signal; wait('\"tree\"', 2); os.kill(os.getpid(), signal.SIGUSR1)")
    done = sample(tmp_path, "--tree", "-i", "0.05", "-o", "x.rss", "program.py", expect=None)
    assert done.returncode == -signal.SIGUSR1
    assert sample_files.read(tmp_path / "x.rss")[-1]["process"] == "ended"


def test_sigterm_is_passed_on(tmp_path: Path) -> None:
    # GIVEN
    source = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(5)); print('on', flush=True); time.sleep(60)"
    )
    program(tmp_path, source)
    command = [sys.executable, "-m", "pymemtrace", "sample", "--tree", "-qi", "0.05", "-o", "x.rss", "program.py"]
    watch = subprocess.Popen(command, cwd=tmp_path, env=child.environment(), stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None and watch.stdout.readline() == "on\n"
    # WHEN
    watch.terminate()
    # THEN
    watch.communicate(timeout=30)
    assert watch.returncode == 5


def test_a_signal_while_the_program_is_started(tmp_path: Path) -> None:
    # GIVEN a watch that gets SIGTERM when its program has begun, and it does not know it yet
    program(tmp_path, "import time; time.sleep(60)")
    source = """
        import os, signal, subprocess
        from pymemtrace.commands import main

        class Popen(subprocess.Popen):
            def __init__(self, *args, **names):
                super().__init__(*args, **names)
                os.kill(os.getpid(), signal.SIGTERM)

        subprocess.Popen = Popen
        main(["sample", "--tree", "-q", "-o", "x.rss", "program.py"])
    """
    # THEN it is the program's
    child.run_source(source, tmp_path, timeout=40, expect=-signal.SIGTERM)


def test_an_orphan_stays_in_the_tree(tmp_path: Path) -> None:
    """Its parent ends before anybody can have seen it."""
    # GIVEN
    program(
        tmp_path,
        WAIT
        + """
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        held = b"x" * (30 << 20)
        os.write(write, str(os.getpid()).encode())
        wait('"tree"', 4)
    os._exit(0)
os.wait()
print(os.read(read, 20).decode())
wait('"tree"', 4)
""",
    )
    # WHEN
    done = sample(tmp_path, "--tree", "-i", "0.1", "-o", "x.rss", "program.py")
    # THEN
    orphan = int(done.stdout)
    samples = by_pid(sample_files.read(tmp_path / "x.rss"))
    assert max(one["rss"] for one in samples[orphan]) > 30 * MIB


def test_a_program_that_cannot_be_found(tmp_path: Path) -> None:
    done = sample(tmp_path, "--tree", "-o", "x.rss", "none.py", expect=2)
    assert "none.py" in done.stderr and "No such file" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_does_not_stop_the_program(tmp_path: Path) -> None:
    # A program that cannot see whether it is watched already: long enough for a watch that begins late.
    program(tmp_path, "import time; time.sleep(2); print('done')")
    done = sample(tmp_path, "--tree", "-i", "0.05", "-o", "/dev/full", "program.py")
    assert done.stdout == "done\n" and "INCOMPLETE" in done.stderr and "No space left" in done.stderr


def test_a_thousand_short_children(tmp_path: Path) -> None:
    """No error for one that ends between two looks, and every one that lived for two ticks is there."""
    # GIVEN 25 times 40 children; each says when it began and ended
    program(
        tmp_path,
        """
import os, time
log = os.open("lives", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def child(number):
    begin = time.monotonic()
    time.sleep(number / 100)
    os.write(log, f"{os.getpid()} {begin} {time.monotonic()}\\n".encode())
    os._exit(0)
for batch in range(25):
    for number in range(40):
        if os.fork() == 0:
            child(number)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
""",
    )
    # WHEN
    done = sample(tmp_path, "--tree", "-i", "0.05", "-o", "x.rss", "program.py")
    # THEN
    header, *lines = sample_files.read(tmp_path / "x.rss")
    ticks = [line["time"] for line in lines if "tree" in line]
    lives = [line.split() for line in (tmp_path / "lives").read_text().splitlines()]
    assert len(lives) == 1000
    # A tick's time is that of its begin: the look at a process may come later by what the tick takes, at most a gap.
    longest_gap = max((b - a for a, b in zip(ticks, ticks[1:])), default=1)
    seen = {line["pid"] for line in lines if line.get("process") == "began"}
    long = [int(pid) for pid, begin, end in lives if float(end) - float(begin) > 2 * longest_gap + 0.05]
    assert set(long) <= seen
    assert len(seen) > 100 and "Traceback" not in done.stderr
    ended = [line["pid"] for line in lines if line.get("process") == "ended"]
    assert len(ended) == len(seen) and sum("note" in line for line in lines) == 0


def test_children_that_are_not_waited_for(tmp_path: Path) -> None:
    """A zombie ends once, not at every look."""
    # They end when each has been seen to begin; then there are ten more looks at what is left of them.
    program(
        tmp_path,
        """
        import os, time

        def wait(what, many):
            until = time.monotonic() + 60
            while open("x.rss").read().count(what) < many and time.monotonic() < until:
                time.sleep(0.01)

        reading, writing = os.pipe()
        for _ in range(5):
            if os.fork() == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
        wait('"began"', 6)
        os.close(writing)
        wait('"ended"', 5)
        wait('"rss"', open("x.rss").read().count('"rss"') + 10)
        """,
    )
    sample(tmp_path, "--tree", "-i", "0.05", "-o", "x.rss", "program.py")
    lines = sample_files.read(tmp_path / "x.rss")
    assert [sum(line.get("process") == what for line in lines) for what in ("began", "ended")] == [6, 6]
