"""Fork: each child records into a file of its own, from event 0; the parent goes on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child
from support.program import head

import pymemtrace

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

# `-W error` makes the warning of 3.12 and later, that a process with threads forks, an exception.
STRICT = ("-X", "faulthandler", "-W", "error")
HEAD = head("in_parent", "in_child", "in_grandchild")
END = re.compile(r"^# (end.*)$", re.MULTILINE)


def log_figure(path: Path, name: str) -> str:
    found = re.findall(rf"^# {name}: (.*)$", path.read_text("utf-8", "replace"), re.MULTILINE)
    assert len(found) == 1, (path, name, found)
    return str(found[0])


def end_of(path: Path) -> str:
    return END.findall(path.read_text("utf-8", "replace"))[-1]


@pytest.mark.parametrize(
    ("ending", "status", "end"),
    [
        ("pass", 0, "end"),
        ("sys.exit(7)", 7 << 8, "end"),
        ("raise ValueError('in the child')", 1 << 8, "end"),
        ("os._exit(7)", 7 << 8, "end the process left by os._exit or os.abort"),
        ("os.abort()", 6, "end the process left by os._exit or os.abort"),
    ],
)
def test_child_and_grandchild(run_child: RunChild, tmp_path: Path, ending: str, status: int, end: str) -> None:
    # GIVEN a child that forks itself, and ends in one way or the other
    source = (
        HEAD
        + """
    def end():
        ENDING

    recording = pymemtrace.trace(path, log="all")
    recording.__enter__()
    for n in range(100):
        in_parent(n)
    child = os.fork()
    if child == 0:
        for n in range(200):
            in_child(n)
        grandchild = os.fork()
        if grandchild == 0:
            for n in range(300):
                in_grandchild(n)
            end()
            sys.exit(0)
        _, status = os.waitpid(grandchild, 0)
        report(child=os.getpid(), grandchild=grandchild, status=status, path=recording.path, running=recording.running)
        end()
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    for n in range(50):
        in_parent(n)
    recording.__exit__(None, None, None)
    print(child, status)
    """.replace("ENDING", ending)
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    child, grandchild = done.result["child"], done.result["grandchild"]
    # THEN each ended as it should
    assert [int(word) & 0xFF7F for word in done.stdout.split()] == [child & 0xFF7F, status]
    assert done.result["status"] & 0xFF7F == status
    # and has a whole file, named after the first, that tells its own events from its first on
    paths = {"": tmp_path / "job.log"}
    paths.update({f"{pid}": tmp_path / f"job_{pid}.log" for pid in (child, grandchild)})
    assert sorted(tmp_path.glob("job*")) == sorted(paths.values())
    assert (done.result["path"], done.result["running"]) == (str(paths[str(child)]), True)
    for name, function, times in (
        ("", "in_parent", 150),
        (str(child), "in_child", 200),
        (str(grandchild), "in_grandchild", 300),
    ):
        assert {each: log.calls(paths[name], each) for each in ("in_parent", "in_child", "in_grandchild")} == {
            **dict.fromkeys(("in_parent", "in_child", "in_grandchild"), 0),
            function: times,
        }
    # whose header knows the parent
    assert log_figure(paths[str(child)], "parent") == log_figure(paths[""], "pid")
    assert log_figure(paths[str(grandchild)], "parent") == str(child) == log_figure(paths[str(child)], "pid")
    assert [end_of(paths[name]) for name in ("", str(child), str(grandchild))] == ["end", end, end]
    # event 0 is the return of the fork, or what the program does next
    first = log.read(paths[str(child)], "all").rows[0]
    assert (first.what, first.function) in {("C_RETURN", "fork"), ("CALL", "in_child")}


@pytest.mark.parametrize("suffix", ["log", "pmt"])
def test_thousand_forks(run_child: RunChild, tmp_path: Path, suffix: str) -> None:
    # GIVEN a thousand forks, some children alive at the same time
    times = 1000 if suffix == "pmt" else 100
    source = (
        HEAD
        + """
    TIMES = int(sys.argv[2])
    with pymemtrace.trace(path, log="all") as recording:
        alive, statuses, children = [], [], []
        for number in range(TIMES):
            child = os.fork()
            if child == 0:
                for n in range(number % 7):
                    in_child(n)
                os._exit(number % 5)
            alive.append((child, number))
            children.append([child, number])
            while len(alive) > 3 or (alive and number == TIMES - 1):
                pid, at = alive.pop(0)
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == at % 5)
        in_parent(1)
        descriptors = len(os.listdir("/proc/self/fd"))
    report(good=sum(statuses), children=children, descriptors=descriptors)
    """
    )
    # WHEN
    path = tmp_path / f"job.{suffix}"
    done = run_child(source, path, times, options=STRICT, timeout=240)
    # THEN each has its file, with exactly its calls
    assert done.result["good"] == times
    assert done.result["descriptors"] < 12
    for child, number in done.result["children"]:
        mine = tmp_path / f"job_{child}.{suffix}"
        if suffix == "log":
            assert log.calls(mine, "in_child") == number % 7
        else:
            capture = pymemtrace.read(mine)
            assert capture.complete
            assert (
                sum(event.what == "CALL" and event.function == "in_child" for event in capture.events()) == number % 7
            )
    # and nothing else was left
    assert len(list(tmp_path.glob("job*"))) == times + 1


def test_from_another_thread_while_others_work(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN threads that make events all the time, so that the ring is never empty, and forks from one of them
    source = (
        HEAD
        + """
    import threading

    def busy():
        while not stop:
            in_parent(1)

    def forking():
        for number in range(6):
            child = os.fork()
            if child == 0:
                for n in range(100):
                    in_child(n)
                os._exit(0)
            children.append(child)
            statuses.append(os.waitpid(child, 0)[1])
        stop.append(1)

    stop, statuses, children = [], [], []
    with pymemtrace.trace(path, log="all") as recording:
        threads = [threading.Thread(target=target) for target in (busy, busy, forking)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    report(statuses=statuses, children=children, events=recording.events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", timeout=120)
    # THEN each child has exactly its own events, made by the one thread that it has
    assert done.result["statuses"] == [0] * 6
    for child in done.result["children"]:
        path = tmp_path / f"job_{child}.log"
        assert (log.calls(path, "in_child"), log.calls(path, "in_parent")) == (100, 0)
        assert {row.tid for row in log.read(path, "all").rows} == {child}
    assert len(log.read(tmp_path / "job.log", "all").rows) == done.result["events"]


def test_context_left_in_the_child(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child that leaves the context, works on unrecorded, and records again
    source = (
        HEAD
        + """
    parent = os.getpid()
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        for n in range(10):
            in_child(n)
    for n in range(10):
        in_grandchild(n)
    if child:
        os.waitpid(child, 0)
        report(child=child)
    else:
        assert recording.path.endswith(f"_{os.getpid()}.log") and not recording.running
        with pymemtrace.trace(path + ".more", log="all"):
            in_grandchild(1)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN its file ends with the context
    mine = tmp_path / f"job_{done.result['child']}.log"
    assert (log.calls(mine, "in_child"), log.calls(mine, "in_grandchild")) == (10, 0)
    assert log.calls(tmp_path / "job.log", "in_child") == 10
    assert log.calls(tmp_path / "job.log.more", "in_grandchild") == 1


def test_nested_recordings(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a fork within a recording within a recording
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all") as outer:
        in_parent(1)
        with pymemtrace.trace(path.replace("job", "inner"), log="all") as inner:
            child = os.fork()
            if child == 0:
                for n in range(10):
                    in_child(n)
            else:
                os.waitpid(child, 0)
        in_parent(2)
    if child:
        report(child=child)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN the innermost goes on in the child, outer ones are the parent's alone
    child = done.result["child"]
    mine = tmp_path / f"inner_{child}.log"
    assert (log.calls(mine, "in_child"), log.calls(mine, "in_parent")) == (10, 0)
    assert sorted(path.name for path in tmp_path.glob("*.log")) == sorted(["job.log", "inner.log", mine.name])
    assert log.calls(tmp_path / "job.log", "in_parent") == 2


def test_subprocess_is_no_child(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN forks made in C, with Python code between fork and exec or without, and one that fails; then a real one
    source = (
        HEAD
        + """
    import subprocess

    def preexec():
        in_child(1)

    def failing():
        raise ValueError("in the child")

    with pymemtrace.trace(path, log="all") as recording:
        subprocess.run(["true"], preexec_fn=preexec, check=True)
        subprocess.run(["true"], check=True)
        try:
            subprocess.run(["/does/not/exist"], preexec_fn=preexec)
        except FileNotFoundError:
            in_parent(1)
        try:
            subprocess.run(["true"], preexec_fn=failing)
        except subprocess.SubprocessError:
            in_parent(1)
        os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)
        os.system("exit 4")
        between = sorted(os.listdir(os.path.dirname(path)))
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        os.waitpid(child, 0)
    report(between=between, child=child)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN there is a file of the real one only
    assert [name for name in done.result["between"] if name.endswith(".log")] == ["job.log"]
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["job.log", f"job_{done.result['child']}.log"]
    assert log.calls(tmp_path / "job.log", "in_parent") == 2
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "in_child") == 1


def test_exec_in_a_child_that_fails(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN children that exec: one fails twice and works on, one succeeds
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            for n in range(2):
                try:
                    os.execv("/does/not/exist", ["x"])
                except FileNotFoundError:
                    in_child(n)
            os._exit(0)
        os.waitpid(child, 0)
        other = os.fork()
        if other == 0:
            in_child(1)
            os.execv("/bin/true", ["true"])
        os.waitpid(other, 0)
    report(child=child, other=other)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN one file goes on, the other ends with the exec
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "in_child") == 2
    other = tmp_path / f"job_{done.result['other']}.log"
    assert log.calls(other, "in_child") == 1
    assert end_of(other) == "end the process called exec"


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_child_that_is_killed(run_child: RunChild, tmp_path: Path, number: str) -> None:
    # GIVEN a child that a signal ends
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            for n in range(1000):
                in_child(n)
            os.kill(os.getpid(), signal.NUMBER)
        _, status = os.waitpid(child, 0)
    report(child=child, status=status)
    """.replace("NUMBER", number)
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=("-W", "error"))
    # THEN the process that was started has brought its events back at its own end
    path = tmp_path / f"job_{done.result['child']}.log"
    text = log.read(path, "all")
    assert text.calls("in_child") == 1000
    assert text.end == "end recovered"
    assert not list(tmp_path.glob("*.ring")) and not list(tmp_path.glob("*.sites"))


def test_fork_in_c(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a library that forks without a word to Python, and whose child forks by Python
    source = (
        HEAD
        + """
    import ctypes

    fork = ctypes.PyDLL(None).fork
    with pymemtrace.trace(path, log="all") as recording:
        child = fork()
        if child == 0:
            signal.alarm(50)  # were it to wait for a thread that it does not have
            grandchild = os.fork()
            in_child(1)
            if grandchild == 0:
                os._exit(3)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        _, status = os.waitpid(child, 0)
        in_parent(1)
    report(status=status)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN neither hangs, and the parent's file has its own events only
    assert done.result["status"] == 3 << 8
    assert (log.calls(tmp_path / "job.log", "in_parent"), log.calls(tmp_path / "job.log", "in_child")) == (1, 0)


def test_fork_in_a_hook(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a module whose function for after a fork forks itself, once
    source = (
        HEAD
        + """
    def hook():
        if not once:
            once.append(1)
            child = os.fork()
            if child:
                os.waitpid(child, 0)

    once = []
    os.register_at_fork(after_in_child=hook)
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        os.waitpid(child, 0)
    report(child=child)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=("-X", "faulthandler"))
    # THEN both have a file
    files = sorted(tmp_path.glob("job_*.log"))
    assert len(files) == 2 and tmp_path / f"job_{done.result['child']}.log" in files
    assert [log.calls(path, "in_child") for path in files] == [1, 1]


def test_fork_after_a_recording_that_failed(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording whose file was removed, in which the program starts another; then one that is well
    source = (
        HEAD
        + """
    import subprocess
    import warnings

    warnings.simplefilter("ignore")
    with pymemtrace.trace(path + ".removed", log="all") as failing:
        os.unlink(path + ".removed")
        for n in range(300000):
            in_parent(n)
        failed = repr(failing.error)
        subprocess.run(["true"], check=True, preexec_fn=int)
    with pymemtrace.trace(path, log="all"):
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        os.waitpid(child, 0)
    report(child=child, error=repr(failing.error))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=("-X", "faulthandler"))
    # THEN children of the second are recorded
    assert done.result["error"] != "None"
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "in_child") == 1


def test_files_must_be_small(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that may write small files only, and dies by the signal about that
    source = (
        HEAD
        + """
    import resource

    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            grandchild = os.fork()
            in_child(1)
            os._exit(0 if grandchild == 0 else os.waitpid(grandchild, 0)[1])
        _, status = os.waitpid(child, 0)
    report(status=status, child=child)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=("-X", "faulthandler"))
    # THEN it is never ours that is too large
    assert done.result["status"] == 0
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "in_child") == 1
    assert len(list(tmp_path.glob("job_*.log"))) == 2


def test_starts_that_race(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN threads that begin recordings with children at the same time
    source = """
        import os
        import sys
        import threading
        import pymemtrace
        from support.child import report

        def starts(number):
            for n in range(60):
                try:
                    with pymemtrace.trace(f"{sys.argv[1]}.{number}.{n}"):
                        for _ in range(2000):
                            pass
                    done.append(1)
                except RuntimeError:
                    refused.append(1)

        done, refused = [], []
        before = {name: os.environ.get(name) for name in ("PYMEMTRACE", "PYTHONPATH")}
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=starts, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = {name: os.environ.get(name) for name in before}
        report(done=len(done), refused=len(refused), same=before == after)
    """
    # WHEN
    done = run_child(source, tmp_path / "race")
    # THEN each is or is not, and os.environ is as it was
    assert done.result["done"] + done.result["refused"] == 240 and done.result["done"] > 0
    assert done.result["same"] is True


@pytest.mark.parametrize("suffix", ["log", "pmt"])
def test_children_killed_at_random(run_child: RunChild, tmp_path: Path, suffix: str) -> None:
    # GIVEN fifty children that count their calls in a page of their own, killed at random moments
    source = (
        HEAD
        + """
    import mmap
    import random
    import time

    def enter(at):
        shared[at] += 1

    random.seed(20261)
    shared = memoryview(mmap.mmap(-1, 4096)).cast("Q")
    children = []
    with pymemtrace.trace(path, log="all") as recording:
        for at in range(50):
            child = os.fork()
            if child == 0:
                while True:
                    enter(at)
            while at % 2 and shared[at] == 0:  # half of them are certain to have begun
                time.sleep(0.001)
            time.sleep(random.random() ** 2 * 0.03)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            children.append(child)
    report(children=children, counts=list(shared[:50]))
    """
    )
    # WHEN
    done = run_child(source, tmp_path / f"job.{suffix}", options=("-W", "error"), timeout=120)
    # THEN the process that was started has brought back each call of each of them
    unborn = 0
    for child, count in zip(done.result["children"], done.result["counts"]):
        path = tmp_path / f"job_{child}.{suffix}"
        if count == 0 and not path.exists():
            unborn += 1  # it ended before its recording began, and nothing of it is left
            continue
        found = [event.function for event in pymemtrace.read(path).events() if event.what == "CALL"]
        assert found.count("enter") - count in (0, 1)
    assert unborn <= 25
    assert len(list(tmp_path.glob("job*"))) == 51 - unborn


def test_no_descriptor_left(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child forked after the limit on descriptors was set to 3
    source = (
        HEAD
        + """
    import resource

    with pymemtrace.trace(path, log="all") as recording:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(5)
        _, status = os.waitpid(child, 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        in_parent(1)
    report(child=child, status=status, parent=os.getpid())
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN it is not recorded, the parent is, and says so with process, path and reason
    assert done.result["status"] == 5 << 8
    assert log.calls(tmp_path / "job.log", "in_parent") == 1
    assert [path.name for path in tmp_path.glob("job*")] == ["job.log"]
    said = log_figure(tmp_path / "job.log", "not recorded")
    assert said.startswith(f"{done.result['child']} (parent {done.result['parent']}): {tmp_path}/job_")
    assert "Too many open files" in said


def test_folder_that_cannot_be_written(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a folder that is gone when the program forks
    source = (
        HEAD
        + """
    import shutil

    os.mkdir(path)
    with pymemtrace.trace(path + "/job.log", log="all") as recording:
        shutil.rmtree(path)
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        in_parent(1)
        events = recording.events
    report(status=status, events=events)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "gone", options=("-X", "faulthandler"))
    # THEN the child does its work, unrecorded
    assert done.result["status"] == 0
    assert not (tmp_path / "gone").exists()


def test_working_directory_gone(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child whose working directory is gone, or another
    source = (
        HEAD
        + """
    os.makedirs("elsewhere")
    with pymemtrace.trace("relative.log", log="all") as recording:
        os.chdir("elsewhere")
        os.rmdir(os.getcwd())
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    report(status=status, child=child, path=recording.path)
    """
    )
    # WHEN
    done = run_child(source, tmp_path, options=STRICT)
    # THEN its file is beside that of its parent
    path = Path(done.result["path"])
    assert log.calls(path.with_name(f"relative_{done.result['child']}.log"), "in_child") == 1


@pytest.mark.skipif(os.getuid() != 0, reason="chroot and other users need root")
@pytest.mark.parametrize("what", ["os.chroot(path + '.root')", "os.setgid(54321); os.setuid(54321)"])
def test_parent_without_rights(run_child: RunChild, tmp_path: Path, what: str) -> None:
    # GIVEN a program that gives up its rights before it forks
    source = (
        HEAD
        + """
    os.mkdir(path + ".root")
    with pymemtrace.trace(path, log="all") as recording:
        WHAT
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        in_parent(1)
    print(status, recording.error)
    """.replace("WHAT", what)
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN the child works, its parent says why it was not recorded, if it was not
    assert done.stdout.split()[0] == "0"
    if len(list(tmp_path.glob("job_*.log"))) == 0 and "None" in done.stdout:
        assert log_figure(tmp_path / "job.log", "not recorded")


def test_output_that_is_no_file(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a recording into a device
    source = (
        HEAD
        + """
    with pymemtrace.trace("/dev/null", log="all") as recording:
        variable = os.environ.get("PYMEMTRACE")
        child = os.fork()
        if child == 0:
            in_child(1)
            os._exit(recording.running)
        _, status = os.waitpid(child, 0)
    report(status=status, variable=variable)
    """
    )
    # WHEN
    done = run_child(source, tmp_path, options=STRICT)
    # THEN children are not recorded
    assert done.result == {"status": 0, "variable": None}


def test_forkpty(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a child at a terminal of its own
    source = (
        HEAD
        + """
    import pty

    with pymemtrace.trace(path, log="all") as recording:
        child, terminal = pty.fork()
        if child == 0:
            for n in range(10):
                in_child(n)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        in_parent(1)
    report(status=status, child=child)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=STRICT)
    # THEN
    assert done.result["status"] == 0
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "in_child") == 10
    assert log.calls(tmp_path / "job.log", "in_parent") == 1


@pytest.mark.parametrize("ending", ["regular", "context", "terminate"])
def test_multiprocessing_pool(run_child: RunChild, tmp_path: Path, ending: str) -> None:
    # GIVEN a pool of forked workers, which end by themselves or by SIGTERM
    source = """
        import multiprocessing
        import sys
        import pymemtrace
        from support.child import report

        def in_child(n):
            return n * n

        def main(ending):
            context = multiprocessing.get_context("fork")
            ready = context.Semaphore(0)

            def squared(pool):
                squares = pool.map(in_child, range(50))
                for _ in range(2):  # one worker may do all of it before the other one has begun
                    assert ready.acquire(timeout=60)
                return squares

            if ending == "context":
                with context.Pool(2, initializer=ready.release) as pool:
                    return squared(pool)
            pool = context.Pool(2, initializer=ready.release)
            squares = squared(pool)
            pool.close() if ending == "regular" else pool.terminate()
            pool.join()
            return squares

        with pymemtrace.trace(sys.argv[1], log="all") as recording:
            squares = main(sys.argv[2])
        report(squares=squares)
    """
    # WHEN
    done = run_child(source, tmp_path / "pool.log", ending, timeout=90)
    # THEN the workers' files are whole, and have all calls between them
    assert done.result["squares"] == [n * n for n in range(50)]
    workers = sorted(tmp_path.glob("pool_*.log"))
    assert len(workers) == 2
    found = [row.function for path in workers for row in log.read(path, "all").rows if row.what == "CALL"]
    assert found.count("in_child") == 50
    assert {end_of(path) for path in workers} <= {"end recovered", "end the process left by os._exit or os.abort"}
    assert not list(tmp_path.glob("*.ring"))


def test_templates(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN names with fields
    source = (
        HEAD
        + """
    names = []
    for template in ("{name}-{pid}.log", "{seq}.log", "{{x}}{host}.log"):
        with pymemtrace.trace(path + "/" + template, log="all") as recording:
            child = os.fork()
            if child == 0:
                in_child(1)
                os._exit(0)
            os.waitpid(child, 0)
            names.append([template, recording.path.rpartition("/")[2], os.getpid(), child])
    report(names=names, host=os.uname().nodename)
    """
    )
    # WHEN
    done = run_child(source, tmp_path, options=STRICT)
    # THEN parent and child have theirs
    (a, first, parent, child), (b, second, _, _), (c, third, _, last) = done.result["names"]
    assert first == f"program_0-{parent}.log" and (tmp_path / f"program_0-{child}.log").is_file()
    assert second == "0.log" and (tmp_path / "2.log").is_file()  # number 1 was the first child
    host = done.result["host"]
    assert third == f"{{x}}{host}.log" and (tmp_path / f"{{x}}{host}_{last}.log").is_file()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{what}.log", "unknown field {what} in the path"),
        ("{}.log", "unknown field {} in the path"),
        ("a{pid.log", "a single {"),
        ("a}b.log", "a single }"),
    ],
)
def test_template_that_is_wrong(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        pymemtrace.trace(tmp_path / path)
