"""What programs do to their recorder: each works as without it, and its file is whole or says what was not seen."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child, run
from support.program import head

import pymemtrace

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

HEAD = head()


def test_daemon(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that becomes a daemon by the book: forks twice, leaves its session and folder, closes everything
    source = (
        HEAD
        + """
    with pymemtrace.trace(path, log="all") as recording:
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.chdir("/")
            os.umask(0)
            keep = told
            os.closerange(0, keep)
            os.closerange(keep + 1, 4096)
            for n in range(3):
                os.open("/dev/null", os.O_RDWR)
            for n in range(1000):
                work(n)
            os.write(keep, b"%d" % os.getpid())
            sys.exit(0)
        os.close(told)
        os.waitpid(child, 0)
        daemon = int(os.read(ready, 100))
        os.read(ready, 1)  # until it has ended, with its end of the pipe
    report(child=child, daemon=daemon)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN all three have their files
    assert log.calls(tmp_path / f"job_{done.result['daemon']}.log", "work") == 1000
    assert sorted(path.name for path in tmp_path.glob("job*")) == sorted(
        ["job.log", f"job_{done.result['child']}.log", f"job_{done.result['daemon']}.log"]
    )


@pytest.mark.parametrize("where", ["parent", "child"])
def test_modules_deleted(run_child: RunChild, tmp_path: Path, where: str) -> None:
    # GIVEN a program that takes all modules out of sys.modules before it forks, or after
    source = (
        HEAD
        + """
    def child_of():
        child = os.fork()
        if child == 0:
            if WHERE == "child":
                sys.modules.clear()
            for n in range(100):
                work(n)
            os._exit(3)
        return child, os.waitpid(child, 0)[1]

    kept = dict(sys.modules)
    with pymemtrace.trace(path, log="all") as recording:
        if WHERE == "parent":
            sys.modules.clear()
        child, status = child_of()
        work(1)
    sys.modules.update(kept)
    report(child=child, status=status)
    """.replace("WHERE", repr(where))
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN
    assert done.result["status"] == 3 << 8
    assert log.calls(tmp_path / "job.log", "work") == 1
    assert log.calls(tmp_path / f"job_{done.result['child']}.log", "work") == 100


def test_profile_function_in_a_child(run_child: RunChild, tmp_path: Path, each_engine: str) -> None:
    # GIVEN a child that installs a profile function of its own
    source = (
        HEAD
        + """
    def theirs(frame, event, arg):
        seen.append(event)

    seen = []
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            for n in range(10):
                work(n)
            sys.setprofile(theirs)
            for n in range(10):
                work(n)
            sys.setprofile(None)
            sys.exit(seen.count("call"))
        _, status = os.waitpid(child, 0)
    report(child=child, status=status)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN it sees its events; we see all, or the file says that we did not
    assert done.result["status"] == 10 << 8
    path = tmp_path / f"job_{done.result['child']}.log"
    if each_engine == "monitoring":
        assert log.calls(path, "work") == 20
    else:
        text = path.read_text()
        assert "threads whose profile function the program had replaced or removed: 1" in text


def test_faulthandler_and_collections(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN Python signal handlers, faulthandler and functions of gc, in parent and child
    source = (
        HEAD
        + """
    import faulthandler
    import gc

    def handler(number, frame):
        told.append(number)

    def collected(phase, info):
        phases.append(phase)

    def all_of_it():
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        gc.collect()
        return [len(told), phases.count("stop")]

    gc.disable()
    told, phases = [], []
    traceback = open(path + ".traceback", "w")
    faulthandler.register(signal.SIGUSR1, traceback, all_threads=False)
    signal.signal(signal.SIGUSR2, handler)
    gc.callbacks.append(collected)
    with pymemtrace.trace(path, log="all") as recording:
        child = os.fork()
        if child == 0:
            os._exit(all_of_it() == [1, 1])
        status = os.waitpid(child, 0)[1]
        mine = all_of_it()
    report(child=child, status=status, mine=mine)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", options=())
    # THEN
    assert (done.result["status"], done.result["mine"]) == (1 << 8, [1, 1])
    assert (tmp_path / "job.log.traceback").read_text().count("in all_of_it") == 2
    for path in (tmp_path / "job.log", tmp_path / f"job_{done.result['child']}.log"):
        assert (log.calls(path, "handler"), log.calls(path, "collected")) == (1, 2)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="os.unshare and os.setns came with Python 3.12")
def test_namespaces(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program that moves into a user namespace, which the kernel refuses where there is a second thread
    source = (
        HEAD
        + """
    def enter(function, *args):
        try:
            function(*args)
        except OSError as error:
            return error.errno
        return 0

    child = os.fork()
    if child == 0:
        os._exit(min(enter(os.unshare, os.CLONE_NEWUSER), 255))
    without = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with pymemtrace.trace(path, log="all", children=False) as recording:
        work(1)
        said = enter(os.unshare, os.CLONE_NEWUSER)
        here = os.open("/proc/self/ns/user", os.O_RDONLY)
        into = enter(os.setns, here, 0)  # the one that it is in: always refused, whoever asks
        for n in range(100):
            work(n)
    print(without, said, into, recording.error)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log")
    # THEN it is told the same as without us, and the recording goes on
    without, said, _, error = done.stdout.split()
    assert (said, error) == (without, "None")
    assert log.calls(tmp_path / "job.log", "work") == 101


@pytest.mark.parametrize("how", ["os", "C"])
def test_children_in_another_pid_namespace(run_child: RunChild, tmp_path: Path, how: str) -> None:
    # GIVEN a program that moves its children into another PID namespace: the kernel gives it no further thread
    if how == "os" and sys.version_info < (3, 12):
        pytest.skip("os.unshare came with Python 3.12")
    source = (
        HEAD
        + """
    import ctypes

    NEWPID = 0x20000000

    def unshare():
        if sys.argv[2] == "os":
            os.unshare(NEWPID)
        elif ctypes.CDLL(None, use_errno=True).unshare(NEWPID):
            raise OSError(ctypes.get_errno(), "unshare")

    child = os.fork()
    if child == 0:
        try:
            unshare()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if refused:
        report(refused=os.strerror(refused))
        sys.exit()
    with pymemtrace.trace(path, log="all") as recording:
        work(1)
        unshare()
        work(2)
        child = os.fork()
        if child == 0:
            for n in range(50):
                work(n)
            os._exit(7)
        _, status = os.waitpid(child, 0)
        work(3)
    try:
        pymemtrace.trace(path + ".more").start()
    except OSError as error:
        more = str(error)
    report(refused="", status=status, error=str(recording.error), more=more)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", how)
    if done.result["refused"]:
        pytest.skip(f"unshare(CLONE_NEWPID): {done.result['refused']}")
    # THEN the program goes on, and is told why its recording could not
    assert done.result["status"] == 7 << 8
    for said in (done.result["error"], done.result["more"]):
        assert "children go into another PID or time namespace" in said and "job.log" in said
    assert done.stderr.count("RuntimeWarning") == 1
    assert not (tmp_path / "job.log.more").exists()
    # what it did before is in its file, and its child's is whole
    text = log.parse((tmp_path / "job.log").read_bytes(), complete=False)
    assert text.calls("work") == (1 if how == "os" else 2)
    assert log.calls(tmp_path / "job_1.log", "work") == 50


@pytest.mark.skipif(
    tuple(map(int, re.findall("[0-9]+", os.uname().release)[:2])) < (5, 14), reason="a SIGBUS before Linux 5.14"
)
@pytest.mark.parametrize("size", [0, 4096])
def test_file_of_the_run_that_somebody_cuts(run_child: RunChild, tmp_path: Path, size: int) -> None:
    # GIVEN a program that cuts what its run has in memory
    source = (
        HEAD
        + """
    import glob

    with pymemtrace.trace(path, log="all"):
        (name,) = glob.glob(f"/dev/shm/pymemtrace_{os.getpid()}_*")
        os.truncate(name, int(sys.argv[2]))
        child = os.fork()
        if child == 0:
            work(1)
            os._exit(3)
        _, status = os.waitpid(child, 0)
        started = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", "def work(): pass\\nwork()\\nwork()"])
        work(2)
    report(child=child, status=status, started=started, name=name)
    """
    )
    # WHEN
    done = run_child(source, tmp_path / "job.log", size)
    # THEN nobody is hurt, all record, and it goes with its run
    assert (done.result["status"], done.result["started"]) == (3 << 8, 0)
    assert log.calls(tmp_path / "job.log", "work") == 1
    assert sorted(log.calls(path, "work") for path in tmp_path.glob("job_*.log")) == [0, 1, 2]  # 0: before its exec
    assert not Path(done.result["name"]).exists()


ENDS = """
import atexit
import signal
import sys
import threading
import time

def last():
    return abs(1)

def handler(number, frame):
    last()
    sys.exit(9)

class Dying:
    def __del__(self):
        last()

def forever():
    while True:
        time.sleep(0.001)

atexit.register(last)
dying = Dying()
threading.Thread(target=forever, daemon=True).start()
name = sys.argv[1]
if sys.argv[2] == "handled":
    signal.signal(getattr(signal, name), handler)
elif name == "SIGINT":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background has it ignored
else:
    signal.signal(getattr(signal, name), signal.SIG_DFL)
for n in range(100):
    last()
signal.raise_signal(getattr(signal, name))
"""


@pytest.mark.parametrize("suffix", ["log", "pmt"])
@pytest.mark.parametrize("how", ["handled", "default"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals(tmp_path: Path, name: str, how: str, suffix: str) -> None:
    # GIVEN a program with functions at exit, a destructor and a daemon thread, which a signal ends
    (tmp_path / "program.py").write_text(ENDS)
    program, output = str(tmp_path / "program.py"), tmp_path / f"job.{suffix}"
    number = getattr(signal, name)
    status = 9 if how == "handled" else -number
    # WHEN it runs without and with the recorder
    plain = run([sys.executable, program, name, how], tmp_path, expect=status)
    done = run(
        [sys.executable, "-m", "pymemtrace", "run", "-q", "--log", "all", "-o", str(output), program, name, how],
        tmp_path,
        expect=status,
    )
    # THEN it ends in the same way
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    # and all is there: at once where Python ended, after `recover` where the signal ended it
    if how == "default" and name != "SIGINT":
        assert pymemtrace.read(output).complete is False
        run([sys.executable, "-m", "pymemtrace", "recover", str(output)], tmp_path)
        ran = 100
    else:
        ran = 102 + (how == "handled")  # the loop, the handler, the function at exit, the destructor
    recording = pymemtrace.read(output)
    found = [event.function for event in recording.events() if event.what == "CALL"]
    assert found.count("last") in (ran, ran - 1)  # a module's names may be gone before its destructor runs
    assert found.count("handler") == (how == "handled")
    assert not os.path.exists(f"{output}.ring")
