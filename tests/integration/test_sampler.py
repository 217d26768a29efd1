"""The sampler from Python: what it sees of a program, what the program sees of it, and how it ends."""

from __future__ import annotations

import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import child, samples
from support.child import Child

import pymemtrace
from pymemtrace import cPyMemTrace, process

RunChild = Callable[..., Child]
TIMEOUT = 60
KILLS = 100 if "PYMEMTRACE_SOAK" in os.environ else 20

HEAD = """
    import os
    import sys
    import time
    import pymemtrace
    from pymemtrace import process
    from support.child import report

    def wait_for_ticks(samples, more=2):
        until = samples.ticks + more
        deadline = time.monotonic() + 30
        while samples.ticks < until and samples.error is None:
            assert time.monotonic() < deadline, "no tick any more"
            time.sleep(0.001)

    def threads():
        return len(os.listdir("/proc/self/task"))
"""


def sample(folder: Path, *arguments: object, expect: int | None = 0, **options: object) -> Child:
    command = [sys.executable, "-m", "pymemtrace", "sample", *map(str, arguments)]
    return child.run(command, folder, expect=expect, **options)  # type: ignore[arg-type]


# --- what is in the file ---------------------------------------------------------------------------------------------


@pytest.mark.not_sanitized  # of memory that is slow to sum up, and few sums are in time
def test_header_and_samples(run_child: RunChild, tmp_path: Path) -> None:
    # WHEN it goes on until there are three with PSS: a reading that took long puts off the next one
    done = run_child(
        HEAD
        + """
    with process.log_process(0.002, sys.argv[1], pss_interval=0.02) as samples:
        wait_for_ticks(samples, 50)
        deadline = time.monotonic() + 30
        while open(sys.argv[1]).read().count('"pss"') < 3:
            assert time.monotonic() < deadline, "no PSS any more"
            time.sleep(0.01)
        assert samples.running and samples.path == sys.argv[1]
    assert not samples.running and samples.error is None and samples.stop() is None
    report(pid=os.getpid(), parent=os.getppid(), ticks=samples.ticks, missed=samples.missed, stats=samples.stats())
    """,
        tmp_path / "job.rss",
    )
    # THEN
    file = samples.read(tmp_path / "job.rss")
    said = done.result
    assert (file.header["pid"], file.header["parent"]) == (said["pid"], said["parent"])
    assert file.header["scope"] == "self" and file.header["host"] == os.uname().nodename
    assert file.header["command"][-1] == str(tmp_path / "job.rss")
    assert file.header["python"] == sys.version.split()[0] and file.header["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert (file.header["interval"], file.header["pss_interval"]) == (0.002, 0.02)
    assert len(file.samples) == said["ticks"] >= 50 and file.missed == said["missed"] and file.torn == b""
    assert {one["threads"] for one in file.samples} == {2}
    shares = [one for one in file.samples if "pss" in one]
    assert 2 <= len(shares) < len(file.samples) and all(0 < one["uss"] <= one["pss"] <= one["rss"] for one in shares)
    first, last = file.samples[0], file.samples[-1]
    assert last["user"] + last["system"] >= first["user"] + first["system"] > 0
    assert last["minor_faults"] >= first["minor_faults"] > 0
    assert said["stats"]["rss_first"] == first["rss"] and said["stats"]["rss_last"] == last["rss"]
    assert said["stats"]["rss_peak"] == last["peak_rss"] and said["stats"]["missed"] == file.missed


def test_ticks_do_not_drift(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN ticks due at start + k * interval; one that is made late says how many before it were not made
    run_child(
        HEAD
        + """
    with process.log_process(0.01, sys.argv[1]) as samples:
        wait_for_ticks(samples, 60)
    """,
        tmp_path / "job.rss",
    )
    # THEN each sample is at its place, after it and before the next one's
    file = samples.read(tmp_path / "job.rss")
    number = 0
    for one in file.samples[1:-1]:
        number += 1 + one.get("missed", 0)
        late = one["time"] - file.header["time"] - number * 0.01
        assert -0.000002 <= late < 0.010002


def test_the_gil_is_held(run_child: RunChild, tmp_path: Path) -> None:
    """A C call that keeps the GIL for four seconds. Measured on an idle machine, no tick is late by more than 5 ms;
    here the limits are what tells it from a thread that waits for the GIL.
    """
    held = 4.0
    run_child(
        HEAD
        + """
    import ctypes
    hold = ctypes.PyDLL(None).usleep
    with process.log_process(0.01, sys.argv[1]) as samples:
        process.write_marker("held")
        hold(int(float(sys.argv[2]) * 1e6))
        process.write_marker("free")
    """,
        tmp_path / "job.rss",
        held,
    )
    file = samples.read(tmp_path / "job.rss")
    begin, end = (marker["time"] for marker in file.markers)
    assert end - begin >= held
    within = [one for one in file.samples if begin <= one["time"] <= end]
    gaps = samples.gaps(file)
    assert len(within) >= 10 and max(gaps) < 0.9 * held and statistics.median(gaps) < 0.1


STEPS = [1, 3, 17, 64, 256, 1000, 2]  # pages


@pytest.mark.not_sanitized
def test_a_staircase(run_child: RunChild, tmp_path: Path) -> None:
    """Allocations of known size, each held for 100 ms and five samples, are found step by step, to the page."""
    if pymemtrace.cPyMemTrace.info()["granularity"] != os.sysconf("SC_PAGE_SIZE"):
        pytest.skip("this kernel does not count RSS to the page")
    # WHEN
    run_child(
        HEAD
        + """
    import mmap
    page = mmap.PAGESIZE
    steps = eval(sys.argv[2])
    kept = [None] * len(steps)
    advice = getattr(mmap, "MADV_NOHUGEPAGE", 15)
    def hold(i, pages):
        kept[i] = mmap.mmap(-1, pages * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        kept[i].madvise(advice)
        for at in range(0, pages * page, page):
            kept[i][at] = 1
        process.write_marker(str(pages))
        time.sleep(0.1)
        wait_for_ticks(samples, 5)
        process.write_marker("end")
    with process.log_process(0.005, sys.argv[1]) as samples:
        for i, pages in enumerate(steps):  # what Python itself needs for it comes before
            hold(i, pages)
        kept[:] = [None] * len(steps)
        for i, pages in enumerate(steps):
            hold(i, pages)
    """,
        tmp_path / "job.rss",
        STEPS,
    )
    # THEN after each marker there is a level, held to its end, and levels differ by the step
    file = samples.read(tmp_path / "job.rss")
    markers = file.markers[2 * len(STEPS) :]  # of the second time
    assert [marker["marker"] for marker in markers[::2]] == [str(pages) for pages in STEPS]
    levels = []
    for begin, end in zip(markers[::2], markers[1::2]):
        held = [one["anon"] for one in file.samples if begin["time"] <= one["time"] < end["time"]]
        assert len(held) >= 3 and len(set(held)) == 1
        levels.append(held[0])
    page = os.sysconf("SC_PAGE_SIZE")
    assert [(b - a) // page for a, b in zip(levels, levels[1:])] == STEPS[1:]
    assert all((b - a) % page == 0 for a, b in zip(levels, levels[1:]))


def test_shared_memory_and_files_are_told_apart(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a file on the disk: the kernel counts those in memory (tmpfs) as shared, and the folder of tests may be one
    data = Path(__file__).with_name(f"data-{os.getpid()}")
    try:
        data.write_bytes(bytes(4 << 20))
        _tell_apart(run_child, tmp_path / "job.rss", data)
    finally:
        data.unlink()
    file = samples.read(tmp_path / "job.rss")
    none, shared = (marker["time"] for marker in file.markers)
    before = [one for one in file.samples if one["time"] < none][-1]
    middle = [one for one in file.samples if one["time"] < shared][-1]
    last = file.samples[-1]
    assert middle["shmem"] - before["shmem"] == 8 << 20 and last["shmem"] == middle["shmem"]
    assert last["file"] - middle["file"] >= 4 << 20


def _tell_apart(run_child: RunChild, path: Path, data: Path) -> None:
    run_child(
        HEAD
        + """
    import mmap
    with process.log_process(0.005, sys.argv[1]) as samples, open(sys.argv[2], "rb") as data:
        wait_for_ticks(samples)
        process.write_marker("none")
        shared = mmap.mmap(-1, 8 << 20)
        shared.write(bytes(8 << 20))
        wait_for_ticks(samples)
        process.write_marker("shared")
        mapped = mmap.mmap(data.fileno(), 0, prot=mmap.PROT_READ)
        mapped.find(b"x")
        wait_for_ticks(samples)
    """,
        path,
        data,
    )


def test_markers(run_child: RunChild, tmp_path: Path) -> None:
    done = run_child(
        HEAD
        + """
    import threading
    found = [process.write_marker("nobody")]
    with process.log_process(0.01, sys.argv[1]):
        found.append(process.write_marker('with "quotes", \\\\ and \\n, \\u00e9 \\ud800'))
        with process.log_process(60, sys.argv[2]):
            found.append(process.write_marker("in both"))
        several = [threading.Thread(target=process.write_marker, args=(f"t{i}",)) for i in range(20)]
        [thread.start() for thread in several], [thread.join() for thread in several]
        size = os.stat(sys.argv[1]).st_size
        process.write_marker("x" * 100_000)
        assert os.stat(sys.argv[1]).st_size > size + 100_000
        for wrong in (b"bytes", None, 3):
            try:
                process.write_marker(wrong)
            except TypeError as error:
                assert type(wrong).__name__ in str(error)
            else:
                raise AssertionError(wrong)
    found.append(process.write_marker("nobody"))
    report(found=found)
    """,
        tmp_path / "job.rss",
        tmp_path / "inner.rss",
    )
    assert done.result["found"] == [False, True, True, False]
    texts = [marker["marker"] for marker in samples.read(tmp_path / "job.rss").markers]
    assert texts[:2] == ['with "quotes", \\ and \n, \u00e9 \ud800', "in both"] and texts[-1] == "x" * 100_000
    assert sorted(texts[2:-1]) == sorted(f"t{i}" for i in range(20))
    assert [marker["marker"] for marker in samples.read(tmp_path / "inner.rss").markers] == ["in both"]


# --- killed ----------------------------------------------------------------------------------------------------------

VICTIM = """
import sys
from pymemtrace import process

with process.log_process(0.001, sys.argv[1]):
    number = 0
    while True:
        process.write_marker(f"{number}" * 50)
        number += 1
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Every line is whole but, at most, a torn last one."""
    (tmp_path / "victim.py").write_text(VICTIM)
    chance = random.Random(20261122)
    for number in range(KILLS):
        path = tmp_path / f"{number}.rss"
        victim = subprocess.Popen(
            [sys.executable, str(tmp_path / "victim.py"), str(path)], env=child.environment(), stdin=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + TIMEOUT
            while not path.exists() or path.stat().st_size == 0:
                assert victim.poll() is None and time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.03))
        finally:
            victim.kill()
            victim.wait()
        file = samples.read(path)
        assert file.header["pid"] == victim.pid
        texts = [marker["marker"] for marker in file.markers]
        assert texts == [f"{index}" * 50 for index in range(len(texts))]


# --- forks -----------------------------------------------------------------------------------------------------------

STRICT = ("-X", "faulthandler", "-W", "error")  # from 3.12 on a fork with a second thread warns


def test_fork(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN children that end in every way, one of them with samples of its own
    done = run_child(
        HEAD
        + """
    with process.log_process(0.001, sys.argv[1]) as samples:
        wait_for_ticks(samples)
        for number in range(20):
            before = samples.ticks
            pid = os.fork()
            if pid == 0:
                assert not samples.running and threads() == 1
                assert samples.ticks >= before and process.write_marker("in the child") is False
                if number % 4 == 0:
                    with process.log_process(0.001, sys.argv[1] + f".{number}") as own:
                        wait_for_ticks(own)
                        process.write_marker("its own")
                elif number % 4 == 1:
                    samples.stop()
                elif number % 4 == 2:
                    sys.exit(0)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            wait_for_ticks(samples)
            assert threads() == 2
    report(ticks=samples.ticks, pid=os.getpid())
    """,
        tmp_path / "job.rss",
        options=STRICT,
    )
    # THEN the parent went on, and the file is its own
    file = samples.read(tmp_path / "job.rss")
    assert file.header["pid"] == done.result["pid"] and len(file.samples) == done.result["ticks"] > 40
    assert file.markers == []
    own = sorted(tmp_path.glob("job.rss.*"))
    assert len(own) == 5
    for path in own:
        assert [marker["marker"] for marker in samples.read(path).markers] == ["its own"]


def test_hooks_of_the_program(run_child: RunChild, tmp_path: Path) -> None:
    """CPython 3.13 looks for a second thread after them: none of them may bring the sampler's back."""
    done = run_child(
        HEAD
        + """
    seen = []
    def hook(name):
        for _ in range(100):
            sum(range(10))
        process.write_marker(name)
        seen.append(threads())
    os.register_at_fork(before=lambda: hook("before"))  # called after ours
    with process.log_process(0.001, sys.argv[1]) as samples:
        os.register_at_fork(after_in_parent=lambda: hook("after"))
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            wait_for_ticks(samples)
        assert threads() == 2
    report(seen=seen)
    """,
        tmp_path / "job.rss",
        options=STRICT,
    )
    assert [marker["marker"] for marker in samples.read(tmp_path / "job.rss").markers] == ["before", "after"] * 5
    if sys.version_info >= (3, 12):
        assert done.result["seen"] == [1] * 10


def test_children_in_another_pid_namespace(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a program whose children go into another PID namespace: the kernel gives it no further thread
    done = run_child(
        HEAD
        + """
    import ctypes
    import warnings

    def unshare():
        return ctypes.get_errno() if ctypes.CDLL(None, use_errno=True).unshare(0x20000000) else 0

    def fork(do):
        pid = os.fork()
        if pid == 0:
            os._exit(do())
        return os.waitpid(pid, 0)[1] >> 8

    refused = fork(unshare)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with process.log_process(0.001, sys.argv[1]) as samples:
            wait_for_ticks(samples)
            if not refused:
                unshare()
                assert fork(lambda: 7) == 7
                assert process.write_marker("too late") is False
    said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    report(refused=refused and os.strerror(refused), said=said)
    """,
        tmp_path / "job.rss",
    )
    if done.result["refused"]:
        pytest.skip(f"unshare(CLONE_NEWPID): {done.result['refused']}")
    # THEN it is told why it is sampled no further
    (sentence,) = done.result["said"]
    assert "children go into another PID or time namespace" in sentence
    assert samples.read(tmp_path / "job.rss").torn == b""


def test_fork_by_another_thread(run_child: RunChild, tmp_path: Path) -> None:
    """While the main thread waits and evaluates nothing: sampling does not wait for it."""
    run_child(
        HEAD
        + """
    import threading
    import warnings
    warnings.simplefilter("ignore")
    def forks():
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            wait_for_ticks(samples)
        done.set()
    done = threading.Event()
    with process.log_process(0.001, sys.argv[1]) as samples:
        thread = threading.Thread(target=forks)
        thread.start()
        thread.join()
        assert done.is_set()
    """,
        tmp_path / "job.rss",
    )
    assert len(samples.read(tmp_path / "job.rss").samples) > 20


def test_multiprocessing_and_subprocess(run_child: RunChild, tmp_path: Path) -> None:
    done = run_child(
        HEAD
        + """
    import multiprocessing
    import subprocess
    def work(n):
        return n * n
    if __name__ == "__main__":
        with process.log_process(0.001, sys.argv[1]) as samples:
            found = {}
            for method in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(method)
                processes = [context.Process(target=work, args=(n,)) for n in range(3)]
                [one.start() for one in processes], [one.join() for one in processes]
                found[method] = [one.exitcode for one in processes]
                wait_for_ticks(samples)
            subprocess.run([sys.executable, "-c", "pass"], check=True, preexec_fn=os.getpid)
            wait_for_ticks(samples)
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            wait_for_ticks(samples)
        report(found=found, ticks=samples.ticks)
    """,
        tmp_path / "job.rss",
        options=STRICT,
    )
    assert done.result["found"] == {method: [0, 0, 0] for method in ("fork", "spawn", "forkserver")}
    assert len(samples.read(tmp_path / "job.rss").samples) == done.result["ticks"]
    assert [path.name for path in tmp_path.glob("*.rss")] == ["job.rss"]


def test_a_fork_that_python_does_not_see(run_child: RunChild, tmp_path: Path) -> None:
    done = run_child(
        HEAD
        + """
    import ctypes
    with process.log_process(0.001, sys.argv[1]) as samples:
        pid = ctypes.CDLL(None).fork()
        if pid == 0:
            if samples.running or process.write_marker("in the child"):
                os._exit(1)
            samples.stop()
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        wait_for_ticks(samples)
    report(status=status, ticks=samples.ticks)
    """,
        tmp_path / "job.rss",
    )
    assert done.result["status"] == 0
    file = samples.read(tmp_path / "job.rss")
    assert len(file.samples) == done.result["ticks"] and file.markers == []


# --- beside a recording ----------------------------------------------------------------------------------------------

FAMILY = """
import multiprocessing, os, pathlib, subprocess, sys, time
from pymemtrace import process

def between():
    return pathlib.Path("job.rss").read_text().partition('"before"')[2].count('"rss"')

def work():
    time.sleep(0.05)

if __name__ == "__main__":
    process.write_marker("before")
    for method in ("fork", "spawn"):
        one = multiprocessing.get_context(method).Process(target=work)
        one.start()
        one.join()
        assert one.exitcode == 0
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05)"], check=True)
    try:
        os.execv("/nowhere/at/all", ["x"])
    except OSError:
        time.sleep(0.05)
    deadline = time.monotonic() + 30  # however late the samples are: enough of them between the two
    while between() < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.write_marker("after")
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    os.wait()
"""


def test_run_with_samples(tmp_path: Path) -> None:
    """Every process of a run that has a log has samples beside it, on the same clock."""
    # WHEN
    (tmp_path / "job.py").write_text(FAMILY)
    command = ["run", "--sample", "0.005", "-o", "job.log", "job.py"]
    done = child.run([sys.executable, "-W", "error", "-m", "pymemtrace", *command], tmp_path)
    # THEN
    assert f"  samples     {tmp_path / 'job.rss'} (every 0.005 s, " in done.stderr
    run = pymemtrace.read_run(tmp_path)
    logs = [Path(one.path) for one in run.processes]
    assert len(logs) >= 5 and sorted(tmp_path.glob("*.rss")) == sorted(path.with_suffix(".rss") for path in logs)
    for one in run.processes:
        events = list(one.recording)
        file = samples.read(Path(one.path).with_suffix(".rss"))
        assert file.header["pid"] == one.pid and len(file.samples) >= 2
        assert file.header["time"] <= events[0].clock and file.samples[-1]["time"] >= events[-1].clock - 0.005
        near = min(file.samples, key=lambda sample: abs(sample["time"] - events[-1].clock))
        assert abs(near["rss"] - events[-1].rss) < 4 << 20
    file = samples.read(tmp_path / "job.rss")
    assert [marker["marker"] for marker in file.markers] == ["before", "after"]
    before, after = (marker["time"] for marker in file.markers)
    assert len([one for one in file.samples if before < one["time"] < after]) > 10


def test_starting_and_stopping_is_no_event(tmp_path: Path) -> None:
    path = str(tmp_path / "job.rss")
    with pymemtrace.trace(tmp_path / "job.log", log="all") as recording:
        len(path)
        with process.log_process(0.01, path):
            abs(0)
    names = [event.function for event in pymemtrace.read(recording.path or "")]
    assert [name for name in names if name not in ("__exit__", "stop")] == ["len", "len", "abs", "abs"]


def test_names_beside_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("job.log", "other.pmt", "job.v1", "plain", "odd.rss"):
        with pymemtrace.trace(name, sample=60) as recording:  # so that none falls between the first and the last
            len("")
        assert recording.stats()["samples"]["ticks"] == 2
    assert {path.name for path in tmp_path.glob("*.rss")} == {
        "job.rss", "other.rss", "job.v1.rss", "plain.rss", "odd.rss", "odd.rss.rss",
    }  # fmt: skip
    # What is there is refused, and nothing is made
    with pytest.raises(FileExistsError, match=r"job\.rss"):
        pymemtrace.trace("job.pmt", sample=1).__enter__()
    assert not Path("job.pmt").exists()
    with pymemtrace.trace("/dev/null", sample=1) as recording:
        pass
    path = Path(recording.stats()["samples"]["path"])
    assert path.parent == tmp_path and path.name.endswith(f"_{os.getpid()}.rss")
    assert recording.stats()["path"] == "/dev/null"
    with pymemtrace.trace("without.log") as recording:
        pass
    assert recording.stats()["samples"] is None


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_limit_on_the_file(run_child: RunChild, tmp_path: Path) -> None:
    # WHEN the file may not grow any more
    done = run_child(
        HEAD
        + """
    import resource
    import warnings
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with process.log_process(0.001, sys.argv[1]) as samples:
            while samples.error is None:
                time.sleep(0.001)
            assert process.write_marker("too late") in (True, False)
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
    said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    report(said=said, error=samples.error.errno)
    """,
        tmp_path / "job.rss",
    )
    # THEN it is said once, and the file is whole up to there
    (sentence,) = done.result["said"]
    assert sentence.startswith(f"sampling into {tmp_path / 'job.rss'} stopped early: ") and done.result["error"] == 27
    file = samples.read(tmp_path / "job.rss")
    assert file.torn == b"" and len(file.samples) > 10


@pytest.mark.parametrize("command", ["sample", "run"])
def test_the_last_word_says_incomplete(command: str, tmp_path: Path) -> None:
    # GIVEN no room for one more sample, be it the last one, but enough for what is said, which is in a file, too
    program = (
        "import glob, os, resource, time; from pymemtrace import process; process.write_marker('x' * 9000); "
        "size = os.stat(glob.glob('*.rss')[0]).st_size + 100; resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); "
        "time.sleep(0.3); print('done')"
    )
    if command == "run":
        arguments = ["run", "-q", "--log", "none", "--sample", "0.005", "-c", program]
    else:
        arguments = ["sample", "-q", "-i", "0.005", "-o", "job.rss", "-c", program]
    done = child.run([sys.executable, "-m", "pymemtrace", *arguments], tmp_path)
    assert done.stdout == "done\n"
    assert done.stderr.count("INCOMPLETE  sampling stopped before the program ended: ") == 1
    (path,) = tmp_path.glob("*.rss")
    assert samples.read(path).torn == b""


@pytest.mark.parametrize("unshare", ["on", "off"])
def test_the_program_closes_all_descriptors(run_child: RunChild, tmp_path: Path, unshare: str) -> None:
    done = run_child(
        HEAD
        + """
    with process.log_process(0.001, sys.argv[1]) as samples:
        wait_for_ticks(samples)
        os.closerange(3, 5000)
        mine = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
        for fd in range(3, 5000):
            try:
                os.dup2(mine, fd)
            except OSError:
                break
        before = samples.ticks
        deadline = time.monotonic() + 30
        while samples.ticks <= before + 20 and not samples.error and time.monotonic() < deadline:
            time.sleep(0.001)
    os.closerange(3, 5000)
    report(more=samples.ticks - before, error=samples.error and samples.error.errno)
    """,
        tmp_path / "job.rss",
        tmp_path / "mine",
        env={"PYMEMTRACE_UNSHARE": unshare},
    )
    # THEN nothing of ours is in the program's file; with a table of its own it even goes on
    assert (tmp_path / "mine").read_bytes() == b""
    assert samples.read(tmp_path / "job.rss").torn == b""
    if done.result["error"] is None:
        assert done.result["more"] > 20
    else:
        assert unshare == "off" and done.result["error"] == 9


@pytest.mark.not_sanitized
def test_no_descriptor_and_little_memory(run_child: RunChild, tmp_path: Path) -> None:
    done = run_child(
        HEAD
        + """
    fds, rss = os.listdir("/proc/self/fd"), pymemtrace.rss()
    with process.log_process(0.001, sys.argv[1]) as samples:
        wait_for_ticks(samples, 100)
        assert os.listdir("/proc/self/fd") == fds
        grown = pymemtrace.rss() - rss
    report(grown=grown)
    """,
        tmp_path / "job.rss",
    )
    assert done.result["grown"] < 1 << 20


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"interval": 0}, ValueError, "interval must be from 0.001 to 86400 seconds, not 0"),
        ({"interval": -1.0}, ValueError, "interval must be"),
        ({"interval": 0.0009}, ValueError, "interval must be"),
        ({"interval": float("nan")}, ValueError, "interval must be from 0.001 to 86400 seconds, not nan"),
        ({"interval": float("inf")}, ValueError, "interval must be"),
        ({"interval": 10**400}, ValueError, "interval must be"),
        ({"interval": "1"}, TypeError, "interval must be a number of seconds, not '1'"),
        ({"interval": True}, TypeError, "interval must be a number"),
        ({"interval": None}, TypeError, "interval must be a number"),
        ({"interval": len}, TypeError, "with parentheses"),
        ({"pss_interval": -1}, ValueError, "pss_interval must be from 0.001 to 86400 seconds or 0, not -1"),
        ({"pss_interval": "x"}, TypeError, "pss_interval must be a number"),
        ({"path": ""}, ValueError, "path is empty"),
        ({"path": 3}, TypeError, "not int"),
        ({"path": "{nonsense}.rss"}, ValueError, "nonsense"),
        ({"path": len}, TypeError, "with parentheses"),
    ],
)
def test_bad_arguments(options: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        process.log_process(**options)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_trace_with_a_bad_interval(tmp_path: Path) -> None:
    for wrong, error in ((0, ValueError), (float("nan"), ValueError), ("1", TypeError)):
        with pytest.raises(error, match="sample must be"):
            pymemtrace.trace(tmp_path / "job.log", sample=wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "1e9", "0.0001", "one", "", "1 s"])
@pytest.mark.parametrize("option", [("sample", "-i"), ("run", "--sample")])
def test_bad_intervals_on_the_command_line(option: tuple[str, str], wrong: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pymemtrace",
        option[0],
        option[1],
        wrong,
        "-o",
        str(tmp_path / "x"),
        "-c",
        "print(1)",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT, env=child.environment(), check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"pymemtrace {option[0]}: {option[1]} must be 0.001 to 86400 seconds; it is {wrong!r}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no program given"),
        (["-o"], "option -o needs a value"),
        (["-o", "", "-c", "1"], "-o needs a path"),
        (["-o", "old.rss", "-c", "1"], "exists already: -f replaces it"),
        (["-o", "nowhere/x.rss", "-c", "1"], "cannot write "),
        (["-o", "{what}.rss", "-c", "1"], "unknown field {what}"),
        (["--pss", "x", "-c", "1"], "--pss must be 0.001 to 86400 seconds or 0"),
        (["missing.py"], "missing.py"),
        (["--nonsense", "-c", "1"], "unknown option '--nonsense'"),
        (["--tree"], "no program given"),
        (["--pid", "1", "job.py"], "'job.py' is one argument too many"),
        (["--pss", "1", "--tree", "-c", "1"], "--pss is for a program that samples itself"),
    ],
)
def test_bad_commands(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "old.rss").write_text("worth keeping")
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "old.rss").write_text("worth keeping")
    command = [sys.executable, "-m", "pymemtrace", "sample", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, env=child.environment(), check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("pymemtrace sample: ") and done.stderr.count("\n") == 1 and said in done.stderr
    assert [path.name for path in folder.iterdir()] == ["old.rss"]
    assert (folder / "old.rss").read_text() == "worth keeping"


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_program_is_as_without(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import sys\nprint(sys.argv, __name__, __file__, sys.path[0])\nsys.exit('an error of its own')\n"
    )
    plain = child.run([sys.executable, "job.py", "-i", "x"], tmp_path, expect=1)
    done = sample(tmp_path, "-q", "-i", "0.01", "-o", "job.rss", "job.py", "-i", "x", expect=1)
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    assert samples.read(tmp_path / "job.rss").header["command"][-3:] == ["job.py", "-i", "x"]


def test_the_last_word(tmp_path: Path) -> None:
    done = sample(tmp_path, "-i", "0.01", "-o", "out/", "-c", "import time; time.sleep(0.1)")
    (path,) = (tmp_path / "out").iterdir()
    file = samples.read(path)
    assert re.match(rf"pymemtrace: {len(file.samples)} samples in \d+\.", done.stderr)
    assert f"\n  samples     {path} (every 0.01 s, " in done.stderr
    assert done.stderr.endswith(f"\n  next        python -m pymemtrace plot {path}\n")
    rss = [file.samples[0]["rss"], file.samples[-1]["peak_rss"], file.samples[-1]["rss"]]
    assert "in bytes: " + ", ".join(f"{one:,}" for one in rss) in done.stderr


LIVE = """
import os, signal, sys, time
deadline = time.monotonic() + 30  # until there are three samples, however late
while open(sys.argv[1]).read().count("\\n") < 4 and time.monotonic() < deadline:
    time.sleep(0.01)
"""


def test_death_by_a_signal(tmp_path: Path) -> None:
    program = LIVE + "os.kill(os.getpid(), signal.SIGTERM)"
    sample(tmp_path, "-i", "0.01", "-o", "job.rss", "-c", program, "job.rss", expect=-signal.SIGTERM)
    assert len(samples.read(tmp_path / "job.rss").samples) > 2


def test_a_service(tmp_path: Path) -> None:
    """PYMEMTRACE has --sample as run has."""
    hook = str(Path(pymemtrace.__file__).parent / "hook")
    env = {"PYTHONPATH": hook, "PYMEMTRACE": f"-q --sample 0.01 -o {tmp_path / 'app.log'}"}
    child.run([sys.executable, "-c", LIVE, "app.rss"], tmp_path, env=env)
    assert len(samples.read(tmp_path / "app.rss").samples) > 2


def test_a_sampler_that_nobody_stops(run_child: RunChild, tmp_path: Path) -> None:
    """It ends with the interpreter, after one more sample."""
    run_child(
        HEAD
        + """
    import atexit
    samples = process.log_process(60, sys.argv[1])
    atexit.register(process.write_marker, "at exit")
    samples.start()
    del samples
    """,
        tmp_path / "job.rss",
    )
    file = samples.read(tmp_path / "job.rss")
    assert len(file.samples) == 2


def test_the_end_of_the_interpreter(run_child: RunChild, tmp_path: Path) -> None:
    """Forks by functions for atexit, called before and after ours; threads that mark and sample until the very end."""
    run_child(
        HEAD
        + """
    import atexit
    import itertools
    import threading

    def fork():
        pid = os.fork()
        if pid == 0:
            return
        assert os.waitpid(pid, 0)[1] == 0

    def busy():
        while True:
            process.write_marker("busy")

    def again():
        for n in itertools.count():
            with process.log_process(0.001, f"{sys.argv[1]}.{n % 10}", overwrite=True):
                pass

    atexit.register(fork)  # called after ours
    samples = process.log_process(0.001, sys.argv[1])
    samples.start()
    atexit.register(fork)
    atexit.register(time.sleep, 0)
    for function in (busy, again):
        threading.Thread(target=function, daemon=True).start()
    time.sleep(0.2)
    wait_for_ticks(samples, 3)
    deadline = time.monotonic() + 30
    while '"marker"' not in open(sys.argv[1]).read() and time.monotonic() < deadline:
        time.sleep(0.01)
    """,
        tmp_path / "job.rss",
        options=("-W", "ignore"),
    )
    file = samples.read(tmp_path / "job.rss")
    assert file.torn == b"" and len(file.samples) > 2 and file.markers


# --- the decorator ---------------------------------------------------------------------------------------------------


def test_decorator(tmp_path: Path) -> None:
    import asyncio

    @process.log_process(0.01, tmp_path / "job.rss")
    def work(depth: int = 2) -> int:
        """Its own text."""
        process.write_marker(f"{depth}")
        return work(depth - 1) if depth else 7

    @process.log_process(0.01, tmp_path / "async.rss")
    async def later() -> int:
        await asyncio.sleep(0.03)
        return 8

    assert work() == 7 and work(0) == 7 and asyncio.run(later()) == 8
    assert work.__doc__ == "Its own text." and work.__name__ == "work"
    markers = [one["marker"] for one in samples.read(tmp_path / "job.rss").markers]
    assert markers == ["2", "1", "0"]
    assert [one["marker"] for one in samples.read(tmp_path / "job_1.rss").markers] == ["0"]
    assert len(samples.read(tmp_path / "async.rss").samples) >= 2

    def generator() -> object:
        yield 1

    with pytest.raises(TypeError, match="cannot decorate the generator"):
        process.log_process()(generator)
    with pytest.raises(TypeError, match="decorates functions"):
        process.log_process()(3)  # type: ignore[type-var]


def test_started_twice(tmp_path: Path) -> None:
    one = process.log_process(0.01, tmp_path / "job.rss")
    assert (one.path, one.ticks, one.missed, one.error, one.stats(), one.running) == (None, 0, 0, None, {}, False)
    with one:
        with pytest.raises(RuntimeError, match="once"):
            one.start()
    with pytest.raises(RuntimeError, match="once"):
        one.start()
    with pytest.raises(FileExistsError):
        process.log_process(0.01, tmp_path / "job.rss").start()
    with process.log_process(0.01, tmp_path / "job.rss", overwrite=True) as other:
        assert other.path == one.path
    assert cPyMemTrace.write_marker("none runs") is False
