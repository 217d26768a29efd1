"""A program that dies at any moment loses nothing: each of its calls is in the file once it is recovered."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import capture_decoder, child, fault, log, victim
from support.child import Child

import pymemtrace
from pymemtrace.reporters import summary

RunChild = Callable[..., Child]

KILLS = int(os.environ.get("PYMEMTRACE_SOAK", "30"))  # of a sweep; `make soak` has more
SEED = int(os.environ.get("PYMEMTRACE_SEED", "20261"))
SOAKING = "PYMEMTRACE_SOAK" in os.environ
VICTIM = os.path.abspath(victim.__file__)
DECODED = 30_000  # bytes up to which the slow decoder has its say, too

pytestmark = pytest.mark.not_sanitized


@dataclass
class Killed:
    """What a program left behind."""

    path: Path
    returncode: int
    state: int
    counts: dict[int, int]  # the kernel's number of each thread -> how often it has entered its function
    stderr: str


class Running:
    """A victim that runs."""

    def __init__(self, folder: Path, name: str, *args: str, launcher: bool = False, mode: str = "all") -> None:
        self.folder, self.path = folder, folder / name
        self.counters = folder / f"{name}.counters"
        self.counters.write_bytes(bytes(victim.SIZE))
        with open(self.counters, "r+b") as file:
            self.shared = memoryview(mmap.mmap(file.fileno(), victim.SIZE)).cast("Q")
        command = ["-m", "support.victim", args[0], str(self.counters), *args[1:]]
        if launcher:
            command = ["-m", "pymemtrace", "run", "-q", "-o", str(self.path), "--log", mode, *command]
        else:
            command += ["--path", str(self.path), "--log", mode, "--inner", str(self.inner)]
        self.stderr = open(folder / f"{name}.stderr", "w+b")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=child.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.stderr,
            stderr=self.stderr,
            start_new_session=True,
            preexec_fn=_no_core,
        )

    @property
    def inner(self) -> Path:
        return self.path.with_name("inner." + self.path.name)

    def wait_for(self, index: int, least: int = 1, timeout: float = 60) -> None:
        """Until a number in the shared page is that large, or the program has ended."""
        until = time.monotonic() + timeout
        while self.shared[index] < least and self.process.poll() is None:
            assert time.monotonic() < until, f"number {index} is {self.shared[index]} after {timeout} s: {self.said()}"
            time.sleep(0.001)

    def said(self) -> str:
        self.stderr.seek(0)
        return self.stderr.read().decode("utf-8", "replace")

    def end(self, number: int = signal.SIGKILL) -> Killed:
        """Send it a signal, 0: none; what is left."""
        try:
            if number:
                self.process.send_signal(number)
            self.process.wait(60)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            self.process.wait()
        counts = {}
        for n in range(self.shared[victim.THREADS]):
            at = victim.FIRST + 2 * n
            counts[self.shared[at]] = counts.get(self.shared[at], 0) + self.shared[at + 1]
        said = self.said()
        self.stderr.close()
        return Killed(self.path, self.process.returncode, self.shared[victim.STATE], counts, said)


def _no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """start(name, variant, *args, launcher=, mode=): a victim that runs, and does not outlive the test."""
    running: list[Running] = []

    def begin(name: str, *args: str, launcher: bool = False, mode: str = "all") -> Running:
        running.append(Running(tmp_path, name, *args, launcher=launcher, mode=mode))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def recover(*paths: Path, expect: int | None = 0) -> Child:
    """The command, in the folder of the first."""
    return child.run(
        [sys.executable, "-m", "pymemtrace", "recover", *map(str, paths)], paths[0].parent, expect=expect, timeout=120
    )


def left_over(path: Path) -> list[str]:
    return sorted(each.name[len(path.name) :] for each in path.parent.glob(f"{path.name}.*") if each.suffix != ".stderr"
                  and each.suffix != ".counters")  # fmt: skip


def keys(events: list[pymemtrace.reader.Event]) -> list[tuple[object, ...]]:
    """What must not change when a file is completed: all but the clock, whose scale may be known better by then."""
    return [(e.event, e.what, e.file, e.line, e.function, e.rss, e.drss, e.thread) for e in events]


# --- what must hold --------------------------------------------------------------------------------------------------


def has_head(path: Path) -> bool:
    """Was it killed after it wrote the header? If not, that is what a reader says, with the advice to recover it."""
    try:
        pymemtrace.read(path)
    except ValueError as error:
        assert f"{error}".endswith(f"; python -m pymemtrace recover '{path}'"), error
        return False
    return True


def check_as_it_is(path: Path) -> list[tuple[object, ...]]:
    """Before it is recovered: readable, known not to be whole, with the advice to recover it. Its events."""
    capture = pymemtrace.read(path)
    assert not capture.complete and capture.why, "a file that was cut passes for a whole one"
    assert str(path) in capture.why and "\n" not in capture.why
    assert capture.left_over
    assert capture.end == {}
    said = "\n".join(summary.lines(summary.of(capture)))
    assert "INCOMPLETE" in said and f"python -m pymemtrace recover {path}" in said
    return keys(list(capture.events()))


def check_whole(path: Path, mode: str) -> list[pymemtrace.reader.Event]:
    """After: nothing lies beside it, it has its end, and keeps the rules of its format. Its events."""
    assert left_over(path) == []
    capture = pymemtrace.read(path)
    assert capture.why is None and capture.complete and not capture.left_over
    events = list(capture.events())
    if capture.binary:
        assert capture.end["end"] == "recovered" and int(capture.end["logged"]) == len(events)
        if path.stat().st_size < DECODED:
            decoded = capture_decoder.read(path)
            assert (decoded.complete, decoded.why) == (True, "")
            assert [tuple(event) for event in decoded.events] == [tuple(event) for event in events]
    else:
        data = path.read_bytes()
        assert data.endswith(b"# end recovered\n")
        text = log.check(log.parse(data), mode)
        assert f"logged: {len(text.rows)}" in [comment.text for comment in text.comments]
        assert [(row.event, row.key, row.rss) for row in text.rows] == [
            (event.event, event[2:6], event.rss) for event in events
        ]
    if capture.binary or mode == "all":
        assert [event.event for event in events] == list(range(len(events)))
    return events


def check_counts(events: list[pymemtrace.reader.Event], variant: str, counts: dict[int, int]) -> None:
    """Each call that the program has counted is there, at most one more of each thread, and under its name."""
    function = {"making": "made_", "growing": "grow"}.get(variant, "enter")
    calls = [
        event
        for event in events
        if event.what == "CALL"
        and (event.function == function or (variant == "making" and event.function.startswith(function)))
    ]
    if variant == "making":
        for n, event in enumerate(calls):
            _, file, name = victim.source_of(n)
            assert (event.file, event.line, event.function) == (file, victim.MADE_LINE, name)
    else:
        line = getattr(victim, function).__code__.co_firstlineno
        assert {(event.file, event.line, event.function) for event in calls} <= {(VICTIM, line, function)}
    found = Counter(event.thread for event in calls)
    assert set(found) <= set(counts)
    for thread, count in counts.items():
        assert count <= found[thread] <= count + 1, f"thread {thread}: {count} counted, {found[thread]} are here"


def check_rows(events: list[pymemtrace.reader.Event], variant: str, counts: dict[int, int]) -> None:
    """Of a log with few rows: each page that was touched is seen, at the RETURN of the function that did."""
    if variant == "growing" and pymemtrace.cPyMemTrace.info()["granularity"] == mmap.PAGESIZE:
        count = sum(counts.values())  # no thread is there if it was killed before the first one counted
        touched = min(count, victim.MOST_PAGES) - 1  # the last one may not have been left
        rows = [event for event in events if event.what == "RETURN" and event.function == "grow"]
        assert touched - 16 <= len(rows) <= count, f"{touched} pages touched, {len(rows)} rows"
    assert all(event.file for event in events)


def check_killed(killed: Killed, variant: str, mode: str) -> None:
    """All of that, for a program that has died at whatever moment."""
    path = killed.path
    if left_over(path) == []:
        # too early for a file, or so late that the end was written
        if not path.exists() or path.stat().st_size == 0:
            assert sum(killed.counts.values()) == 0
            return
        capture = pymemtrace.read(path)
        assert capture.complete, capture.why
        events = list(capture.events())
        assert capture.end["end"] == "" and int(capture.end["logged"]) == len(events)
    else:
        there = path.exists()  # the ring is made first
        begun = there and has_head(path)
        before = check_as_it_is(path) if killed.state < 2 and begun else []
        done = recover(path)
        assert done.stdout.startswith(f"{path}: ") and done.stdout.endswith(" recovered\n") and not done.stderr
        if not begun:
            assert sum(killed.counts.values()) == 0 and left_over(path) == [] and path.exists() == there
            assert not there or path.stat().st_size == 0
            return
        if killed.state >= 2 and pymemtrace.read(path).end.get("end") == "":
            events = list(pymemtrace.read(path).events())  # only the removal of the ring was missing
        else:
            events = check_whole(path, mode)
        assert keys(events[: len(before)]) == before
    data = path.read_bytes()
    assert pymemtrace.reader.recover(str(path)) is None
    assert path.read_bytes() == data
    if mode == "all" or path.suffix == ".pmt":
        check_counts(events, variant, killed.counts)
    else:
        check_rows(events, variant, killed.counts)


# --- killed at random ------------------------------------------------------------------------------------------------

# variant, suffix, mode; one of them more often than once where it matters most
SWEEP = [
    ("plain", ".pmt", "all"),
    ("plain", ".log", "all"),
    ("threads", ".pmt", "all"),
    ("making", ".pmt", "all"),
    ("making", ".log", "all"),
    ("growing", ".log", "previous"),
    ("threads", ".log", "all"),
    ("talking", ".pmt", "all"),
    ("growing", ".log", "threshold"),
    ("forking", ".pmt", "all"),
    ("talking", ".log", "all"),
    ("early", ".pmt", "all"),
    ("late", ".pmt", "all"),
    ("early", ".log", "all"),
    ("late", ".log", "all"),
]
PARTS = 5  # tests that share the kills, so that they can run side by side


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow_once) for part in range(1, PARTS))])
def test_killed_at_a_random_moment(part: int, start: Callable[..., Running]) -> None:
    # GIVEN programs that count their calls in a page that outlives them
    for number in range(part, KILLS, PARTS):
        chance = random.Random(SEED * 1_000_003 + number)
        variant, suffix, mode = SWEEP[number % len(SWEEP)]
        spin = chance.choice([0, 100, 1000])
        most = {0: 0.05, 100: 0.25, 1000: 0.6}[spin] * (1 if suffix == ".pmt" else 0.3)
        name = f"{variant}_{number}{suffix}"
        args = ["--spin", str(spin)]
        launcher = chance.random() < 0.3
        kind = variant
        if variant in ("early", "late"):
            kind = chance.choice(["plain", "making", "talking"])
        if variant == "late":
            args += ["--calls", str(chance.choice([1, 100, 3000]))]
        running = start(name, kind, *args, launcher=launcher, mode=mode)
        # WHEN each is killed: while it starts, while it runs, or while it ends
        if variant == "early":
            time.sleep(chance.uniform(0.03, 0.2))
        elif variant == "late":
            running.wait_for(victim.STATE, 2)
            time.sleep(chance.uniform(0, 0.005))
        else:
            running.wait_for(victim.STATE)
            time.sleep(chance.uniform(0.005, most))
        killed = running.end()
        # THEN nothing is lost
        try:
            assert killed.returncode == -signal.SIGKILL or variant == "late", killed.stderr
            check_killed(killed, kind, mode)
        except Exception as error:
            raise AssertionError(f"kill {number} of seed {SEED}: {variant} {kind} {mode} {args}, launcher {launcher}, "
                                 f"state {killed.state}, counts {killed.counts}: {error}") from error  # fmt: skip
        for each in killed.path.parent.glob(f"{name}*"):
            each.unlink()


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_killed_within_a_nested_recording(suffix: str, start: Callable[..., Running]) -> None:
    # GIVEN a recording of 1,000 calls that is suspended by another
    running = start(f"outer{suffix}", "nested", "--spin", "100")
    # WHEN
    running.wait_for(victim.FIRST + 3, 500)
    killed = running.end()
    # THEN both are recovered by one command
    inner = running.inner
    for path in (killed.path, inner):
        check_as_it_is(path)
    done = recover(killed.path, inner)
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [str(killed.path), str(inner)]
    entered = sum(killed.counts.values()) - 1000
    (thread,) = killed.counts
    check_counts(check_whole(killed.path, "all"), "plain", {thread: 1000})
    check_counts(check_whole(inner, "all"), "plain", {thread: entered})


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_killed_by_others(suffix: str, start: Callable[..., Running]) -> None:
    # GIVEN programs that die without a word to us: SIGTERM, abort() of the C library, an access to address 0
    deaths = [("plain", -1, signal.SIGTERM), ("aborting", 2000, signal.SIGABRT), ("crashing", 2000, signal.SIGSEGV)]
    for variant, calls, number in deaths:
        # WHEN
        running = start(f"{variant}{suffix}", variant, "--spin", "50", "--calls", str(calls))
        running.wait_for(victim.FIRST + 1, 500)
        killed = running.end(number if variant == "plain" else 0)
        # THEN
        assert killed.returncode == -number, killed.stderr
        if calls > 0:
            assert list(killed.counts.values()) == [calls]
        check_killed(killed, "plain", "all")


# --- out of memory ---------------------------------------------------------------------------------------------------


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """`cgroup.procs` of a memory cgroup of 200 MiB, where one may be made."""
    root = Path("/sys/fs/cgroup")
    first = root / "memory" if (root / "memory" / "memory.limit_in_bytes").exists() else root
    folder = first / f"pymemtrace_test_{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup to be had: {error}")
    try:
        limits = [folder / "memory.limit_in_bytes", folder / "memory.max"]
        limit = next((each for each in limits if each.exists()), None)
        if limit is None:
            pytest.skip("no memory cgroup to be had: the memory controller is not delegated")
        try:
            limit.write_text(str(200 << 20))
            swap = folder / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")
        except OSError as error:
            pytest.skip(f"no memory cgroup to be had: {error}")
        yield folder / "cgroup.procs"
    finally:
        until = time.monotonic() + 10
        while folder.exists() and time.monotonic() < until:
            try:
                folder.rmdir()
            except OSError:
                time.sleep(0.01)


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_killed_for_want_of_memory(suffix: str, start: Callable[..., Running], memory_group: Path) -> None:
    # GIVEN a program that may have 200 MiB, and takes more
    running = start(f"starving{suffix}", "starving", "--spin", "500", "--cgroup", str(memory_group))
    # WHEN the kernel ends it
    killed = running.end(0)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # THEN the file shows how it came to that
    check_killed(killed, "starving", "all")
    capture = pymemtrace.read(killed.path)
    assert capture.figures()["rss_last"] > 120 << 20


# --- killed at each step ---------------------------------------------------------------------------------------------

# Forks a child for each system call that touches PATH or what lies beside it, which dies there.
STEPS = """
    import ctypes
    import os
    import sys
    from support import fault, victim

    folder, suffix, mode, how, first, most = sys.argv[1:]
    library = ctypes.CDLL(None)

    def arm(path, n):
        library.pmt_fault_arm(path.encode(), b".counters", n, int(how), (path + ".step").encode())

    def count(slot, n):
        for _ in range(n):
            victim.enter(slot, 0)

    def record(path):
        import pymemtrace
        victim.attach(path + ".counters")
        slot = victim.slot_of_this_thread()
        with pymemtrace.trace(path, log=mode):
            count(slot, 1500 if suffix == ".log" and mode == "all" else 5000)
            victim.plain(type("Arguments", (), {"calls": 10, "spin": 0}))

    import pymemtrace
    n = int(first)
    while n < int(most):
        path = os.path.join(folder, f"step_{n}{suffix}")
        with open(path + ".counters", "wb") as file:
            file.write(bytes(victim.SIZE))
        pid = os.fork()
        if pid == 0:
            arm(path, n)
            record(path)
            os._exit(7)
        status = os.waitpid(pid, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 7, status
            break
        assert os.WTERMSIG(status) == 9, status
        n += 1
    print(n)
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which system calls can go wrong."""
    return {"LD_PRELOAD": str(fault.build(tmp_path_factory.mktemp("fault")))}


def counts_of(path: Path) -> dict[int, int]:
    numbers = memoryview(path.read_bytes()).cast("Q")
    counts: Counter[int] = Counter()
    for n in range(numbers[victim.THREADS]):
        at = victim.FIRST + 2 * n
        counts[numbers[at]] += numbers[at + 1]
    return dict(counts)


@pytest.mark.slow_once
@pytest.mark.parametrize("suffix, mode", [(".pmt", "all"), (".log", "all"), (".log", "previous")])
@pytest.mark.parametrize("how", [fault.KILL, fault.TEAR], ids=["before", "within"])
def test_killed_at_each_step(
    run_child: RunChild, faulty: dict[str, str], tmp_path: Path, suffix: str, mode: str, how: int
) -> None:
    # GIVEN a recording that is killed before, or within, each of its system calls
    done = run_child(STEPS, tmp_path, suffix, mode, how, 1, 200, env=faulty)
    last = int(done.stdout)
    assert last > 5
    wrong = []
    for n in range(1, last):
        path = tmp_path / f"step_{n}{suffix}"
        counts = counts_of(Path(f"{path}.counters"))
        step = Path(f"{path}.step").read_text().strip()
        for each in ("counters", "step"):
            os.unlink(f"{path}.{each}")
        # WHEN it is recovered
        try:
            check_step(path, mode, counts)
        except Exception as error:
            wrong.append(f"step {n}, {step}, counts {counts}: {error!r}")
    # THEN each has what was counted, and nothing stays beside it
    assert not wrong, "\n".join(wrong)


def check_step(path: Path, mode: str, counts: dict[int, int]) -> None:
    found = pymemtrace.reader.recover(str(path)) if left_over(path) else None
    assert left_over(path) == []
    if not path.exists() or path.stat().st_size == 0:  # it had not begun
        assert sum(counts.values()) == 0
        return
    capture = pymemtrace.read(path)
    assert capture.complete, capture.why
    events = list(capture.events())
    if found is not None and capture.end.get("end") != "":
        check_whole(path, mode)
    if mode == "all":
        check_counts(events, "plain", counts)


# --- recovering, and what stands in its way --------------------------------------------------------------------------

# Recovers copies, in children that die at one step each; which steps is chosen when their number is known.
RECOVER_STEPS = """
    import ctypes
    import os
    import shutil
    import sys
    from pymemtrace import cPyMemTrace
    from support import fault

    source, folder, name, some = sys.argv[1:]
    library = ctypes.CDLL(None)

    def recover(n, how):
        path = os.path.join(folder, f"{n}_{how}", name)
        shutil.copytree(source, os.path.dirname(path))
        pid = os.fork()
        if pid == 0:
            library.pmt_fault_arm(path.encode(), b"", n, how, (path + ".step").encode())
            cPyMemTrace.recover(path)
            with open(os.path.join(folder, "steps"), "w") as file:
                file.write(str(library.pmt_fault_seen()))
            os._exit(7)
        return os.waitpid(pid, 0)[1]

    assert recover(1 << 30, fault.KILL) == 7 << 8
    with open(os.path.join(folder, "steps")) as file:
        last = int(file.read())
    some = int(some)
    between = range(some + 1, last - some, max(1, (last - 2 * some) // some))
    for n in sorted({*range(1, min(some, last) + 1), *between, *range(max(1, last - some), last + 1)}):
        for how in (fault.KILL, fault.TEAR):
            assert recover(n, how) == 9, (n, how)
    print(last)
"""

FULL = """
    import ctypes
    import os
    import sys
    import time
    from support import fault, victim

    path = sys.argv[1]
    library = ctypes.CDLL(None)
    pid = os.fork()
    if pid == 0:
        import pymemtrace
        victim.attach(path + ".counters")
        slot = victim.slot_of_this_thread()
        with pymemtrace.trace(path, log="all") as recording:
            library.pmt_fault_arm(path.encode(), b".sites", 2, fault.BLOCK, b"/dev/null")
            while True:
                for _ in range(8):
                    victim.enter(slot, 0)
                recording.write_message("m" * 900)  # fills the ring without many rows
    victim.attach(path + ".counters")
    last, since = 0, time.monotonic()
    # Full when nothing moves any more. On a busy machine a program that could go on stands still for a while, too.
    while last < 1000 or time.monotonic() < since + 3:
        now = victim.shared[victim.FIRST + 1]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module", params=[".pmt", ".log"])
def full_ring(
    request: pytest.FixtureRequest, faulty: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[int, int]]:
    """A file and a ring that is full: its writer hung in a write, and the program waited for it when it was killed."""
    folder, work = tmp_path_factory.mktemp("full"), tmp_path_factory.mktemp("work")
    path = folder / f"full{request.param}"
    counters = Path(f"{path}.counters")
    counters.write_bytes(bytes(victim.SIZE))
    child.run_source(FULL, work, path, env=faulty)
    counts = counts_of(counters)
    counters.unlink()
    assert Path(f"{path}.ring").exists()
    return path, counts


@pytest.mark.slow_once
def test_recover_that_is_killed_is_repeated(
    run_child: RunChild, faulty: dict[str, str], tmp_path: Path, full_ring: tuple[Path, dict[int, int]]
) -> None:
    # GIVEN a full ring, recovered without a hitch
    source, counts = full_ring
    first = tmp_path / "first"
    shutil.copytree(source.parent, first)
    path = first / source.name
    found = pymemtrace.reader.recover(str(path))
    assert found is not None and found["events"] > 5000
    check_counts(check_whole(path, "all"), "plain", counts)
    expected = path.read_bytes()
    # WHEN recovering copies of it is killed before, and within, its system calls
    copies = tmp_path / "copies"
    done = run_child(RECOVER_STEPS, source.parent, copies, path.name, 100 if SOAKING else 5, env=faulty, timeout=300)
    assert int(done.stdout) > 3
    # THEN nothing is lost by that: once more gives the same, byte for byte
    wrong = []
    for copy in copies.glob("*_*/" + path.name):
        step = Path(f"{copy}.step")
        said = step.read_text().strip() if step.exists() else ""
        step.unlink(missing_ok=True)
        pymemtrace.reader.recover(str(copy))
        if left_over(copy) != []:
            wrong.append(f"step {copy.parent.name}, {said}: {left_over(copy)} is still there")
        if copy.read_bytes() != expected:
            wrong.append(f"step {copy.parent.name}, {said}: the file differs")
        shutil.rmtree(copy.parent)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow_once
def test_recover_killed_at_random(tmp_path: Path, full_ring: tuple[Path, dict[int, int]]) -> None:
    # GIVEN a full ring
    source, counts = full_ring
    shutil.copytree(source.parent, tmp_path / "copy")
    path = tmp_path / "copy" / source.name
    # WHEN the command is killed again and again
    chance = random.Random(SEED)
    for _ in range(50 if SOAKING else 5):
        process = subprocess.Popen(
            [sys.executable, "-m", "pymemtrace", "recover", str(path)],
            cwd=path.parent,
            env=child.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.02, 0.12))
        process.kill()
        process.wait(60)
    # THEN it can be repeated, and nothing is lost
    recover(path)
    assert recover(path).stdout == f"{path}: nothing to recover\n"
    check_counts(check_whole(path, "all"), "plain", counts)


@pytest.fixture(scope="module", params=[".pmt", ".log"])
def killed_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose program was killed, with what lies beside it."""
    running = Running(tmp_path_factory.mktemp("killed"), f"old{request.param}", "plain", "--spin", "50")
    running.wait_for(victim.FIRST + 1, 1000)
    path = running.end().path
    for each in ("counters", "stderr"):
        os.unlink(f"{path}.{each}")
    assert ".ring" in left_over(path)
    return path


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_recover_while_the_program_lives(suffix: str, start: Callable[..., Running]) -> None:
    # GIVEN a program that stands still in the middle of its recording
    running = start(f"lives{suffix}", "stopping", "--spin", "100", "--calls", "20000")
    running.wait_for(victim.FIRST + 1, 2000)
    # Each thread stops by itself: the writer may be about to end a write while the others stand already.
    tasks = Path(f"/proc/{running.process.pid}/task")
    until = time.monotonic() + 30
    while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in tasks.glob("*/stat")):
        assert time.monotonic() < until
        time.sleep(0.001)
    path = running.path
    before = {each.name: each.read_bytes() for each in path.parent.glob(f"{path.name}*") if each.is_file()}
    assert f"{path.name}.ring" in before
    # WHEN
    done = recover(path, expect=2)
    # THEN it is refused, nothing is changed, and the recording ends as if nothing had been
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("pymemtrace recover: ") and str(path) in done.stderr
    assert str(running.process.pid) in done.stderr
    assert {name: (path.parent / name).read_bytes() for name in before} == before
    running.process.send_signal(signal.SIGCONT)
    killed = running.end(0)
    assert killed.returncode == 0
    check_killed(killed, "plain", "all")
    assert list(killed.counts.values()) == [20000]


@pytest.mark.slow_once
@pytest.mark.parametrize("how", ["trace", "overwrite", "run", "run -f", "without the file"])
def test_left_overs_are_in_the_way(how: str, killed_file: Path, tmp_path: Path) -> None:
    # GIVEN what a killed recording has left
    folder = tmp_path / "copy"
    shutil.copytree(killed_file.parent, folder)
    path = folder / killed_file.name
    if how == "without the file":
        path.unlink()
    before = {each.name: (each.stat().st_ino, each.read_bytes()) for each in folder.iterdir()}
    # WHEN another one is to begin there
    if how.startswith("run"):
        command = [sys.executable, "-m", "pymemtrace", *how.split(), "-o", str(path), "-c", "print('it ran')"]
        work = tmp_path / "work"
        work.mkdir()
        done = child.run(command, work, expect=2)
        said = done.stderr
        assert said.count("\n") == 1 and done.stdout == ""
    else:
        with pytest.raises(FileExistsError) as caught:
            with pymemtrace.trace(path, log="all", overwrite=how == "overwrite"):
                raise AssertionError("it began")
        said = str(caught.value)
    # THEN one sentence says what to do, and nothing is changed
    assert f"python -m pymemtrace recover {path}" in said
    assert f"{path}.ring" in said
    after = {each.name: (each.stat().st_ino, each.read_bytes()) for each in folder.iterdir()}
    assert after == before


@pytest.mark.slow_once
@pytest.mark.parametrize("file", ["there", "gone"])
def test_a_decorated_function_and_left_overs(file: str, start: Callable[..., Running], tmp_path: Path) -> None:
    # GIVEN what a killed recording has left under the name that a second call would get
    running = start("job_1.pmt", "plain")
    running.wait_for(victim.FIRST + 1, 1000)
    path = running.end().path
    assert left_over(path) == [".ring"]
    ring = Path(f"{path}.ring").read_bytes()
    if file == "gone":
        path.unlink()

    # WHEN
    @pymemtrace.trace(tmp_path / "job.pmt")
    def job() -> None:
        len("")

    job()
    try:
        job()
    except FileExistsError as error:
        assert file == "gone" and f"python -m pymemtrace recover {path}" in str(error)
    # THEN it is not hurt: another name is taken, or the call is refused
    assert Path(f"{path}.ring").read_bytes() == ring
    assert pymemtrace.read(tmp_path / "job.pmt").complete
    if file == "there":
        assert pymemtrace.read(tmp_path / "job_2.pmt").complete


def test_recovered_text_log_tells_its_end(start: Callable[..., Running]) -> None:
    # GIVEN a log that was recovered
    running = start("told.log", "plain")
    running.wait_for(victim.FIRST + 1, 1000)
    path = running.end().path
    recover(path)
    # WHEN
    capture = pymemtrace.read(path)
    # THEN its end says so, as that of a capture does
    assert capture.complete
    assert capture.end.get("end") == "recovered"
    assert int(capture.end["logged"]) == len(list(capture.events()))


def test_several_files_at_once(start: Callable[..., Running], tmp_path: Path) -> None:
    # GIVEN a capture and a log that were killed, one that is whole, one that is not there
    whole = tmp_path / "whole.pmt"
    with pymemtrace.trace(whole):
        len("")
    killed = []
    for name in ("one.pmt", "two.log"):
        running = start(name, "plain", "--spin", "50")
        running.wait_for(victim.FIRST + 1, 1000)
        killed.append(running.end())
    first, second = (each.path for each in killed)
    # WHEN
    done = recover(first, tmp_path / "missing.pmt", whole, second, expect=2)
    # THEN each is said, and one that is wrong keeps no other back
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(first), str(whole), str(second)]
    assert lines[1].endswith("nothing to recover")
    assert done.stderr.count("\n") == 1 and "missing.pmt" in done.stderr
    for each in killed:
        check_counts(check_whole(each.path, "all"), "plain", each.counts)


def test_damaged_left_overs(start: Callable[..., Running], tmp_path: Path) -> None:
    # GIVEN a ring that is cut, of another version, no ring at all, or of a file that was cut since
    running = start("damaged.pmt", "plain", "--spin", "50")
    running.wait_for(victim.FIRST + 1, 1000)
    path = running.end().path
    good, ring = path.read_bytes(), Path(f"{path}.ring")
    data = ring.read_bytes()
    chance = random.Random(SEED)
    damages = [data[:100], data[: len(data) // 2], data[:8] + b"\x63" + data[9:], b"x" * 5000]
    damages += [bytes(chance.randrange(256) for _ in range(4096)) + data[4096:]]
    for damage in damages:
        ring.write_bytes(damage)
        # WHEN
        done = recover(path, expect=2)
        # THEN one sentence; nothing is changed
        assert done.stderr.count("\n") == 1 and str(ring) in done.stderr and done.stdout == ""
        assert (path.read_bytes(), ring.read_bytes()) == (good, damage)
    ring.write_bytes(data)
    path.write_bytes(good[: len(good) // 2])
    done = recover(path, expect=2)
    assert done.stderr.count("\n") == 1 and str(path) in done.stderr
    assert ring.read_bytes() == data
    # and with its own file again it can be recovered
    path.write_bytes(good)
    recover(path)
    check_whole(path, "all")


@pytest.mark.slow_once
def test_damaged_words_of_a_ring(start: Callable[..., Running]) -> None:
    # GIVEN a ring of which some words were overwritten
    running = start("words.pmt", "making")
    running.wait_for(victim.FIRST + 1, 300)
    path = running.end().path
    good, ring = path.read_bytes(), Path(f"{path}.ring")
    data = ring.read_bytes()
    chance = random.Random(SEED)
    for _ in range(20 if not SOAKING else 500):
        bad = bytearray(data)
        for _ in range(chance.choice([1, 10, 1000])):
            at = 4096 + 8 * chance.randrange((len(bad) - 4096) // 8)
            bad[at : at + 8] = bytes(chance.randrange(256) for _ in range(8))
        path.write_bytes(good)
        ring.write_bytes(bad)
        # WHEN
        pid = os.fork()
        if pid == 0:
            try:
                pymemtrace.reader.recover(str(path))
            except (OSError, ValueError):
                pass
            except BaseException:
                os._exit(1)
            os._exit(0)
        # THEN it ends by a word or an error, not by a signal, and the file can be read
        assert os.waitpid(pid, 0)[1] == 0
        assert list(pymemtrace.read(path).events())


def test_ends_that_are_told(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN programs that leave by doors that the recorder knows
    ends = {"os._exit(0)": "the process left by os._exit or os.abort",
            "os.execv(sys.executable, [sys.executable, '-c', ''])": "the process called exec"}  # fmt: skip
    for number, (leave, reason) in enumerate(ends.items()):
        path = tmp_path / f"door_{number}.pmt"
        source = f"import os, sys, pymemtrace\nwith pymemtrace.trace({str(path)!r}):\n    len('')\n    {leave}\n"
        # WHEN
        run_child(source)
        # THEN the capture is whole, says so, and nothing lies beside it
        capture = pymemtrace.read(path)
        assert (capture.complete, capture.end["end"]) == (True, reason)
        assert left_over(path) == []
        assert [event.function for event in capture][:2] == ["len", "len"]


@pytest.mark.parametrize("suffix", [".pmt", ".log"])
def test_another_file_of_that_name(suffix: str, start: Callable[..., Running]) -> None:
    # GIVEN a killed recording, and a longer file that has taken its name
    running = start(f"mine{suffix}", "plain", "--spin", "50")
    running.wait_for(victim.FIRST + 1, 1000)
    path = running.end().path
    mine, other = path.read_bytes(), b"x" * (path.stat().st_size + 100_000)
    path.write_bytes(other)
    # WHEN
    done = recover(path, expect=2)
    # THEN it is not touched
    assert done.stderr.count("\n") == 1 and str(path) in done.stderr
    assert path.read_bytes() == other
    # WHEN the recording's own, a copy of it, is there again
    path.write_bytes(mine)
    recover(path)
    # THEN
    check_whole(path, "all")


def test_a_process_that_nobody_has_waited_for_is_dead(tmp_path: Path) -> None:
    # GIVEN a recording whose process was killed and not waited for
    path = tmp_path / "zombie.pmt"
    program = f"import pymemtrace, os\nwith pymemtrace.trace({str(path)!r}):\n    os.kill(os.getpid(), 9)\n"
    process = subprocess.Popen([sys.executable, "-c", program], env=child.environment())
    try:
        deadline = time.monotonic() + 30
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # WHEN
        recover(path)
    finally:
        process.wait(30)
    # THEN
    assert pymemtrace.read(path).end["end"] == "recovered"
