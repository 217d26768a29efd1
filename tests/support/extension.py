"""Builds the C extensions of the tests with the compiler that built this Python."""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "extensions"


def build(name: str, folder: Path) -> Path:
    """Build tests/extensions/NAME.c into `folder`; returns `folder`. Skips the test where there is no compiler."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [
        *compiler,
        "-O1",
        "-shared",
        "-fPIC",
        "-pthread",
        f"-I{sysconfig.get_path('include')}",
        str(SOURCES / f"{name}.c"),
        "-o",
        str(folder / f"{name}{suffix}"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip(f"no C compiler {compiler[0]!r}")
    assert done.returncode == 0, done.stderr
    return folder
