"""The example program: reads a folder of LAS well logs, summarises them, writes HTML. About 1.8 events a byte."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "las_to_html"
NEEDS = ("numpy",)
SIZES = {"small": "300K", "medium": "2.4M", "large": "9.6M"}
FULL = SIZES["medium"]  # in the small one the first sight of each function weighs more
QUICK = "100K"
SEED = "1"


def prepare(folder: Path, size: str) -> None:
    """LAS files of `size` in all, the same each time. Raises: ValueError with what generate.py says."""
    command = [sys.executable, str(EXAMPLE / "generate.py"), str(folder), "--size", size, "--seed", SEED]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["generate.py failed"]
        raise ValueError(f"case las_to_html: {said[-1].rpartition('--size: ')[2]}")


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    sys.path.insert(0, str(EXAMPLE))
    las_to_html = importlib.import_module("las_to_html")
    argv = [str(folder), str(scratch)]

    def work() -> None:
        status = las_to_html.main(argv)
        if status:
            raise RuntimeError(f"las_to_html ended with {status}")

    return work
