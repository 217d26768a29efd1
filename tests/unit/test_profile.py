"""cPyMemTrace.Profile and the module's functions: the established interface."""

from __future__ import annotations

import mmap
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import log

from pymemtrace import cPyMemTrace
from pymemtrace.cPyMemTrace import Profile


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert cPyMemTrace.profile_wrapper_depth() == 0, "a recording was left on"


def body() -> int:
    return len("body")


def only_log() -> Path:
    (path,) = Path().glob("*.log")
    return path


def test_default_name_and_trigger() -> None:
    with Profile() as profile:
        body()
        path = profile.log_file_path()
    assert path == str(only_log().resolve()) and re.fullmatch(r"\d{6}_\d{6}_\d+\.log", only_log().name)
    parsed = log.read(only_log(), "previous")
    assert [row.function for row in parsed.rows][:1] == ["body"]


def test_every_event() -> None:
    with Profile(0):
        body()
    rows = log.read(only_log(), "all").rows
    assert [(row.what, row.function) for row in rows][:4] == [
        ("CALL", "body"),
        ("C_CALL", "len"),
        ("C_RETURN", "len"),
        ("RETURN", "body"),
    ]


@pytest.mark.parametrize("trigger, more", [(-1, True), (64 << 20, False), (1 << 20, True)])
def test_trigger(trigger: int, more: bool) -> None:
    def grow() -> mmap.mmap:
        memory = mmap.mmap(-1, 16 << 20)
        memory[::4096] = b"x" * (len(memory) // 4096)
        return memory

    with Profile(d_rss_trigger=trigger):
        kept = grow()
        body()
    threshold = 4096 if trigger == -1 else trigger
    rows = log.read(only_log(), "previous", threshold=threshold).rows
    steps = [row for row in rows if row.tag == "NEXT" and row.event > 0]
    assert bool(steps) == more and len(kept) == 16 << 20


def test_message_comes_first() -> None:
    with Profile(-1, "the message"):
        body()
    assert only_log().read_text().startswith("the message")


def test_filepath_may_be_an_existing_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.touch()
    with Profile(0, None, str(path)) as profile:
        body()
        assert profile.log_file_path() == str(path)
    assert len(log.read(path, "all").rows) >= 4


def test_filepath_with_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("worth keeping")
    with pytest.raises(FileExistsError) as caught:
        with Profile(filepath=str(path)):
            pass
    assert caught.value.filename == str(path) and path.read_text() == "worth keeping"


@pytest.mark.parametrize("args", [(0, None, None, 1), (-2,), ("0",), (1.5,), (0, 5), (0, None, 5)])
def test_bad_arguments(args: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Profile(*args)  # type: ignore[arg-type]
    assert os.listdir() == []


def test_exception_passes() -> None:
    with pytest.raises(LookupError):
        with Profile():
            raise LookupError
    assert log.read(only_log(), "previous").end == "end"


def test_path_is_none_outside() -> None:
    profile = Profile()
    assert profile.log_file_path() is None
    with profile:
        assert profile.log_file_path() is not None
    assert profile.log_file_path() is None


def test_messages_go_into_the_log_in_order() -> None:
    with Profile(0) as profile:
        profile.write_message_to_log("one")
        body()
        cPyMemTrace.profile_write_message_to_log("two\nlines")
    text = only_log().read_text()
    assert text.index("\n# one\n") < text.index(" body ") < text.index("\n# two")
    assert all(line.startswith("# ") for line in text.splitlines() if "lines" in line)


def test_messages_after_the_end() -> None:
    with Profile() as profile:
        pass
    with pytest.raises(OSError):
        profile.write_message_to_log("late")
    with pytest.raises(ValueError):
        cPyMemTrace.profile_write_message_to_log("late")


def test_message_must_be_text() -> None:
    with Profile() as profile:
        with pytest.raises(TypeError):
            profile.write_message_to_log(b"bytes")  # type: ignore[arg-type]


def test_nested() -> None:
    assert (cPyMemTrace.profile_log_path(), cPyMemTrace.profile_wrapper_depth()) == (None, 0)
    with Profile(0, None, "outer.log") as outer:
        assert (cPyMemTrace.profile_log_path(), cPyMemTrace.profile_wrapper_depth()) == (outer.log_file_path(), 1)
        with Profile(0, None, "inner.log") as inner:
            assert (cPyMemTrace.profile_log_path(), cPyMemTrace.profile_wrapper_depth()) == (inner.log_file_path(), 2)
            body()
        assert cPyMemTrace.profile_log_path() == outer.log_file_path()
    assert [row.function for row in log.read("inner.log", "all").rows].count("body") == 2
    assert [row.function for row in log.read("outer.log", "all").rows].count("body") == 0


def test_one_object_is_one_recording() -> None:
    profile = Profile()
    with profile:
        pass
    with pytest.raises(RuntimeError):
        profile.__enter__()


def test_another_thread_may_not_start() -> None:
    caught: list[str] = []

    def other() -> None:
        try:
            with Profile(filepath="other.log"):
                pass
        except RuntimeError as error:
            caught.append(str(error))

    with Profile(filepath="x.log") as profile:
        path = profile.log_file_path()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(caught) == 1 and str(path) in caught[0]


def test_rss_functions() -> None:
    assert 1 << 20 < cPyMemTrace.rss() <= cPyMemTrace.rss_peak()


def test_info() -> None:
    facts = cPyMemTrace.info()
    assert facts and all(isinstance(key, str) for key in facts)
