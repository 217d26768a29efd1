"""What is in a page of `flamegraph`: its data, checked for what all must hold; and a capture of hostile names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support import capture_builder as build
from support.capture_builder import Builder, Step

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
REST = 3  # kind of a row

# Each would set window.hacked, were it taken for HTML or script.
NAMES = [
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=2</script>",
    '<img src=x onerror="window.hacked=3">',
    '"><svg onload=window.hacked=4>',
    '<a href="javascript:window.hacked=5">x</a>',
    "<!-- <script>",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eright to left\u2066",
    "\udc80\ud800 lone",
    "\u2028line\r\nend\0",
    "%{customdata} $x^2$ &lt;b&gt; ${window.hacked=6}",
    "__proto__",
    "x" * 5000,
    "\u05d0\u05d1\u05d2",
]


def hostile(path: Path) -> Path:
    """A capture in which each of NAMES is called by the one before; each takes a page."""
    definitions = b""
    for number, name in enumerate(NAMES):
        definitions += build.define_code(number + 1, 1, f"/{name}.py", name)
        definitions += build.define_site(16 + 2 * number, number + 1, build.CALL, 1)
        definitions += build.define_site(17 + 2 * number, number + 1, build.RETURN, 2)
    definitions += build.define_thread(0, 7, NAMES[0]) + build.define_thread(1, 8, NAMES[1])
    steps = [Step(16 + 2 * number, 100, 1 if number else 1000) for number in range(len(NAMES))]
    steps += [Step(17 + 2 * number, 100, 1) for number in reversed(range(len(NAMES)))]
    steps += [Step(16, 5, 0, thread=1), Step(17, 5, 3, thread=1)]
    keys = {"pymemtrace": "0.1.0", "pid": "7", "log": "all", "command": ascii(NAMES[1])}
    path.write_bytes(Builder(definitions=definitions, keys=keys).build(steps))
    return path


def data_of(text: str) -> dict[str, Any]:
    """The page's data. Columns are of one length, parents stand before their children, strings are there."""
    (found,) = DATA.findall(text)
    data: dict[str, Any] = json.loads(found)
    rows, strings = data["rows"], data["strings"]
    assert len({len(column) for column in rows.values()}) == 1
    assert rows["parent"][0] == 0 and all(parent < row for row, parent in enumerate(rows["parent"]) if row)
    assert all(0 <= one < len(strings) for column in ("name", "file") for one in rows[column])
    for line in data["timelines"]:
        columns = [line[name] for name in ("t", "rss", "temporary", "thread", "row", "deeper")]
        assert len({len(column) for column in columns}) == 1
        assert line["t"] == sorted(line["t"]) and all(0 <= row < len(rows["parent"]) for row in line["row"])
    return data


def names_of(data: dict[str, Any], row: int) -> tuple[str, ...]:
    """From the outermost function to this one."""
    found = []
    while row:
        found.append(data["strings"][data["rows"]["name"][row]])
        row = data["rows"]["parent"][row]
    return tuple(reversed(found))
