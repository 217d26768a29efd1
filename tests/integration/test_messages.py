"""What a wrong use is told: the kind of the exception and what its text names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import log
from support.child import Child

RunChild = Callable[..., Child]
pytestmark = pytest.mark.usefixtures("each_engine")

ATTEMPT = """
    import json
    import sys
    import pymemtrace
    from pymemtrace import cPyMemTrace
    from support.child import report

    path = sys.argv[1]
    ran = []

    def attempt():
        ran.clear()
        with CALL:
            ran.append(1)

    try:
        attempt()
    except BaseException as error:
        report(error=type(error).__name__, text=str(error), filename=str(getattr(error, "filename", "")), ran=len(ran))
    else:
        report(error="", text="", filename="", ran=len(ran))
"""


@pytest.mark.parametrize(
    "call, kind, names",
    [
        ("pymemtrace.trace(path, log='some')", "ValueError", ["some"]),
        ("pymemtrace.trace(path, threshold=-2)", "ValueError", ["-2"]),
        ("pymemtrace.trace(path, compute='little', log='none')", "ValueError", ["little"]),
        ("pymemtrace.trace(path, compute='rss', log='all')", "ValueError", ["compute"]),
        ("pymemtrace.trace(path, compute='nothing')", "ValueError", ["compute"]),
        ("pymemtrace.trace(path, engine='steam')", "ValueError", ["steam"]),
        ("pymemtrace.trace(path, format='xml')", "ValueError", ["xml"]),
        ("pymemtrace.trace(path, threshold='many')", "(TypeError|ValueError)", []),
        ("pymemtrace.trace(path + chr(0))", "ValueError", []),
        ("cPyMemTrace.Tracer(path, log='some')", "ValueError", ["some"]),
        ("cPyMemTrace.Tracer(path, threshold=-2)", "ValueError", ["-2"]),
        ("cPyMemTrace.Tracer(path, compute='rss')", "ValueError", ["compute"]),
        ("cPyMemTrace.Tracer(path, engine='steam')", "ValueError", ["steam"]),
        ("cPyMemTrace.Profile(-2, filepath=path)", "ValueError", ["-2"]),
        ("cPyMemTrace.Profile(1, 'message', path, 'fourth')", "TypeError", []),
        ("cPyMemTrace.Profile('many')", "TypeError", []),
    ],
)
def test_wrong_options(run_child: RunChild, tmp_path: Path, call: str, kind: str, names: list[str]) -> None:
    # GIVEN an option that makes no sense
    # WHEN
    got = run_child(ATTEMPT.replace("CALL", call), tmp_path / "new.log").result
    # THEN it is refused before the body runs, by name, and no file is made
    assert got["error"] in kind.strip("()").split("|"), got
    assert got["ran"] == 0
    assert got["text"]
    for name in names:
        assert name in got["text"], got["text"]
    assert not (tmp_path / "new.log").exists()


@pytest.mark.parametrize("interface", ["pymemtrace.trace(path)", "cPyMemTrace.Tracer(path)"])
def test_existing_file(run_child: RunChild, tmp_path: Path, interface: str) -> None:
    # GIVEN a file that has something in it
    path = tmp_path / "there.log"
    path.write_text("precious\n", "utf-8")
    # WHEN
    got = run_child(ATTEMPT.replace("CALL", interface), path).result
    # THEN it is not touched
    assert (got["error"], got["filename"], got["ran"]) == ("FileExistsError", str(path), 0)
    assert path.read_text("utf-8") == "precious\n"


@pytest.mark.parametrize("interface", ["pymemtrace.trace(path)", "cPyMemTrace.Profile(1, None, path)"])
def test_existing_empty_file(run_child: RunChild, tmp_path: Path, interface: str) -> None:
    # GIVEN an empty file, as tempfile makes them
    path = tmp_path / "empty.log"
    path.touch()
    inode = path.stat().st_ino
    # WHEN
    got = run_child(ATTEMPT.replace("CALL", interface), path).result
    # THEN it is used
    assert (got["error"], got["ran"]) == ("", 1)
    assert path.stat().st_ino == inode
    text = log.parse(path.read_bytes())
    assert text.layout and text.end == "end"


def test_overwriting(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN an existing file that somebody has open
    path = tmp_path / "old.log"
    path.write_text("old\n", "utf-8")
    with open(path, encoding="utf-8") as reader:
        # WHEN
        got = run_child(ATTEMPT.replace("CALL", "pymemtrace.trace(path, overwrite=True)"), path).result
        # THEN the log is a new file, and the reader of the old one goes on reading that
        assert (got["error"], got["ran"]) == ("", 1)
        assert reader.read() == "old\n"
    log.read(path, "threshold")


def test_a_folder_is_no_log(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    folder = tmp_path / "folder"
    folder.mkdir()
    # WHEN
    got = run_child(ATTEMPT.replace("CALL", "pymemtrace.trace(path)"), folder).result
    # THEN
    assert got["error"] in ("IsADirectoryError", "FileExistsError")
    assert (got["filename"], got["ran"]) == (str(folder), 0)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_generators_cannot_be_decorated(run_child: RunChild, kind: str) -> None:
    # GIVEN a function whose body runs in pieces
    source = """
        import pymemtrace

        def generator():
            yield 1

        async def async_generator():
            yield 1

        try:
            pymemtrace.trace("never.log")(KIND)
        except TypeError as error:
            print("generator" in str(error))
    """.replace("KIND", kind.replace(" ", "_"))
    # WHEN it is decorated
    done = run_child(source)
    # THEN that is refused at once
    assert done.stdout == "True\n"


def test_paths_of_every_kind(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a relative path, bytes, a Path object, a name that is no UTF-8, and a change of folder meanwhile
    source = """
        import os
        import pathlib
        import sys
        import pymemtrace

        os.chdir(sys.argv[1])
        os.mkdir("elsewhere")
        for path in ("relative.log", pathlib.Path("object.log"), os.fsdecode(b"\\xff.log"), "caf\\u00e9 \\u65e5.log"):
            with pymemtrace.trace(path, log="all") as recording:
                os.chdir("elsewhere")
                abs(1)
                os.chdir("..")
            assert os.path.isabs(recording.path), recording.path
            assert os.path.samefile(recording.path, path)
        print("done")
    """
    folder = tmp_path / "folder"
    folder.mkdir()
    # WHEN
    done = run_child(source, folder)
    # THEN each is where it was when the recording began
    assert done.stdout == "done\n"
    assert sorted(os.listdir(os.fsencode(folder))) == sorted(
        [b"elsewhere", b"relative.log", b"object.log", b"\xff.log", "caf\u00e9 \u65e5.log".encode()]
    )
    for name in os.listdir(folder):
        if name != "elsewhere":
            log.read(folder / name, "all")


def test_stop_twice_and_start_twice(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    source = """
        import sys
        from pymemtrace import cPyMemTrace

        tracer = cPyMemTrace.Tracer(sys.argv[1], log="all")
        print(tracer.running, tracer.events, tracer.error)
        tracer.start()
        print(tracer.running)
        abs(1)
        print(tracer.stop(), tracer.stop(), tracer.running)
        try:
            tracer.write_message("late")
        except ValueError as error:
            print("ValueError")
    """
    # WHEN
    done = run_child(source, tmp_path / "twice.log")
    # THEN the second stop does nothing
    lines = done.stdout.splitlines()
    assert lines == ["False 0 None", "True", "None None False", "ValueError"]
    functions = [row.function for row in log.read(tmp_path / "twice.log", "all").rows]
    assert functions == ["print", "print", "abs", "abs"]


@pytest.mark.parametrize("module", ["pymemtrace", "pymemtrace.cPyMemTrace"])
def test_importing_starts_nothing(run_child: RunChild, module: str) -> None:
    # GIVEN
    source = """
        import importlib
        import os
        import sys
        import threading

        before = len(os.listdir("/proc/self/task")), os.listdir("/proc/self/fd"), sys.getprofile()
        importlib.import_module(sys.argv[1])
        after = len(os.listdir("/proc/self/task")), os.listdir("/proc/self/fd"), sys.getprofile()
        print(before == after, "psutil" in sys.modules, "rich" in sys.modules, "numpy" in sys.modules)
    """
    # WHEN
    done = run_child(source, module)
    # THEN no thread, no descriptor, no hook, none of the heavy modules
    assert done.stdout == "True False False False\n"
