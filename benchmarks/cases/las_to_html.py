"""The example program: reads a folder of LAS well logs, summarises them, writes HTML. About 2.4 events a byte."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "las_to_html"
FULL = "2.4M"
QUICK = "300K"
SEED = "1"


def prepare(folder: Path, size: str) -> None:
    """LAS files of `size` in all, the same each time."""
    command = [sys.executable, str(EXAMPLE / "generate.py"), str(folder), "--size", size, "--seed", SEED]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    sys.path.insert(0, str(EXAMPLE))
    las_to_html = importlib.import_module("las_to_html")
    argv = [str(folder), str(scratch)]

    def work() -> None:
        status = las_to_html.main(argv)
        if status:
            raise RuntimeError(f"las_to_html ended with {status}")

    return work
