"""hook/sitecustomize.py beside a package that stands in for ours: what it does to an interpreter that starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import pythons

HOOK = Path(__file__).resolve().parents[2] / "pymemtrace" / "hook" / "sitecustomize.py"
STAND_IN = """
import os, sys
def join(value, callers, unwanted):
    print("joined", value, [code.co_name for code in callers], unwanted(), *[p for p in sys.path if "stand" in p])
    exec(os.environ.get("THEN", ""))
"""
SHOW = (
    "import sys; print([p for p in sys.path[1:]]); print(sorted(sys.modules)); print(sorted(sys.path_importer_cache))"
)


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """The folder of the hook in a package that stands in for ours."""
    package = tmp_path / "stand" / "pymemtrace"
    folder = package / "hook"
    folder.mkdir(parents=True)
    shutil.copy(HOOK, folder)
    (package / "__init__.py").touch()
    (package / "joining.py").write_text(STAND_IN)
    (package / f"cPyMemTrace{sysconfig.get_config_var('EXT_SUFFIX')}").touch()
    return folder


def python(*args: str, executable: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYMEMTRACE"))}
    clean["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [executable, *args], capture_output=True, text=True, timeout=60, env={**clean, **env}, stdin=subprocess.DEVNULL
    )
    return done


def sitecustomize(folder: Path, source: str) -> Path:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(source)
    return folder


def same(hook: Path, *args: str, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """With the hook and without: status and all that is said. Returns it."""
    with_hook = f"{hook}{os.pathsep}{path}" if path else str(hook)
    native = python(*args, **env, **({"PYTHONPATH": path} if path else {}))
    hooked = python(*args, **env, PYTHONPATH=with_hook)
    assert (hooked.returncode, hooked.stdout, hooked.stderr) == (native.returncode, native.stdout, native.stderr)
    return native


def test_nothing_is_seen_of_it(hook: Path) -> None:
    # sys.modules has `sitecustomize` only where there is one
    assert "'site'" in same(hook, "-W", "error", "-c", SHOW).stdout


def test_order_of_the_users_own_path(hook: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(tmp_path / "b"), str(tmp_path / "a"), str(tmp_path / "b")])
    assert str(tmp_path / "a") in same(hook, "-c", SHOW, path=path).stdout


def test_users_own_runs_once_and_sees_what_it_would(hook: Path, tmp_path: Path) -> None:
    # GIVEN
    own = sitecustomize(
        tmp_path / "own",
        "import sys\nprint('own', __name__, __file__, __spec__.name, sys.path, sorted(sys.modules), vars().keys())\n"
        "x = 5\nassert sys.modules[__name__].__dict__ is globals()\n",
    )
    # WHEN
    native = same(hook, "-c", "import sitecustomize; print(sitecustomize.x, sitecustomize)", path=str(own))
    # THEN
    assert native.stdout.count("own sitecustomize") == 1 and "5 <module 'sitecustomize'" in native.stdout


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0",
        "raise ImportError('of another')",
        "import nothing_of_this_name",
        "raise KeyError",
        "def",
    ],
)
def test_users_own_that_fails(hook: Path, tmp_path: Path, source: str) -> None:
    same(hook, "-c", "print(1)", path=str(sitecustomize(tmp_path / "own", source)))


def test_users_own_that_exits(hook: Path, tmp_path: Path) -> None:
    own = sitecustomize(tmp_path / "own", "import sys; sys.exit(3)")
    native = python("-c", "print(1)", PYTHONPATH=str(own))
    hooked = python("-c", "print(1)", PYTHONPATH=f"{hook}{os.pathsep}{own}")
    # the interpreter shows a traceback, in which our frames are
    assert (hooked.returncode, hooked.stdout) == (native.returncode, native.stdout)
    assert hooked.stderr.splitlines()[-1] == native.stderr.splitlines()[-1] == "SystemExit: 3"


def test_usercustomize_comes_after(hook: Path, tmp_path: Path) -> None:
    own = sitecustomize(tmp_path / "own", "print('site')")
    (own / "usercustomize.py").write_text("print('user')")
    assert same(hook, "-c", "pass", path=str(own)).stdout in ("site\nuser\n", "site\n")  # a venv has no user's site


@pytest.mark.parametrize("source", [None, "print('own')", "raise KeyError"])
def test_joins_last_of_all(hook: Path, tmp_path: Path, source: str | None) -> None:
    # GIVEN
    path = f"{hook}" if source is None else f"{hook}{os.pathsep}{sitecustomize(tmp_path / 'own', source)}"
    # WHEN
    done = python("-c", "print('program')", PYTHONPATH=path, PYMEMTRACE="-o x")
    # THEN with the package that is beside it, and its folder not on the path
    said = done.stdout.splitlines()
    assert said[-2:] == ["joined -o x ['_join', '_hook', '<module>'] False", "program"]
    assert said[:-2] == (["own"] if source == "print('own')" else [])
    assert done.returncode == 0 and ("KeyError" in done.stderr) == (source == "raise KeyError")


def test_leaves_no_folder_on_the_path(hook: Path) -> None:
    done = python("-c", SHOW, PYTHONPATH=str(hook), PYMEMTRACE="-o x")
    path, _, cache = done.stdout.splitlines()[1:]
    assert str(hook.parent.parent) not in path.replace("'", '"') and f"'{hook}'" not in cache
    assert f"'{hook.parent.parent}'" not in cache


@pytest.mark.parametrize("then", ["raise OSError('gone')", "1 / 0", "raise MemoryError"])
def test_what_goes_wrong_is_noted_and_hurts_nobody(hook: Path, tmp_path: Path, then: str) -> None:
    # GIVEN
    family = tmp_path / "family"
    family.write_text("before\n")
    # WHEN
    done = python(
        "-c", "import os; print(os.getpid())", PYTHONPATH=str(hook), PYMEMTRACE=f"-o x --family {family}", THEN=then
    )
    # THEN
    assert (done.returncode, done.stderr) == (0, "")
    pid, parent, reason = family.read_text().splitlines()[1].split("\t")
    assert pid == done.stdout.split()[-1] and parent == str(os.getpid())
    assert "cannot join" in reason and sys.executable in reason


@pytest.mark.parametrize("value", ["-o x", "--family /nowhere/family", "--family ", "--family /dev/full"])
def test_what_cannot_be_noted_is_not(hook: Path, value: str) -> None:
    done = python("-c", "print(1)", PYTHONPATH=str(hook), PYMEMTRACE=value, THEN="1 / 0")
    assert (done.returncode, done.stdout[-2:], done.stderr) == (0, "1\n", "")


def test_a_family_file_is_never_made(hook: Path, tmp_path: Path) -> None:
    python("-c", "1", PYTHONPATH=str(hook), PYMEMTRACE=f"--family {tmp_path / 'family'}", THEN="1 / 0")
    assert not (tmp_path / "family").exists()


@pytest.mark.parametrize("options", [["-E"], ["-I"], ["-S"]])
def test_not_seen(hook: Path, options: list[str]) -> None:
    done = python(*options, "-c", "print(1)", PYTHONPATH=str(hook), PYMEMTRACE="-o x")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_without_the_variable_nothing_is_loaded(hook: Path) -> None:
    done = python("-c", "import sys; print('pymemtrace' in sys.modules)", PYTHONPATH=str(hook))
    assert done.stdout == "False\n"


@pytest.mark.parametrize("other", pythons.others(), ids=pythons.version)
def test_another_python(hook: Path, tmp_path: Path, other: str) -> None:
    # GIVEN a Python for which the extension is not built, with a sitecustomize of its user
    family = tmp_path / "family"
    family.touch()
    own = sitecustomize(tmp_path / "own", "print('own')")
    # WHEN
    done = python(
        "-c",
        "import sys; print([p for p in sys.path if 'hook' in p])",
        executable=other,
        PYTHONPATH=f"{hook}{os.pathsep}{own}",
        PYMEMTRACE=f"-o 'a b' --family {family}",
    )
    # THEN a line for the run, and nothing else
    assert (done.returncode, done.stdout, done.stderr) == (0, "own\n[]\n", "")
    (line,) = family.read_text().splitlines()
    assert line.split("\t")[1] == str(os.getpid())
    assert line.endswith(f"pymemtrace is not built for this Python, CPython {pythons.version(other)} at {other}")


def test_a_sub_interpreter_is_no_process(hook: Path, tmp_path: Path) -> None:
    # GIVEN a program with sub-interpreters, in which nothing can be recorded
    family = tmp_path / "family"
    family.touch()
    program = (
        "import os\nos.environ['THEN'] = '1 / 0'\n"
        "try:\n    import _interpreters as i\nexcept ImportError:\n    import _xxsubinterpreters as i\n"
        "made = i.create()\ni.run_string(made, 'import sys; print(1)')\ni.destroy(made)\n"
    )
    # WHEN
    done = python("-c", program, PYTHONPATH=str(hook), PYMEMTRACE=f"--family {family}")
    # THEN nobody says that its process is not recorded
    assert done.returncode == 0, done.stderr
    said = sorted(word for word in done.stdout.split() if word in ("joined", "1"))  # each has a buffer of its own
    assert said == ["1", "joined", "joined"]
    assert family.read_text() == ""
