"""Bad input on the command line: one sentence that names the thing, exit status 2, no file made or changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.child import environment

TIMEOUT = 60


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its inode, time and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text("print('it ran')\n")
    (tmp_path / "old.log").write_text("worth keeping\n")
    (tmp_path / "empty_app").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "truncated.pyc").write_bytes(__import__("importlib.util").util.MAGIC_NUMBER + bytes(12) + b"\xe3")
    (tmp_path / "other.pyc").write_bytes(b"\x00\x01\r\n" + bytes(12))
    return tmp_path


BAD: list[tuple[list[str], list[str]]] = [
    # options
    (["--threshold", "abc", "good.py"], ["--threshold", "'abc'"]),
    (["--threshold", "-1", "good.py"], ["--threshold", "'-1'"]),
    (["--threshold=-1", "good.py"], ["--threshold", "'-1'"]),
    (["--threshold", "", "good.py"], ["--threshold", "''"]),
    (["--threshold", "K", "good.py"], ["--threshold", "'K'"]),
    (["--threshold", "4.5", "good.py"], ["--threshold", "'4.5'"]),
    (["--threshold", "4KB", "good.py"], ["--threshold", "'4KB'"]),
    (["--threshold", "1T", "good.py"], ["--threshold", "'1T'"]),
    (["--threshold", "1_000", "good.py"], ["--threshold", "'1_000'"]),
    (["--threshold", " 5", "good.py"], ["--threshold", "' 5'"]),
    (["--threshold", "\u0665", "good.py"], ["--threshold", "'\u0665'"]),
    (["--threshold", "9" * 40, "good.py"], ["--threshold", "999"]),
    (["--threshold", "9" * 18 + "G", "good.py"], ["threshold"]),
    (["--threshold"], ["--threshold", "needs a value"]),
    (["--log", "some", "good.py"], ["--log", "'some'", "threshold"]),
    (["--log", "", "good.py"], ["--log", "''"]),
    (["--compute", "most", "--log", "none", "good.py"], ["--compute", "'most'"]),
    (["--compute", "rss", "good.py"], ["compute", "log"]),
    (["--compute", "nothing", "--log", "all", "good.py"], ["compute", "log"]),
    (["--format", "xml", "good.py"], ["--format", "'xml'"]),
    (["--engine", "steam", "good.py"], ["--engine", "'steam'"]),
    *([(["--engine", "monitoring", "good.py"], ["monitoring", "3.12"])] if sys.version_info < (3, 12) else []),
    (["--nonsense", "good.py"], ["'--nonsense'"]),
    (["--keep", "1K", "good.py"], ["keep", "1 MiB"]),
    (["--keep", "1M", "-o", "x.log", "good.py"], ["captures only"]),
    (["--keep", "much", "good.py"], ["--keep", "much"]),
    (["-x", "good.py"], ["'-x'"]),
    (["-qx", "good.py"], ["'-x'"]),
    (["--force=yes", "good.py"], ["--force", "'yes'"]),
    (["-q", "-v", "good.py"], ["-q", "-v"]),
    (["-o"], ["-o", "needs a value"]),
    (["-o", "", "good.py"], ["-o"]),
    # the program
    ([], ["no program"]),
    (["-q"], ["no program"]),
    (["--"], ["no program"]),
    (["-m"], ["-m", "needs a value"]),
    (["-c"], ["-c", "needs a value"]),
    (["missing.py"], ["'missing.py'", "No such file"]),
    (["missing/deeper.py"], ["'missing/deeper.py'"]),
    (["good.py/deeper.py"], ["'good.py/deeper.py'", "Not a directory"]),
    (["-"], ["'-'"]),
    ([""], ["''"]),
    (["empty_app"], ["'empty_app'", "__main__.py"]),
    (["truncated.pyc"], ["'truncated.pyc'", "damaged"]),
    (["other.pyc"], ["'other.pyc'", "compiled"]),
    (["-m", "no_such_module_here"], ["'no_such_module_here'"]),
    (["-m", "no_such_package_here.module"], ["'no_such_package_here'"]),
    (["-m", ""], ["module"]),
    (["-m", ".relative"], ["'.relative'"]),
    (["-c", "\udcff"], ["-c"]),
    # the output
    (["-o", "old.log", "good.py"], ["old.log", "-f"]),
    (["-o", "missing/x.log", "good.py"], ["missing/x.log", "No such file"]),
    (["-o", "good.py/x.log", "good.py"], ["good.py/x.log", "Not a directory"]),
    (["-o", "good.py/", "good.py"], ["good.py"]),
    (["-o", "/sys/x.log", "good.py"], ["/sys/x.log", "ermission denied"]),
    (["-o", "/sys/new/", "good.py"], ["/sys/new"]),
    (["-o", "x" * 300, "good.py"], ["File name too long"]),
]


@pytest.mark.parametrize("args, words", BAD, ids=lambda value: " ".join(value)[:50].encode("unicode_escape").decode())
def test_run(folder: Path, args: list[str], words: list[str]) -> None:
    if "/sys/x.log" in args and not os.path.isdir("/sys/kernel"):
        pytest.skip("no /sys here")
    # GIVEN
    before = snapshot(folder)
    # WHEN
    done = subprocess.run(
        [sys.executable, "-m", "pymemtrace", "run", *args],
        cwd=folder,
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    # THEN
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), said
    assert said.startswith("pymemtrace run: ") and said.count("\n") == 1 and said.endswith("\n"), said
    assert all(word in said for word in words), said
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    "args, words",
    [
        ([], ["no command", "run"]),
        (["walk"], ["'walk'", "run"]),
        (["-q"], ["'-q'"]),
        (["info", "more"], ["'more'"]),
        (["info", "-x"], ["'-x'"]),
    ],
)
def test_other_commands(folder: Path, args: list[str], words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pymemtrace", *args], cwd=folder, capture_output=True, timeout=TIMEOUT, env=environment()
    )
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), said
    assert said.startswith("pymemtrace") and said.count("\n") == 1 and all(word in said for word in words), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    "args, words",
    [
        (["secret.py"], ["'secret.py'", "Permission denied"]),
        (["-o", "locked/x.log", "good.py"], ["locked/x.log", "Permission denied"]),
        (["-f", "-o", "locked/old.log", "good.py"], ["locked/old.log", "Permission denied"]),
        (["-o", "locked/new/", "good.py"], ["locked/new", "Permission denied"]),
        (["good.py"], [".log", "Permission denied"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_no_permission(folder: Path, args: list[str], words: list[str]) -> None:
    # GIVEN files that only root may read and folders that only root may write, and a process that is not root
    (folder / "secret.py").write_text("print('it ran')\n")
    (folder / "secret.py").chmod(0o600)
    (folder / "locked").mkdir(mode=0o755)
    (folder / "locked" / "old.log").write_text("worth keeping\n")
    before = snapshot(folder)
    start = (
        "import importlib.util, io, linecache, os, sys, time, pymemtrace.commands.run\n"
        "from pymemtrace import commands\n"
        f"os.chdir({str(folder)!r})\n"
        "os.setegid(65534)\nos.seteuid(65534)\n"
        f"sys.exit(commands.main(['run', *{args!r}]))\n"
    )
    for parent in (folder, *folder.parents):  # pytest's folders are for root only
        if parent.stat().st_mode & 0o005 != 0o005 and parent.owner() == "root" and "pytest" in str(parent):
            parent.chmod(parent.stat().st_mode | 0o055)
    # WHEN
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, timeout=TIMEOUT, env=environment())
    # THEN
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), said
    assert said.startswith("pymemtrace run: ") and said.count("\n") == 1, said
    assert all(word in said for word in words), said
    assert snapshot(folder) == before
