"""Files of samples, by nothing but json: what the reader of the package is not tested with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = [
    "pymemtrace", "format", "version", "scope", "command", "python", "pid", "parent", "host", "start", "time",
    "interval", "pss_interval", "page_size",
]  # fmt: skip
KEYS = [
    "time", "pid", "rss", "peak_rss", "anon", "file", "shmem", "vms", "minor_faults", "major_faults", "user", "system",
    "threads",
]  # fmt: skip


@dataclass
class File:
    header: dict[str, Any]
    lines: list[dict[str, Any]]  # all that follow
    torn: bytes  # what follows the last line end
    samples: list[dict[str, Any]] = field(default_factory=list)
    markers: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.samples = [line for line in self.lines if "rss" in line]
        self.markers = [line for line in self.lines if "marker" in line]

    @property
    def missed(self) -> int:
        return sum(line.get("missed", 0) for line in self.samples)


def read(path: Path) -> File:
    """The file. Fails where a line is not one by docs/samples.md, or time falls."""
    *whole, torn = path.read_bytes().split(b"\n")
    header, *lines = [json.loads(line.decode("utf-8")) for line in whole]
    assert list(header) == HEADER and header["format"] == "samples" and header["version"] == 1
    last = header["time"]
    peak = 0
    for line in lines:
        assert line["time"] >= last and line["pid"] == header["pid"]
        last = line["time"]
        if "marker" in line:
            assert list(line) == ["time", "pid", "marker"]
            continue
        assert [key for key in line if key not in ("pss", "uss", "missed")] == KEYS
        assert line["rss"] == line["anon"] + line["file"] + line["shmem"] <= line["peak_rss"]
        assert line["peak_rss"] >= peak and ("pss" in line) == ("uss" in line)
        peak = line["peak_rss"]
    return File(header, lines, torn)


def gaps(file: File) -> list[float]:
    """Seconds between each two samples."""
    times = [sample["time"] for sample in file.samples]
    return [after - before for before, after in zip(times, times[1:])]
