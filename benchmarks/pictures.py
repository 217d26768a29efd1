"""The six plots of the published technical note, RSS and CPU against time, of our example: for docs/plots.md.

Each is a run of its own with the sampler beside it. What the recorder logged is drawn over the samples.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.progress import Progress
from benchmarks.rounds import ROOT, run_child

EXAMPLE = ROOT / "examples" / "las_to_html"
FOLDER = ROOT / "docs" / "plots"
INTERVAL = "0.02"
SIZE = "2.4M"  # of the input
LOG_BYTES = 3 * 10**9  # that the log of every event may take
TIMEOUT = 900.0


@dataclass(frozen=True)
class Picture:
    """options: of `run`; None: without recording."""

    name: str
    options: tuple[str, ...] | None


PICTURES = (
    Picture("untraced", None),
    Picture("nothing", ("--log", "none", "--compute", "nothing")),
    Picture("rss", ("--log", "none", "--compute", "rss")),
    Picture("computed", ("--log", "none")),
    Picture("threshold", ("--log", "threshold")),
    Picture("all", ("--log", "all")),
)


def commands(picture: Picture) -> tuple[list[str], list[str]]:
    """Of the run, and of the plot: arguments of `python -m pymemtrace`, in a folder with the program and its input."""
    name, program = picture.name, ["las_to_html.py", "logs", "pages"]
    if picture.options is None:
        run = ["sample", "-q", "-i", INTERVAL, "-o", f"{name}.rss", *program]
    else:
        run = ["run", "-q", *picture.options, "--sample", INTERVAL, "-o", f"{name}.log", *program]
    logged = picture.options is not None and picture.options[1] != "none"
    return run, ["plot", f"{name}.rss", *([f"{name}.log"] if logged else []), "-o", f"{name}.svg"]


def draw(folder: Path, output: Path = FOLDER, size: str = SIZE, wanted: Sequence[Picture] = PICTURES) -> list[Path]:
    """Run and draw. Returns the pictures. Raises: ValueError without room; RuntimeError with what a process said."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if free < LOG_BYTES:
        raise ValueError(f"{folder}: the log of every event may take {LOG_BYTES:,d} bytes, {free:,d} are free")
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, folder)
    _run(["generate.py", "logs", "--size", size, "--seed", "1"], folder)
    output.mkdir(parents=True, exist_ok=True)
    _run(["las_to_html.py", "logs", "pages"], folder)  # compiles, and fills the page cache
    done = []
    progress = Progress(len(wanted))
    for picture in wanted:
        progress.say(picture.name)
        for arguments in commands(picture):
            _run(["-m", "pymemtrace", *arguments], folder)
        drawn = output / f"{picture.name}.svg"
        shutil.copy(folder / drawn.name, drawn)
        done.append(drawn)
        for path in (*folder.glob("*.log"), *folder.glob("*.rss")):
            path.unlink()
    progress.done()
    shutil.rmtree(folder, ignore_errors=True)
    return done


def _run(arguments: list[str], folder: Path) -> None:
    # Modules are compiled once, by the run that is not drawn: "" is as if it were not set.
    extra = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    run_child(arguments, " ".join(arguments), TIMEOUT, folder=folder, extra=extra)
