"""Strings and JSON: records written, read back, cut up, joined and searched. C calls of all lengths."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "12K"
QUICK = "500"
WORD = re.compile(r"[a-z]+[0-9]*")


def record(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"record {number} of many",
        "tags": ["first", "second", f"tag{number % 7}"],
        "values": [number * 0.5 + step for step in range(10)],
    }


def handle(number: int) -> int:
    """Bytes and words of one record, after some ways through text."""
    text = json.dumps(record(number), sort_keys=True)
    back = json.loads(text)
    line = ";".join([back["name"].upper(), *back["tags"], *map(str, back["values"])])
    cells = [cell.strip().replace(".", ",") for cell in line.split(";")]
    return len(line.encode("utf-8")) + len(cells) + len(WORD.findall(text))


def prepare(folder: Path, size: str) -> None:
    """The size is the number of records."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)
    return lambda: sum(handle(number) for number in range(count))
