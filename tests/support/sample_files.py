"""Files of samples: written by hand, and read as docs/samples.md says, with json alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MIB = 2**20
HEADER = {
    "pymemtrace": "0.1.0", "format": "samples", "version": 1, "scope": "self", "command": ["/bin/python3", "job.py"],
    "python": "3.11.7", "pid": 10, "parent": 1, "host": "vm", "start": "2026-11-22T12:00:00.500000+00:00",
    "time": 0.5, "interval": 0.1, "pss_interval": 1, "page_size": 4096,
}  # fmt: skip


def sample(time: float, mib: float, **more: Any) -> dict[str, Any]:
    rss = int(mib * MIB)
    return {"time": time, "pid": 10, "rss": rss, "peak_rss": rss, "user": time / 2, "system": 0.0, "threads": 2, **more}


def write(path: Path, lines: Iterable[Mapping[str, Any] | bytes], **header: Any) -> Path:
    """A header, and lines: objects, or bytes as they are."""
    each = [{**HEADER, **header}, *lines]
    path.write_bytes(b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in each))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Whole lines, the header first."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
