"""Measurements in files: as JSON, all runs of them. What is checked in lies in benchmarks/results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.rounds import Measurement

FOLDER = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class File:
    """Of one run of the benchmarks, or of `scaling`: then its case is `shape` throughout."""

    name: str
    measurements: tuple[Measurement, ...]

    @property
    def date(self) -> str:
        """When it was begun, UTC, in an order that sorts; empty for files from before it was kept."""
        return min((found.environment.get("date", "") for found in self.measurements), default="")

    @property
    def python(self) -> str:
        """Such as 3.11."""
        return environment.python_version(self.measurements[0].environment) if self.measurements else ""


def as_json(kind: str, measurements: Sequence[Measurement]) -> dict[str, Any]:
    return {"kind": kind, "measurements": [found.as_json() for found in measurements]}


def write(path: Path, content: str) -> None:
    """Whole or not at all: an interrupted measurement must not cost the file of what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(content, encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def dump(data: dict[str, Any]) -> str:
    """A line a run: a file of hundreds of them is still one that can be read and compared."""
    compact = json.JSONEncoder(ensure_ascii=False).encode
    if "measurements" not in data:
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    shown = []
    for found in data["measurements"]:
        runs = ",\n   ".join(compact(run) for run in found["runs"])
        head = compact({name: value for name, value in found.items() if name != "runs"})[:-1]
        shown.append(f'  {head},\n   "runs": [\n   {runs}]}}')
    return f'{{"kind": {compact(data["kind"])}, "measurements": [\n' + ",\n".join(shown) + "\n]}\n"


def load(path: Path) -> File:
    """Raises: ValueError, one sentence, for what cannot be read or holds no measurements."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        # One measurement alone is what the benchmarks wrote at first.
        found = [Measurement.from_json(one) for one in data.get("measurements", [data])]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} has no measurements of `python -m benchmarks run` or `scaling`") from None
    return File(path.name, tuple(found))


def load_folder(folder: Path = FOLDER) -> list[File]:
    """The files of `run` and `scaling` in a folder, oldest first; other machines' in `other`. Raises: ValueError."""
    paths = [path for path in folder.glob("*.json") if path.name.startswith(("run", "scaling"))]
    return sorted((load(path) for path in paths), key=lambda file: (file.date, file.name))
