"""Builds and loads the floor: an extension with an empty profile function (floor.c)."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Protocol, cast

NAME = "pmt_floor"
SOURCE = Path(__file__).with_name("floor.c")


class Floor(Protocol):
    """What floor.c offers."""

    def start(self, count: bool = False, /) -> None: ...
    def attach(self, frame: object, event: str, argument: object, /) -> None: ...
    def stop(self) -> int: ...


def library(folder: Path) -> Path:
    """Where the extension for this Python is in `folder`, built there or not."""
    return folder / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(folder: Path) -> Path:
    """The extension for this Python, compiled into `folder` unless it is there and newer than its source.

    Raises: subprocess.CalledProcessError if the compiler fails.
    """
    target = library(folder)
    if target.exists() and target.stat().st_mtime >= SOURCE.stat().st_mtime:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    include = sysconfig.get_path("include")
    command = [*compiler[:1], "-std=c11", "-O2", "-fPIC", "-shared", f"-I{include}", "-o", str(fresh), str(SOURCE)]
    subprocess.run(command, check=True)
    os.replace(fresh, target)
    return target


def load(path: Path) -> Floor:
    """The extension as a module; it is not put into sys.modules."""
    loader = importlib.machinery.ExtensionFileLoader(NAME, str(path))
    spec = importlib.util.spec_from_loader(NAME, loader)
    if spec is None:
        raise ImportError(f"{path} cannot be loaded by {sys.version.split()[0]}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return cast(Floor, module)
