"""The tests on every CPython 3.9 to 3.13 of this machine: `nox`, or `make test-all`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
NOT_FOR_TESTS = {"nox", "ruff", "mypy", "selenium"}  # selenium is for tests that run once only
PARALLEL = ("--numprocesses=3",)
DONE = os.environ.get("PYMEMTRACE_TESTED", "")  # a version whose tests have been run: left out
USABLE = """
import os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
print(sys.implementation.name == "cpython" and os.path.exists(header), "%d.%d" % sys.version_info[:2])
"""

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True


def usable(path: Path, version: str) -> bool:
    """Is it a CPython of that version with its headers? A shim may be on the PATH and answer with an error."""
    try:
        done = subprocess.run([path, "-c", USABLE], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split() == ["True", version]


def candidates(version: str) -> list[Path]:
    """On the PATH first, then where pyenv keeps its own, the latest first; last the one that runs nox."""
    found = [Path(path) for path in [shutil.which(f"python{version}")] if path]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = [path for path in root.glob(f"versions/{version}.*") if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    kept.sort(key=lambda path: int(path.name.rpartition(".")[2]), reverse=True)
    return [*found, *(path / "bin" / f"python{version}" for path in kept), Path(sys.executable)]


def interpreters() -> dict[str, str]:
    """Version and path, of those that are here."""
    found = {}
    for version in VERSIONS:
        if version == DONE:
            continue
        path = next((path for path in candidates(version) if usable(path, version)), None)
        if path is not None:
            found[version] = str(path)
    return found


def requirements() -> list[str]:
    """What the tests need: the development tools less those that do not test."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    return [need for need in extras["dev"] if re.split(r"[^\w-]", need)[0] not in NOT_FOR_TESTS]


EACH_PYTHON = [nox.param(path, id=version) for version, path in interpreters().items()]


@nox.session
@nox.parametrize("python", EACH_PYTHON)
def tests(session: nox.Session) -> None:
    """Build for this version, run all tests but those that need to run once only."""
    session.install("--upgrade", "setuptools>=77")
    session.install("--no-build-isolation", "--editable", ".", *requirements())
    session.run("python", "setup.py", "--quiet", "build_ext", "--inplace")
    session.run("python", "-m", "pytest", *PARALLEL, "-m", "not slow_once", "-p", "no:cacheprovider", *session.posargs)


@nox.session
@nox.parametrize("python", EACH_PYTHON)
def cpython(session: nox.Session) -> None:
    """CPython's own tests without and with the recorder: `make test-cpython`."""
    session.install("--upgrade", "setuptools>=77")
    session.install("--no-build-isolation", "--editable", ".")
    session.run("python", "setup.py", "--quiet", "build_ext", "--inplace")
    session.chdir("tests")
    session.run("python", "-m", "cpython.compare", *session.posargs)
