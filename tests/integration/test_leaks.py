"""Every public name, used many times: allocated blocks, malloc'ed bytes, descriptors, threads and RSS stay."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import pymemtrace
from pymemtrace import cPyMemTrace

pytestmark = pytest.mark.not_sanitized  # a sanitizer's allocator keeps what is freed

CALLS = 1000  # uses in a phase; fewer where that takes longer than
PHASE = 1.0  # seconds, but never fewer than
FEWEST = 100
PHASES = 8  # a leak shows in every phase; what grows once, or now and then, is no leak
NULL = os.devnull

Case = Callable[[Path], object]


def body(depth: int = 3) -> int:
    """Some events of every kind, some memory."""
    try:
        int("no number")
    except ValueError:
        pass
    return len(bytearray(100_000)) + (body(depth - 1) if depth else 0)


def expect(error: type[BaseException], call: Callable[..., object], *args: object, **options: object) -> None:
    """Not pytest.raises, which would be most of what is measured."""
    try:
        call(*args, **options)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def use_trace(folder: Path) -> None:
    with pymemtrace.trace(folder / "with.log", log="all", overwrite=True, message="a message") as recording:
        body()
        with pymemtrace.trace(NULL, log="previous", threshold=0):  # the outer one is suspended meanwhile
            body()
    assert recording.error is None and recording.events > 10
    use_trace_as_a_decorator()
    use_trace_wrongly(folder)


def use_trace_as_a_decorator() -> None:
    @pymemtrace.trace(NULL)
    def function() -> int:
        return body()

    @pymemtrace.trace(NULL)
    async def coroutine() -> int:
        return body()

    function()
    expect(StopIteration, coroutine().send, None)


def use_trace_wrongly(folder: Path) -> None:
    expect(ValueError, pymemtrace.trace, NULL, log="nonsense")
    expect(ValueError, pymemtrace.trace, NULL, threshold=-5)
    expect(FileExistsError, pymemtrace.trace(folder / "with.log").__enter__)
    expect(OSError, pymemtrace.trace(folder / "no folder" / "x.log").__enter__)


def use_tracer(folder: Path) -> None:
    path = str(folder / "tracer.log")
    tracer = cPyMemTrace.Tracer(path, log="threshold", threshold=0, overwrite=True)
    tracer.start()
    body()
    tracer.write_message("in the middle")
    tracer.stats()
    tracer.growth(-1)
    assert tracer.running
    assert tracer.stop() is None
    assert tracer.stop() is None
    tracer.stats(), tracer.growth(), tracer.path, tracer.events, tracer.events_logged, tracer.rss_peak, tracer.error
    expect(ValueError, tracer.write_message, "too late")
    for options in ({"compute": "nothing"}, {"compute": "rss"}, {}):
        with cPyMemTrace.Tracer(NULL, log="none", **options):
            body()
    expect(FileExistsError, cPyMemTrace.Tracer(path).start)
    expect(ValueError, cPyMemTrace.Tracer, NULL, engine="nonsense")
    cPyMemTrace.Tracer(NULL)  # never started


def use_new_code(folder: Path) -> None:
    """Code objects and names that come and go while a recording is on, and sites that it never saw before."""
    names: dict[str, object] = {}
    with cPyMemTrace.Tracer(NULL, log="all"):
        for index in range(20):
            exec(compile(f"def f{index}(): return len('{index}')\nf{index}()", f"<{index}>", "exec"), names)
        names.clear()


def use_profile(folder: Path) -> None:
    path = folder / "profile.log"
    path.unlink(missing_ok=True)
    with cPyMemTrace.Profile(0, "a message", str(path)) as profile:
        body()
        profile.write_message_to_log("in the middle")
        assert profile.log_file_path() == str(path)
        cPyMemTrace.profile_write_message_to_log("from outside")
        cPyMemTrace.profile_log_path()
        cPyMemTrace.profile_wrapper_depth()
    assert profile.log_file_path() is None
    expect(OSError, profile.write_message_to_log, "too late")
    expect(TypeError, cPyMemTrace.Profile, -1, None, NULL, 4)


HIDDEN = compile("def hidden(): pass\nhidden()", "<hidden>", "exec")


def use_hide(folder: Path) -> None:
    """The same code each time: what is hidden is hidden for good, and there are few of our own wrappers."""
    cPyMemTrace.hide(HIDDEN)
    with cPyMemTrace.Tracer(NULL):
        exec(HIDDEN, {})
    expect(TypeError, cPyMemTrace.hide, None)


def use_bare_call(folder: Path) -> None:
    cPyMemTrace.bare_call(compile("x = len('abc')", "<bare>", "exec"), {})
    assert cPyMemTrace.bare_call(body, (1,)) > 0
    expect(ZeroDivisionError, cPyMemTrace.bare_call, compile("1 / 0", "<bare>", "exec"), {})
    expect(TypeError, cPyMemTrace.bare_call, None, ())


def use_run_main(folder: Path) -> None:
    """What it does well ends the process; here is what it refuses."""
    expect(TypeError, cPyMemTrace.run_main)
    expect(TypeError, cPyMemTrace.run_main, body, (), "no tracer", body)


def recorded(folder: Path) -> tuple[Path, Path]:
    """A capture and a text log of the same, made once."""
    capture, text = folder / "read.pmt", folder / "read.log"
    if not capture.exists():
        for path in (capture, text):
            with pymemtrace.trace(path, log="all"):
                body()
        (folder / "cut.pmt").write_bytes(capture.read_bytes()[:-50])
    return capture, text


def use_read(folder: Path) -> None:
    for path in (*recorded(folder), folder / "cut.pmt"):
        capture = pymemtrace.read(path)
        (
            capture.tree(),
            capture.timeline(),
            list(capture),
            capture.threads,
            capture.peaks,
            capture.end,
            capture.why,
            capture.figures(),
        )
    expect(ValueError, pymemtrace.read, NULL)


def use_read_run(folder: Path) -> None:
    capture, text = recorded(folder)
    run = pymemtrace.read_run(folder, capture, text)
    assert len(run.processes) == 3
    run.roots, list(run.walk()), run.not_recorded, [list(process.recording) for process in run.processes]
    expect(FileNotFoundError, pymemtrace.read_run, folder / "missing")


def use_read_samples(folder: Path) -> None:
    path = folder / "read.rss"
    if not path.exists():
        with cPyMemTrace.Sampler(str(path), interval=0.001) as sampler:
            cPyMemTrace.write_marker("a marker")
            deadline = time.monotonic() + 30
            while sampler.ticks < 3 and time.monotonic() < deadline:
                time.sleep(0.001)
        path.write_bytes(path.read_bytes() + b'{"torn')
    read = pymemtrace.read_samples(path)
    assert len(list(read)) > 2 and [marker.text for marker in read.markers()] == ["a marker"]
    assert read.start is not None and "no end" in (read.note or "")
    expect(ValueError, pymemtrace.read_samples, NULL)
    expect(FileNotFoundError, pymemtrace.read_samples, folder / "missing")


def use_capture_reader(folder: Path) -> None:
    capture, text = recorded(folder)
    reader = cPyMemTrace.CaptureReader(str(capture))
    next(reader.events())  # given up in the middle
    (
        list(reader),
        reader.tree(),
        reader.tree(16),
        reader.totals(),
        reader.peaks(),
        reader.threads,
        reader.why,
        reader.end,
        reader.header,
    )
    expect(ValueError, cPyMemTrace.CaptureReader, str(text))
    expect(FileNotFoundError, cPyMemTrace.CaptureReader, str(folder / "missing"))
    expect(TypeError, cPyMemTrace.CaptureReader)


def use_capture_to_log(folder: Path) -> None:
    capture, text = recorded(folder)
    fd = os.open(NULL, os.O_WRONLY)
    try:
        for mode in ("all", "threshold", "previous"):
            cPyMemTrace.capture_to_log(str(capture), fd, mode)
        expect(ValueError, cPyMemTrace.capture_to_log, str(text), fd)
    finally:
        os.close(fd)


def use_recover(folder: Path) -> None:
    assert cPyMemTrace.recover(str(recorded(folder)[0])) is None


def use_family(folder: Path) -> None:
    """In a process that began a run, which it does once; with a note of a Python that could not join."""
    with pymemtrace.trace(folder / "family.log", overwrite=True):
        path = os.environ["PYMEMTRACE"].rpartition(" ")[2]
    if not family_notes:
        family_notes.append(path)
        with open(path, "a") as file:
            file.write("1\t2\tnot built for this Python\n")
    assert cPyMemTrace.family() is not None


family_notes: list[str] = []


def use_family_note(folder: Path) -> None:
    cPyMemTrace.family_note("/nowhere/at/all", "why")
    expect(TypeError, cPyMemTrace.family_note, 1, 2)


def log_path_within(folder: Path) -> None:
    with cPyMemTrace.Tracer(NULL):
        assert cPyMemTrace.profile_log_path() is not None
    assert cPyMemTrace.profile_log_path() is None


def use_log_process(folder: Path) -> None:
    path = folder / "process.rss"
    with pymemtrace.process.log_process(60, path, overwrite=True) as samples:
        assert pymemtrace.process.write_marker("a marker")
    assert samples.stats()["ticks"] == 2

    @pymemtrace.process.log_process(60, NULL)
    def function() -> int:
        return body()

    function()
    expect(ValueError, pymemtrace.process.log_process, 0)


def use_sampler(folder: Path) -> None:
    path = str(folder / "sampler.rss")
    sampler = cPyMemTrace.Sampler(path, interval=60, overwrite=True)
    sampler.start()
    sampler.stats(), sampler.path, sampler.ticks, sampler.missed, sampler.error, sampler.running
    assert sampler.stop() is None and sampler.stop() is None
    sampler.stats(), sampler.path, sampler.ticks, sampler.missed, sampler.error
    expect(FileExistsError, cPyMemTrace.Sampler(path).start)
    expect(RuntimeError, sampler.start)
    expect(ValueError, cPyMemTrace.Sampler, path, interval=0)
    expect(TypeError, cPyMemTrace.Sampler, path, program=3)
    cPyMemTrace.Sampler(path)  # never started
    with pymemtrace.trace(folder / "sampled.log", overwrite=True, sample=60) as recording:
        body()
    assert recording.stats()["samples"]["ticks"] == 2


def use_write_marker(folder: Path) -> None:
    with cPyMemTrace.Sampler(NULL, interval=60):
        assert cPyMemTrace.write_marker("a marker \ud800")
        expect(TypeError, cPyMemTrace.write_marker, b"no text")
    assert not cPyMemTrace.write_marker("nobody")


LEAK_CASES: dict[str, Case] = {
    "pymemtrace.__version__": lambda folder: pymemtrace.__version__,
    "pymemtrace.rss": lambda folder: pymemtrace.rss(),
    "pymemtrace.rss_peak": lambda folder: pymemtrace.rss_peak(),
    "pymemtrace.process": use_log_process,
    "pymemtrace.read": use_read,
    "pymemtrace.read_run": use_read_run,
    "pymemtrace.read_samples": use_read_samples,
    "pymemtrace.trace": use_trace,
    "cPyMemTrace.CaptureReader": use_capture_reader,
    "cPyMemTrace.capture_to_log": use_capture_to_log,
    "cPyMemTrace.recover": use_recover,
    "cPyMemTrace.Tracer": use_tracer,
    "cPyMemTrace.Sampler": use_sampler,
    "cPyMemTrace.write_marker": use_write_marker,
    "cPyMemTrace.Profile": use_profile,
    "cPyMemTrace.rss": lambda folder: cPyMemTrace.rss(),
    "cPyMemTrace.rss_peak": lambda folder: cPyMemTrace.rss_peak(),
    "cPyMemTrace.info": lambda folder: cPyMemTrace.info(),
    "cPyMemTrace.profile_log_path": log_path_within,
    "cPyMemTrace.profile_wrapper_depth": lambda folder: cPyMemTrace.profile_wrapper_depth(),
    "cPyMemTrace.profile_write_message_to_log": lambda folder: expect(
        ValueError, cPyMemTrace.profile_write_message_to_log, "nobody records"
    ),
    "cPyMemTrace.family": use_family,
    "cPyMemTrace.family_note": use_family_note,
    "cPyMemTrace.family_end": lambda folder: cPyMemTrace.family_end(),
    "cPyMemTrace.hide": use_hide,
    "cPyMemTrace.bare_call": use_bare_call,
    "cPyMemTrace.run_main": use_run_main,
}
FURTHER_CASES: dict[str, Case] = {"new code objects": use_new_code}


class MallInfo(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def malloced() -> int:
    """Bytes that malloc has given out; 0 where the C library does not say."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    function.restype = MallInfo
    said = function()
    return int(said.uordblks + said.hblkhd)


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    blocks: int  # of Python's allocator
    malloced: int  # bytes
    rss: int  # bytes
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        return cls(
            blocks=sys.getallocatedblocks(),
            malloced=malloced(),
            rss=int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            descriptors=len(os.listdir("/proc/self/fd")),
            threads=len(os.listdir("/proc/self/task")),
        )

    def more_than(self, before: Held, uses: int) -> dict[str, int]:
        """What grew by more than noise, which is less than a block in two uses, or a byte a use."""
        allowed = {"blocks": 40 + uses // 2, "malloced": 2048 + uses, "rss": 64 * 1024, "descriptors": 0, "threads": 0}
        grown = {one.name: getattr(self, one.name) - getattr(before, one.name) for one in fields(self)}
        return {name: value for name, value in grown.items() if value > allowed[name]}


def uses_in_a_phase(case: Case, folder: Path, most: int) -> int:
    """Also a warm-up: what is made once is made here."""
    for _ in range(3):
        case(folder)
    begin = time.perf_counter()
    for _ in range(5):
        case(folder)
    each = (time.perf_counter() - begin) / 5
    return min(most, max(FEWEST, int(PHASE / each)))


def leaks(case: Case, folder: Path, most: int = CALLS) -> dict[str, int]:
    """What grew in every phase, by the last phase; empty when nothing leaks."""
    uses = uses_in_a_phase(case, folder, most)
    grown: dict[str, int] = {}
    for phase in range(PHASES):
        before = Held.now()
        for _ in range(uses):
            case(folder)
        new = Held.now().more_than(before, uses)
        grown = {name: value for name, value in new.items() if phase == 0 or name in grown}
        if not grown:
            return {}
    return grown


def public_callables() -> set[str]:
    return {name for name, value in vars(cPyMemTrace).items() if callable(value) and not name.startswith("_")}


def test_every_public_name_has_a_leak_case():
    public = {f"pymemtrace.{name}" for name in pymemtrace.__all__}
    public |= {f"cPyMemTrace.{name}" for name in public_callables()}
    assert set(LEAK_CASES) == public


@pytest.mark.parametrize("name", [*LEAK_CASES, *FURTHER_CASES])
def test_nothing_leaks(name, tmp_path):
    case = {**LEAK_CASES, **FURTHER_CASES}[name]
    assert leaks(case, tmp_path) == {}


def test_a_leak_would_be_found(tmp_path):
    """The judge itself: objects, malloc'ed bytes and descriptors that nobody gives back."""
    kept: list[object] = []
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    malloc.argtypes = [ctypes.c_size_t]
    assert "blocks" in leaks(lambda folder: kept.append(object()), tmp_path)
    if malloced():
        assert "malloced" in leaks(lambda folder: malloc(16), tmp_path)
    opened: list[int] = []
    try:
        found = leaks(lambda folder: opened.append(os.open(NULL, os.O_RDONLY)), tmp_path, most=50)
        assert found == {"descriptors": 50}
    finally:
        for fd in opened:
            os.close(fd)
