"""pymemtrace.trace: arguments, the context manager, the decorator."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import child, log

import pymemtrace
from pymemtrace import cPyMemTrace, tracing

HERE = __file__
OURS = os.path.dirname(pymemtrace.__file__)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert cPyMemTrace.profile_wrapper_depth() == 0, "a recording was left on"


def rows_of(path: str | Path, mode: str = "all") -> list[log.Row]:
    """Rows of a log that must be right, and ended."""
    return log.read(path, mode, threshold=0).rows


def keys(path: str | Path, mode: str = "all") -> list[tuple[str, str]]:
    """(what, function) of every row."""
    return [(row.what, row.function) for row in rows_of(path, mode)]


def body() -> int:
    return len("body")


BODY = [("CALL", "body"), ("C_CALL", "len"), ("C_RETURN", "len"), ("RETURN", "body")]


# The package.


def test_public_names() -> None:
    assert set(pymemtrace.__all__) == {
        "__version__", "process", "read", "read_run", "read_samples", "rss", "rss_peak", "trace"
    }  # fmt: skip
    assert all(hasattr(pymemtrace, name) for name in pymemtrace.__all__)


def test_importing_starts_nothing() -> None:
    program = (
        "import sys, threading, os\n"
        "before = os.listdir('/proc/self/task'), os.listdir('/proc/self/fd'), os.listdir('.'), sys.getprofile()\n"
        "import pymemtrace\n"
        "after = os.listdir('/proc/self/task'), os.listdir('/proc/self/fd'), os.listdir('.'), sys.getprofile()\n"
        "assert before == after, (before, after)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=child.environment(), timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_rss() -> None:
    assert 0 < pymemtrace.rss() <= pymemtrace.rss_peak()


def test_trace_has_the_methods_of_the_extension() -> None:
    """Python methods would be events, or frames of ours in the user's `with`."""
    for name in ("__enter__", "__exit__", "start", "stop", "stats", "growth"):
        assert getattr(pymemtrace.trace, name) is getattr(cPyMemTrace.Tracer, name)


def test_every_function_of_the_module_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN every function that tracing.py defines, but for those that it makes at decoration
    hidden: list[object] = []
    monkeypatch.setattr(cPyMemTrace, "hide", hidden.append)
    source = Path(tracing.__file__).read_text()
    # WHEN the module is run once more
    namespace = {"__name__": "pymemtrace.again", "__package__": "pymemtrace", "__file__": tracing.__file__}
    exec(compile(source, tracing.__file__, "exec", 0, True), namespace)
    # THEN
    functions = [value for value in namespace.values() if inspect.isfunction(value)]
    functions += [value for value in vars(namespace["trace"]).values() if inspect.isfunction(value)]  # type: ignore[arg-type]
    own = {f.__code__ for f in functions if f.__code__.co_filename == tracing.__file__}
    assert own == set(hidden)
    for code in own:
        inner = [const for const in code.co_consts if inspect.iscode(const)]
        # __annotate__: 3.14 asks for annotations by a function, which nothing of ours calls
        inner = [const for const in inner if const.co_name != "__annotate__"]
        assert all(const.co_name == "recorded" for const in inner), f"{code.co_name} calls a frame of its own"


# Arguments.


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"log": "some"}, ValueError, ["log", "'some'", "previous"]),
        ({"log": 1}, ValueError, ["log", "1"]),
        ({"log": ["all"]}, ValueError, ["log"]),
        ({"compute": "most"}, ValueError, ["compute", "'most'"]),
        ({"compute": None}, ValueError, ["compute", "None"]),
        ({"compute": "rss"}, ValueError, ["compute", "log"]),
        ({"compute": "nothing", "log": "all"}, ValueError, ["compute", "log"]),
        ({"format": "xml"}, ValueError, ["format", "'xml'"]),
        ({"engine": "steam"}, ValueError, ["engine", "'steam'"]),
        ({"threshold": -1}, ValueError, ["threshold", "-1"]),
        ({"threshold": -(2**70)}, ValueError, ["threshold"]),
        ({"threshold": 2**63}, ValueError, ["threshold"]),
        ({"threshold": True}, TypeError, ["threshold", "bool"]),
        ({"threshold": 4096.0}, TypeError, ["threshold", "float"]),
        ({"threshold": "4096"}, TypeError, ["threshold", "str"]),
        ({"threshold": "4K"}, TypeError, ["threshold", "str"]),
        ({"message": b"bytes"}, TypeError, ["message", "bytes"]),
        ({"message": 1}, TypeError, ["message", "int"]),
        ({"path": ""}, ValueError, ["path"]),
        ({"path": 3}, TypeError, ["int"]),
        ({"path": len}, TypeError, ["@pymemtrace.trace()"]),
        ({"path": "a\0b"}, ValueError, ["null"]),
        ({"nonsense": 1}, TypeError, ["nonsense"]),
    ],
)
def test_bad_arguments(options: dict[str, object], error: type[Exception], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(error) as caught:
        pymemtrace.trace(**options)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), caught.value
    assert list(tmp_path.iterdir()) == []


def test_only_the_path_is_positional() -> None:
    with pytest.raises(TypeError):
        pymemtrace.trace("x.log", "all")  # type: ignore[misc]


class Index:
    def __index__(self) -> int:
        return 4096


@pytest.mark.parametrize("threshold", [None, 0, 1, 4096, 2**40, Index()])
def test_thresholds(threshold: int | None) -> None:
    with pymemtrace.trace("x.log", threshold=threshold) as t:
        body()
    wanted = {None: os.sysconf("SC_PAGESIZE")}.get(threshold, threshold)  # type: ignore[arg-type]
    assert t.stats()["threshold"] == (wanted if isinstance(wanted, int) else 4096)


PATHS = ["x.log", b"x.log", Path("x.log"), "d\u00e9j\u00e0 \u4e2d.log", b"\xff.log", "./x.log"]


@pytest.mark.parametrize("path", PATHS)
def test_paths(path: str | bytes | Path, tmp_path: Path) -> None:
    # GIVEN a relative path
    t = pymemtrace.trace(path, log="all")
    with t:
        body()
    # THEN it was made absolute
    assert t.path is not None and t.path.startswith("/")
    assert os.path.samefile(t.path, path) and keys(t.path) == BODY


def test_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    t = pymemtrace.trace("x.log")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with t:
        body()
    assert t.path == str(tmp_path / "x.log")


def test_default_path(tmp_path: Path) -> None:
    with pymemtrace.trace() as t:
        body()
    assert t.path is not None and Path(t.path).parent == tmp_path and f"_{os.getpid()}" in t.path
    assert t.path.endswith(".log")


def test_suffix_of_captures_may_be_a_log_if_asked_for() -> None:
    with pymemtrace.trace("x.pmt", format="text", log="all") as t:
        body()
    assert keys(t.path or "") == BODY


def test_existing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("worth keeping")
    t = pymemtrace.trace("x.log")
    with pytest.raises(FileExistsError) as caught:
        t.start()
    assert caught.value.filename == str(tmp_path / "x.log")
    assert (tmp_path / "x.log").read_text() == "worth keeping" and not t.running


def test_existing_file_is_replaced_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("what was there")
    os.link(tmp_path / "x.log", tmp_path / "other name")
    with pymemtrace.trace("x.log", overwrite=True, log="all"):
        body()
    assert keys("x.log") == BODY and (tmp_path / "other name").read_text() == "what was there"


def test_existing_empty_file_is_used() -> None:
    Path("x.log").touch()
    with pymemtrace.trace("x.log", log="all"):
        body()
    assert keys("x.log") == BODY


@pytest.mark.parametrize("path", ["missing/x.log", "x.log/x.log", "."])
def test_path_that_cannot_be_written(path: str) -> None:
    Path("x.log").touch()
    with pytest.raises(OSError) as caught:
        pymemtrace.trace(path).start()
    assert caught.value.filename is not None and caught.value.filename.startswith("/")


def test_message_and_no_comments() -> None:
    with pymemtrace.trace("x.log", message="hello\n", comments=False, log="all"):
        body()
    text = Path("x.log").read_text()
    assert text.startswith("hello\nEvent ")
    assert not [line for line in text.splitlines() if line.startswith("#")]


# The context manager.


@pytest.mark.parametrize("mode", ["all", "threshold", "previous"])
def test_the_body_is_what_is_recorded(mode: str) -> None:
    with pymemtrace.trace("x.log", log=mode, threshold=0) as t:
        body()
    assert keys("x.log", mode) == BODY
    assert (t.events, t.events_logged, t.error, t.running) == (4, 4, None, False)
    assert t.rss_peak > 0 and t.stats()["events"] == 4


def test_pymemtrace_rss_is_an_event() -> None:
    with pymemtrace.trace("x.log", log="all"):
        pymemtrace.rss()
    assert keys("x.log") == [("C_CALL", "rss"), ("C_RETURN", "rss")]


def test_exception_of_the_body_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        with pymemtrace.trace("x.log", log="all"):
            1 / 0  # noqa: B018
    assert keys("x.log") == []


def test_start_and_stop() -> None:
    t = pymemtrace.trace("x.log", log="all")
    assert not t.running
    t.start()
    body()
    running = t.running
    error = t.stop()
    assert running and not t.running and error is None and t.stop() is None
    assert keys("x.log") == BODY


def test_one_object_is_one_recording() -> None:
    t = pymemtrace.trace("x.log")
    with t:
        pass
    with pytest.raises(RuntimeError):
        t.start()


def test_making_a_trace_within_a_recording_is_no_event() -> None:
    # GIVEN
    with pymemtrace.trace("outer.log", log="all"):
        # WHEN
        inner = pymemtrace.trace("inner.log", log="all", threshold=5)
        with inner:
            body()
        body()
        try:
            pymemtrace.trace(b"x.log", log="most")
        except ValueError:
            pass
    # THEN
    assert keys("inner.log") == BODY
    assert keys("outer.log") == BODY
    assert not [row for row in rows_of("outer.log") if row.file.startswith(OURS)]


def test_subclass() -> None:
    class Mine(pymemtrace.trace):
        pass

    with Mine("x.log", log="all") as t:
        body()
    assert isinstance(t, Mine) and keys("x.log") == BODY


def test_another_thread_may_not_start() -> None:
    caught: list[BaseException] = []

    def other() -> None:
        try:
            with pymemtrace.trace("other.log"):
                pass
        except RuntimeError as error:
            caught.append(error)

    with pymemtrace.trace("x.log") as t:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(caught) == 1 and str(t.path) in str(caught[0])
    assert not os.path.exists("other.log")


# The decorator.


def test_decorator_records_each_call() -> None:
    # GIVEN
    @pymemtrace.trace("x.log", log="all")
    def double(n: int, *, by: int = 2) -> int:
        return n * by

    # WHEN
    assert [double(1), double(2, by=3)] == [2, 6]
    assert double(3) == 6
    # THEN
    for name in ("x.log", "x_1.log", "x_2.log"):
        assert keys(name) == [("CALL", "double"), ("RETURN", "double")]
    assert sorted(os.listdir()) == ["x.log", "x_1.log", "x_2.log"]


@pytest.mark.parametrize(
    "path, second, third",
    [
        ("a.b/x.log", "a.b/x_1.log", "a.b/x_2.log"),
        ("a.b/plain", "a.b/plain_1", "a.b/plain_2"),
        (".log", ".log_1", ".log_2"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_names_of_further_calls(path: str, second: str, third: str, overwrite: bool) -> None:
    os.mkdir("a.b")
    if overwrite:
        for name in (path, second, third):
            Path(name).write_text("old")
    decorated = pymemtrace.trace(path, log="all", overwrite=overwrite)(body)
    for _ in range(3):
        decorated()
    for name in (path, second, third):
        assert keys(name) == BODY
    assert sum(len(files) for _, _, files in os.walk(".")) == 3


@pytest.mark.parametrize("overwrite", [False, True])
def test_device_is_used_as_it_is(overwrite: bool) -> None:
    decorated = pymemtrace.trace("/dev/null", overwrite=overwrite)(body)
    for _ in range(3):
        decorated()
    assert os.listdir() == [] and not os.path.exists("/dev/null_1")


def test_decorator_with_the_default_name() -> None:
    decorated = pymemtrace.trace(log="all")(body)
    for _ in range(2):
        decorated()
    assert [keys(name) for name in os.listdir()] == [BODY, BODY]


def test_decorated_path_is_absolute_from_decoration_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decorated = pymemtrace.trace("x.log")(body)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    decorated()
    assert os.path.exists(tmp_path / "x.log") and os.listdir() == []


def test_decorator_wraps_as_functools_does() -> None:
    def function(x: int, y: str = "z") -> None:
        """Text."""

    function.attribute = 1  # type: ignore[attr-defined]
    ours = pymemtrace.trace()(function)

    @functools.wraps(function)
    def theirs(*args: object) -> None:
        pass

    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "__wrapped__", "attribute"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert getattr(ours, "__type_params__", ()) == getattr(theirs, "__type_params__", ())
    assert inspect.signature(ours) == inspect.signature(function)


def test_exception_of_a_decorated_function_passes() -> None:
    @pymemtrace.trace("x.log", log="all")
    def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fails()
    assert keys("x.log") == [("CALL", "fails"), ("RETURN", "fails")]
    assert cPyMemTrace.profile_wrapper_depth() == 0


def test_recursion_passes_through() -> None:
    @pymemtrace.trace("x.log", log="all")
    def down(n: int) -> int:
        return down(n - 1) + 1 if n else 0

    assert down(3) == 3
    assert keys("x.log") == [("CALL", "down")] * 4 + [("RETURN", "down")] * 4
    assert os.listdir() == ["x.log"]


def test_two_functions_of_one_decorator() -> None:
    record = pymemtrace.trace("x.log", log="all")

    @record
    def inner() -> int:
        return 1

    @record
    def outer() -> int:
        return inner()

    assert outer() == 1 and inner() == 1
    assert keys("x.log") == [("CALL", "outer"), ("CALL", "inner"), ("RETURN", "inner"), ("RETURN", "outer")]
    assert keys("x_1.log") == [("CALL", "inner"), ("RETURN", "inner")]


def test_two_decorators_nest() -> None:
    @pymemtrace.trace("inner.log", log="all")
    def inner() -> int:
        return body()

    @pymemtrace.trace("outer.log", log="all")
    def outer() -> int:
        return inner() + body()

    assert outer() == 8
    assert keys("inner.log") == [("CALL", "inner"), *BODY, ("RETURN", "inner")]
    assert keys("outer.log") == [("CALL", "outer"), *BODY, ("RETURN", "outer")]


def test_decorating_within_a_recording_is_no_event() -> None:
    with pymemtrace.trace("outer.log", log="all"):

        @pymemtrace.trace("inner.log")
        def inner() -> None:
            pass

        inner()
    rows = rows_of("outer.log")
    assert not [row.key for row in rows if row.file.startswith(OURS)]
    assert {row.function for row in rows} <= {"__build_class__"}


def test_same_decorator_in_another_thread_passes_through() -> None:
    # GIVEN
    @pymemtrace.trace("x.log", log="all")
    def work(n: int) -> None:
        if n:
            thread = threading.Thread(target=work, args=(n - 1,))
            thread.start()
            thread.join()

    # WHEN
    work(2)
    # THEN
    assert os.listdir() == ["x.log"]
    assert keys("x.log").count(("CALL", "work")) == 3


def test_decorated_call_while_another_thread_records_passes_through_and_is_counted() -> None:
    # GIVEN
    decorated = pymemtrace.trace("x.log")(body)
    results: list[int] = []

    def other() -> None:
        results.append(decorated())

    # WHEN
    with pymemtrace.trace("main.log", log="all") as t:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    # THEN
    assert results == [4] and os.listdir() == ["main.log"]
    assert t.stats()["passed_through"] == 1
    assert "passed through" in Path("main.log").read_text()
    assert ("CALL", "body") in keys("main.log") and ("CALL", "recorded") not in keys("main.log")
    decorated()
    assert os.path.exists("x.log"), "the next call is a recording again"


def test_decorated_call_that_cannot_start_raises() -> None:
    decorated = pymemtrace.trace("missing/x.log")(body)
    with pytest.raises(FileNotFoundError):
        decorated()


class Methods:
    @pymemtrace.trace("/dev/null")
    def method(self, x: int) -> tuple[object, int]:
        return self, x

    @classmethod
    @pymemtrace.trace("/dev/null")
    def of_class(cls, x: int) -> tuple[object, int]:
        return cls, x

    @staticmethod
    @pymemtrace.trace("/dev/null")
    def of_none(x: int) -> int:
        return x

    @property
    @pymemtrace.trace("/dev/null")
    def value(self) -> int:
        return 5


def test_methods() -> None:
    thing = Methods()
    assert thing.method(1) == (thing, 1) and Methods.of_class(2) == (Methods, 2)
    assert Methods.of_none(3) == 3 and thing.value == 5


def generator() -> Iterator[int]:
    yield 1


async def async_generator():  # type: ignore[no-untyped-def]
    yield 1


class CallableGenerator:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "function",
    [
        generator,
        async_generator,
        functools.partial(generator),
        functools.partial(functools.partial(async_generator)),
        CallableGenerator(),
        CallableGenerator().__call__,
    ],
)
def test_generators_are_refused(function: object) -> None:
    with pytest.raises(TypeError, match="generator"):
        pymemtrace.trace()(function)  # type: ignore[type-var]


@pytest.mark.parametrize("thing", [1, "text", None, classmethod(len)])
def test_what_cannot_be_called_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="decorates functions"):
        pymemtrace.trace()(thing)  # type: ignore[type-var]


def test_without_parentheses() -> None:
    with pytest.raises(TypeError, match="parentheses"):

        @pymemtrace.trace  # type: ignore[arg-type]
        def function() -> None:
            pass


@pytest.mark.parametrize("function", [len, functools.partial(len), str.upper, [].append, Methods().method])
def test_other_callables(function: object) -> None:
    decorated = pymemtrace.trace("/dev/null")(function)  # type: ignore[type-var]
    assert callable(decorated) and decorated("abc") == function("abc")  # type: ignore[operator]


# async def


def test_coroutine_is_recorded_from_its_first_step_to_its_end() -> None:
    # GIVEN
    @pymemtrace.trace("x.log", log="all")
    async def work() -> int:
        body()
        await asyncio.sleep(0)
        return body()

    assert inspect.iscoroutinefunction(work)

    async def main() -> int:
        coroutine = work()
        assert cPyMemTrace.profile_wrapper_depth() == 0, "nothing runs before the first step"
        other = asyncio.ensure_future(neighbour())
        result = await coroutine
        assert cPyMemTrace.profile_wrapper_depth() == 0
        await other
        return result

    async def neighbour() -> None:
        assert cPyMemTrace.profile_wrapper_depth() == 1
        body()

    # WHEN
    assert asyncio.run(main()) == 4
    # THEN
    rows = keys("x.log")
    assert rows[0] == ("CALL", "work") and rows[-1] == ("RETURN", "work")
    assert rows.count(("CALL", "body")) == 3 and ("CALL", "neighbour") in rows
    assert ("CALL", "recorded") not in rows and ("RETURN", "recorded") not in rows


def test_two_tasks_of_one_decorator() -> None:
    running: list[int] = []

    @pymemtrace.trace("x.log", log="all")
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        running.append(cPyMemTrace.profile_wrapper_depth())
        return n

    async def main() -> list[int]:
        return list(await asyncio.gather(*(work(n) for n in range(5))))

    assert asyncio.run(main()) == list(range(5))
    assert set(running) <= {0, 1} and os.listdir() == ["x.log"]


def test_coroutine_that_raises_or_is_cancelled() -> None:
    @pymemtrace.trace("x.log")
    async def fails() -> None:
        raise LookupError

    @pymemtrace.trace("y.log")
    async def waits() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(LookupError):
            await fails()
        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cPyMemTrace.profile_wrapper_depth() == 0

    asyncio.run(main())
    assert sorted(os.listdir()) == ["x.log", "y.log"]


def test_coroutine_that_is_dropped_ends_its_recording() -> None:
    class Pause:
        def __await__(self) -> Iterator[None]:
            yield

    @pymemtrace.trace("x.log")
    async def work() -> None:
        await Pause()

    coroutine = work()
    coroutine.send(None)
    assert cPyMemTrace.profile_wrapper_depth() == 1
    coroutine.close()
    assert cPyMemTrace.profile_wrapper_depth() == 0


def test_task_that_ends_an_outer_recording_ends_the_inner_one_too() -> None:
    # GIVEN an outer recording whose task ends while the inner one's goes on
    @pymemtrace.trace("outer.log", log="all")
    async def outer(started: asyncio.Event) -> str:
        await started.wait()
        return "outer"

    @pymemtrace.trace("inner.log", log="all")
    async def inner(started: asyncio.Event) -> str:
        started.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert cPyMemTrace.profile_wrapper_depth() == 0
        body()
        return "inner"

    async def main() -> list[str]:
        started = asyncio.Event()
        return list(await asyncio.gather(outer(started), inner(started)))

    # WHEN
    assert asyncio.run(main()) == ["outer", "inner"]
    # THEN
    for name in ("outer.log", "inner.log"):
        assert log.read(name, "all").end == "end"
    assert ("CALL", "body") not in keys("inner.log")


def test_async_methods_and_callables() -> None:
    class Thing:
        @pymemtrace.trace("/dev/null")
        async def method(self, x: int) -> int:
            return x

        async def __call__(self, x: int) -> int:
            return x + 1

    thing = Thing()
    decorated = pymemtrace.trace("/dev/null")(thing)
    assert asyncio.run(thing.method(1)) == 1
    assert inspect.iscoroutinefunction(decorated) and asyncio.run(decorated(1)) == 2
    partial = pymemtrace.trace("/dev/null")(functools.partial(thing.method, 3))
    assert inspect.iscoroutinefunction(partial) and asyncio.run(partial()) == 3


# When writing fails.

LIMITED = """
import resource, warnings, pymemtrace
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
def work():
    for n in range(20_000):
        len("x")
    return "done"
def decorated():
    return pymemtrace.trace("x.log", log="all")(work)()
def with_block():
    with pymemtrace.trace("x.log", log="all") as t:
        result = work()
    assert isinstance(t.error, OSError) and t.error.errno == 27, t.error
    return result
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert {} == "done"
assert [(w.category, w.filename) for w in caught] == [(RuntimeWarning, __file__)], [str(w) for w in caught]
assert "x.log" in str(caught[0].message) and "File too large" in str(caught[0].message), caught[0].message
"""


@pytest.mark.parametrize("how", ["decorated()", "with_block()"])
def test_failed_recording_is_one_warning(how: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LIMITED.replace("{}", how))
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=child.environment(), timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    last = (tmp_path / "x.log").read_bytes()
    assert 90_000 < len(last) <= 100_000


def test_no_warning_when_nothing_failed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pymemtrace.trace("x.log"):
            body()
        pymemtrace.trace("y.log")(body)()
