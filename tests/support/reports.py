"""What a report says, out of the text that it has written: one reader for each, which shares no code with the package.

A new report gets a line in OWN_NET, and in OF_PATHS or OF_FUNCTIONS: then test_reports.py holds it to the truth.
"""

from __future__ import annotations

import csv
import pstats
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pymemtrace.commands import main
from support import page

Path_ = tuple[str, ...]  # of functions, the outermost first

COLUMNS = 8  # numbers in a row of the tree
COLUMNS_OF_ROWS = 3  # of a log that has not every event: net own, growth own, peak


def write(name: str, path: Path, *options: str) -> str:
    """What the command writes into a file."""
    target = path.with_name(f"{path.name}.{name}")
    assert main([name, str(path), "-f", "-o", str(target), *options]) == 0
    text = target.read_text("utf-8")
    target.unlink()
    return text


def number(text: str) -> int:
    return int(text.replace(",", ""))


# --- table -----------------------------------------------------------------------------------------------------------


def table(path: Path, *options: str) -> list[dict[str, str]]:
    """Its rows as dicts."""
    return list(csv.DictReader(write("table", path, "--csv", *options).splitlines()))


def own_of_table(path: Path) -> int:
    return sum(int(row["net_own_bytes"]) for row in table(path))


def own_of_short_table(path: Path) -> int:
    """With a limit: the last of the rows has the rest."""
    return sum(int(row["net_own_bytes"]) for row in table(path, "--limit", "3"))


def own_of_modules(path: Path) -> int:
    return sum(int(row["net_own_bytes"]) for row in table(path, "--by", "module"))


def own_of_lines(path: Path) -> int:
    return sum(int(row["net_own_bytes"]) for row in table(path, "--by", "line"))


def own_of_printed_table(path: Path) -> int:
    """Of the text for people: its last row is the total."""
    rows = write("table", path, "--limit", "5").split("\n\n")[1].splitlines()[1:]
    net = [number(row.split()[0]) for row in rows]
    assert rows[-1].endswith("  total") and net[-1] == sum(net[:-1])
    return net[-1]


def functions_of_table(path: Path) -> dict[str, tuple[int, int, int]]:
    """Own net, total net, calls; of functions with one name together."""
    found: dict[str, tuple[int, int, int]] = {}
    for row in table(path):
        had = found.get(row["name"], (0, 0, 0))
        now = (int(row["net_own_bytes"]), int(row["net_total_bytes"]), int(row["calls"]))
        found[row["name"]] = (had[0] + now[0], had[1] + now[1], had[2] + now[2])
    return found


# --- tree ------------------------------------------------------------------------------------------------------------


def tree(path: Path, *options: str) -> list[tuple[Path_, list[str]]]:
    """Its rows: names from the outermost on, and the numbers."""
    lines = write("tree", path, *options).split("\n\n")[1].splitlines()
    columns = COLUMNS if lines[0].split()[:4] == ["net", "own", "net", "total"] else COLUMNS_OF_ROWS
    if columns == COLUMNS_OF_ROWS:
        assert lines[0].split()[:-1] == ["net", "own", "growth", "own", "peak"]
    numbers = r" *" + r" +".join([r"(\S+)"] * columns)
    row = re.compile(numbers + r"  (?P<level>(?:  )*)(?P<name>\S.*?)(?:  (?P<where>\S.*))?")
    found: list[tuple[Path_, list[str]]] = []
    names: list[str] = []
    for line in lines[1:]:
        match = row.fullmatch(line)
        assert match is not None, line
        del names[len(match["level"]) // 2 :]
        names.append(match["name"])
        found.append((tuple(names), list(match.groups()[:columns])))
    return found


def own_of_tree(path: Path, *options: str) -> int:
    rows = tree(path, *options)
    own = sum(number(numbers[0]) for _, numbers in rows)
    names, of_all = rows[0]
    assert names == ("<all>",) and (len(of_all) < COLUMNS or own == number(of_all[1]))
    return own


def own_of_short_tree(path: Path) -> int:
    return own_of_tree(path, "--limit", "3")


def own_of_module_tree(path: Path) -> int:
    return own_of_tree(path, "--by", "module", "--limit", "0")


def own_of_filtered_tree(path: Path) -> int:
    return own_of_tree(path, "--filter", "main")


def paths_of_tree(path: Path) -> dict[Path_, tuple[int, int]]:
    """Own net and calls; recursion is folded in it."""
    found: dict[Path_, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for names, numbers in tree(path, "--limit", "0"):
        if names[-1].startswith("... "):
            continue
        key = tuple(name.replace(" (recursive)", "") for name in names[1:])
        found[key] = (found[key][0] + number(numbers[0]), found[key][1] + number(numbers[5]))
    return dict(found)


# --- export ----------------------------------------------------------------------------------------------------------


def export(to: str, path: Path, *options: str) -> Path:
    """The file that the command writes."""
    target = path.with_name(f"{path.name}.{to}")
    assert main(["export", "--to", to, str(path), "-f", "-o", str(target), *options]) == 0
    return target


def csv_rows(path: Path, *options: str) -> list[dict[str, str]]:
    """Of its contexts."""
    with export("csv", path, *options).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def own_of_csv(path: Path) -> int:
    rows = csv_rows(path)
    assert rows[0]["function"] == "<all>"
    own = sum(int(row["net"]) for row in rows)
    assert own == int(rows[0]["net_inclusive"])
    return own


def paths_of_csv(path: Path) -> dict[Path_, tuple[int, int]]:
    return {tuple(row["path"].split(";")): (int(row["net"]), int(row["calls"])) for row in csv_rows(path)[1:]}


def pstats_of(path: Path, *options: str) -> dict[tuple[str, int, str], Any]:
    """As the standard library loads it."""
    return pstats.Stats(str(export("pstats", path, *options))).stats  # type: ignore[attr-defined,no-any-return]


def own_of_pstats(path: Path) -> int:
    found = pstats_of(path, "--measure", "net")
    own = sum(figures[2] for figures in found.values())
    assert [figures[3] for name, figures in found.items() if name[2].startswith("<all: ")] == [own]
    return int(own)


def functions_of_pstats(path: Path) -> dict[str, tuple[int, int, int]]:
    """As those of the table."""
    found: dict[str, tuple[int, int, int]] = {}
    for (_, _, name), (_, calls, own, total, _) in pstats_of(path, "--measure", "net").items():
        had = found.get(name, (0, 0, 0))
        found[name] = (had[0] + own, had[1] + total, had[2] + calls)
    return found


def callers_of_pstats(path: Path, function: str) -> dict[str, tuple[int, int, int]]:
    """What it did for each of its callers: own net, total net, calls."""
    found: dict[str, tuple[int, int, int]] = {}
    for (_, _, name), figures in pstats_of(path, "--measure", "net").items():
        if name == function:
            for (_, _, caller), (calls, _, own, total) in figures[4].items():
                had = found.get(caller, (0, 0, 0))
                found[caller] = (had[0] + own, had[1] + total, had[2] + calls)
    return found


def growth_of_stacks(path: Path, *options: str) -> dict[Path_, int]:
    """Of collapsed stacks, by names of functions."""
    found: dict[Path_, int] = defaultdict(int)
    for line in export("collapsed", path, *options).read_text("utf-8").splitlines():
        stack, _, value = line.rpartition(" ")
        found[tuple(frame.partition(" (")[0] for frame in stack.split(";"))] += int(value)
    return dict(found)


# --- flamegraph ------------------------------------------------------------------------------------------------------


def own_of_page(path: Path, *options: str) -> int:
    rows = page.data_of(write("flamegraph", path, *options))["rows"]
    return sum(rows["up"]) + sum(rows["down"])


def own_of_short_page(path: Path) -> int:
    return own_of_page(path, "--limit", "3")


def paths_of_page(path: Path) -> dict[Path_, tuple[int, int]]:
    found: dict[Path_, tuple[int, int]] = defaultdict(lambda: (0, 0))
    data = page.data_of(write("flamegraph", path))
    rows = data["rows"]
    for row in range(1, len(rows["parent"])):
        if rows["kind"][row] != page.REST:
            had, key = found[page.names_of(data, row)], page.names_of(data, row)
            found[key] = (had[0] + rows["up"][row] + rows["down"][row], had[1] + rows["calls"][row])
    return dict(found)


# --- all of them -----------------------------------------------------------------------------------------------------

# Name, and what gives the sum of its own net figures, special rows included, in bytes: of any recording.
OWN_NET: Sequence[tuple[str, Callable[[Path], int]]] = [
    ("table", own_of_table),
    ("table --limit", own_of_short_table),
    ("table --by module", own_of_modules),
    ("table --by line", own_of_lines),
    ("table as text", own_of_printed_table),
    ("tree", own_of_tree),
    ("tree --limit", own_of_short_tree),
    ("tree --by module", own_of_module_tree),
    ("export csv", own_of_csv),
    ("export pstats", own_of_pstats),
    ("flamegraph", own_of_page),
    ("flamegraph --limit", own_of_short_page),
]
# Name, what gives own net bytes and calls by path, and whether recursion is folded in it.
OF_PATHS: Sequence[tuple[str, Callable[[Path], dict[Path_, tuple[int, int]]], bool]] = [
    ("tree", paths_of_tree, True),
    ("export csv", paths_of_csv, False),
    ("flamegraph", paths_of_page, False),
]
# Name, and what gives own net bytes, total net bytes and calls by function.
OF_FUNCTIONS: Sequence[tuple[str, Callable[[Path], dict[str, tuple[int, int, int]]]]] = [
    ("table", functions_of_table),
    ("export pstats", functions_of_pstats),
]
