"""Reports of recordings made by hand: every figure, hostile names, other options, and what is said to bad input."""

from __future__ import annotations

import csv
import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import capture_builder as build
from support import child, reports
from support.capture_builder import Builder, Step

import pymemtrace
from pymemtrace.reporters import elided, printable, short_count, short_size, short_time
from pymemtrace.reporters.contexts import Contexts, Frame, matching, of
from pymemtrace.reporters.groups import added_up, module_names, regrouped

PAGE = 4096
COMMANDS = ("table", "tree")
HOSTILE = [
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "n" * 5000,
    "\u202eevil\u202c\u200f\u2066",
    "\ud800lone",
    "[bold]markup[/] :smile:",
    "\u540d\u524d" * 300,
    "a\tb\nc\rd\u2028e",
    "x" + "/d" * 3000,
]


class Program:
    """A capture of calls as they are said: `call` and `back` move in the tree, and growth is of what runs."""

    def __init__(self) -> None:
        self.definitions = build.define_thread(0, 7, "MainThread")
        self.steps: list[Step] = []
        self.numbers: dict[tuple[str, str, bool], int] = {}
        self.stack: list[tuple[str, str, bool]] = []
        self.grown = 0

    def _site(self, function: str, file: str, is_c: bool) -> int:
        key = (function, file, is_c)
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.numbers) + 1
            code = f"caller of {function}" if is_c else function
            self.definitions += build.define_code(number, number, file, code)
            kinds = (build.C_CALL, build.C_RETURN) if is_c else (build.CALL, build.RETURN)
            for at, kind in enumerate(kinds):
                name = function if is_c else ""
                self.definitions += build.define_site(14 + 2 * number + at, number, kind, number, name)
        return 14 + 2 * number

    def _event(self, site: int) -> None:
        self.steps.append(Step(site, 10, self.grown))
        self.grown = 0

    def call(self, function: str, pages: int = 0, file: str = "/job/job.py", is_c: bool = False) -> Program:
        """It grows by so many pages before it calls, or returns."""
        self._event(self._site(function, file, is_c))
        self.stack.append((function, file, is_c))
        self.grown = pages
        return self

    def back(self, pages: int = 0) -> Program:
        """To the caller, who then grows."""
        self._event(self._site(*self.stack.pop()) + 1)
        self.grown = pages
        return self

    def write(self, path: Path) -> Path:
        while self.stack:
            self.back()
        path.write_bytes(Builder(definitions=self.definitions).build(self.steps))
        return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """<module> calls load, which calls itself and read (in C), and index, which gives back."""
    program = Program().call("<module>", 1).call("load", 100).call("read", 50, is_c=True).back(7)
    program.call("load", 20).call("read", 30, is_c=True).back().back(3).back(2)
    program.call("index", 5, "/job/tools/index.py").call("free", -40, "/job/tools/index.py", is_c=True).back().back(1)
    return program.write(tmp_path / "job.pmt")


def rows(path: Path, *options: str) -> dict[str, list[int]]:
    """By name: calls, net own, net total, growth own, growth total in pages."""
    columns = ("net_own_bytes", "net_total_bytes", "growth_own_bytes", "growth_total_bytes")
    return {
        row["name"]: [int(row["calls"]), *(int(row[column] or 0) // PAGE for column in columns)]
        for row in reports.table(path, *options)
    }


# --- figures ---------------------------------------------------------------------------------------------------------


def test_table(capture: Path) -> None:
    assert rows(capture) == {
        "<module>": [1, 4, 179, 4, 219],
        "load": [2, 130, 210, 130, 210],
        "read": [2, 80, 80, 80, 80],
        "index": [1, 5, -35, 5, 5],
        "free": [1, -40, -40, 0, 0],
    }


def test_table_by_line(capture: Path) -> None:
    """C functions count for the Python function that called them."""
    assert rows(capture, "--by", "line") == {
        "<module>": [1, 4, 179, 4, 219],
        "load": [4, 210, 210, 210, 210],
        "index": [2, -35, -35, 5, 5],
    }


@pytest.mark.parametrize(
    ("by", "names"), [("file", ["/job/job.py", "/job/tools/index.py"]), ("module", ["job", "index"])]
)
def test_table_by_file_and_module(capture: Path, by: str, names: list[str]) -> None:
    assert rows(capture, "--by", by) == {names[0]: [5, 214, 179, 214, 219], names[1]: [2, -35, -35, 5, 5]}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["load", "read", "index", "<module>", "free"]),
        (["--sort", "total"], ["load", "<module>", "read", "index", "free"]),
        (["--sort", "name"], ["<module>", "free", "index", "load", "read"]),
        (["--measure", "growth", "--sort", "total"], ["<module>", "load", "read", "index", "free"]),
        (["--sort", "calls", "--limit", "2"], ["load", "read", "... 3 more rows"]),
        (["--limit", "3"], ["load", "read", "free", "... 2 more rows"]),
        (["--filter", "a"], ["load", "read", "... 3 more rows"]),
        (["--filter", "*/tools/*"], ["index", "free", "... 3 more rows"]),
    ],
)
def test_which_rows_and_in_what_order(capture: Path, options: list[str], names: list[str]) -> None:
    if "calls" in options or "name" in options:
        assert sorted(rows(capture, *options)) == sorted(names)
    else:
        assert list(rows(capture, *options)) == names
    assert sum(row[1] for row in rows(capture, *options).values()) == 179


def test_tree(capture: Path) -> None:
    got = [(names, [reports.number(text) // PAGE for text in numbers[:2]]) for names, numbers in reports.tree(capture)]
    assert got == [
        (("<all>",), [0, 179]),
        (("<all>", "<module>"), [4, 179]),
        (("<all>", "<module>", "load (recursive)"), [130, 210]),
        (("<all>", "<module>", "load (recursive)", "read"), [80, 80]),
        (("<all>", "<module>", "index"), [5, -35]),
        (("<all>", "<module>", "index", "free"), [-40, -40]),
    ]


def test_tree_folds_what_is_small(tmp_path: Path) -> None:
    # GIVEN a function that calls one that grows much, twelve that grow little, and one that hides a growth and a fall
    program = Program().call("main").call("large", 10_000).back()
    for n in range(12):
        program.call(f"small_{n}", 2).back()
    program.call("even").call("up", 5000).back().call("down", -5000).back().back()
    path = program.write(tmp_path / "job.pmt")
    # WHEN
    names = [names[-1] for names, _ in reports.tree(path)]
    # THEN the small ones are one row, what is even is not small
    assert names == ["<all>", "main", "large", "even", "up", "down", "... 12 more below 1 %"]
    assert [names[-1] for names, _ in reports.tree(path, "--limit", "4")] == [
        "<all>", "main", "large", "even", "... 2 more, 2 of them above 1 %", "... 12 more below 1 %",
    ]  # fmt: skip
    assert reports.own_of_tree(path) == reports.own_of_tree(path, "--limit", "1") == 10_024 * PAGE


def test_tree_opens_the_largest_path_to_its_end(tmp_path: Path) -> None:
    program = Program()
    for n in range(60):
        program.call(f"f{n}", 0 if n < 59 else 100)
    for names, _ in [reports.tree(program.write(tmp_path / "job.pmt"), "--limit", "5")[-1]]:
        assert names[-1] == "f59" and len(names) == 61


def test_mutual_recursion_counts_once(tmp_path: Path) -> None:
    program = Program()
    for _ in range(300):
        program.call("ping", 1).call("pong", 2)
    got = rows(program.write(tmp_path / "job.pmt"))
    assert got == {"ping": [300, 300, 900, 300, 900], "pong": [300, 600, 899, 600, 899]}


def test_filter_keeps_what_is_below_and_what_leads_there(capture: Path) -> None:
    names = {names[-1]: numbers for names, numbers in reports.tree(capture, "--filter", "index*")}
    assert set(names) == {"<all>", "<module>", "index", "free", "<not selected>"}
    assert reports.number(names["<not selected>"][0]) == 214 * PAGE and names["<module>"][0] == "0"


def test_peaks(tmp_path: Path) -> None:
    """Of a function: the largest RSS while it ran, or what it called."""
    program = (
        Program().call("main", 1).call("high", 50).call("give", -50, is_c=True).back().back().call("low", 3).back()
    )
    path = program.write(tmp_path / "job.pmt")
    peaks = {row["name"]: (int(row["peak_own_bytes"]), int(row["peak_total_bytes"])) for row in reports.table(path)}
    first = int(pymemtrace.read(path).figures()["rss_first"])
    high = first + 51 * PAGE
    assert peaks["high"] == (high, high) and peaks["main"][1] == high
    assert peaks["low"] == (first + 4 * PAGE,) * 2


def test_recordings_are_put_together(capture: Path, tmp_path: Path) -> None:
    # GIVEN two processes that share a part of their paths
    other = Program().call("<module>", 9).call("save", 4).back().write(tmp_path / "other.pmt")
    # WHEN
    both = of([pymemtrace.read(capture), pymemtrace.read(other)])
    # THEN
    assert both.change == (179 + 13) * PAGE == sum(both.up) + sum(both.down)
    names = {both.of(number).function: number for number in range(len(both))}
    main = names["<module>"]
    assert both.calls[main] == 2 and both.up[main] == 13 * PAGE
    assert [frame.function for frame in both.path(names["free"])] == ["<module>", "index", "free"]


def test_what_is_made_of_contexts_has_the_same_sums(capture: Path) -> None:
    contexts = of([pymemtrace.read(capture)])
    for made in (
        contexts.fold(),
        contexts.select(matching("read")),
        contexts.select(lambda frame: False),
        *(regrouped(contexts, by) for by in ("function", "file", "module", "line")),
    ):
        for column in ("up", "down", "calls"):
            assert sum(getattr(made, column)) == sum(getattr(contexts, column))
        assert made.change == contexts.change and sum(made.seconds) == pytest.approx(sum(contexts.seconds))


def test_no_recording_has_no_rows() -> None:
    assert added_up(Contexts(), "function") == [] and Contexts().change == 0


# --- modules, patterns, numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/usr/lib/python3.11/json/encoder.py", "json.encoder"),
        ("/usr/lib/python3.13t/json/__init__.py", "json"),
        ("/v/lib/python3.9/site-packages/numpy/core/_methods.py", "numpy.core._methods"),
        ("/usr/lib/python3/dist-packages/apt/cache.py", "apt.cache"),
        ("/job/tools.zip/tools/load.pyc", "tools.load"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
        ("<string>", "<string>"),
        ("/job/job.py", "job"),
        ("/job/package/part/deep.py", "package.part.deep"),
        ("/job/package/part/__init__.py", "package.part"),
        ("/job/__init__/x.py", "x"),
        ("", ""),
        ("/", "/"),
    ],
)
def test_module_names(file: str, name: str) -> None:
    others = ["/job/package/__init__.py", "/job/package/part/__init__.py"]
    assert module_names([file, *others])[file] == name


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("oad", True),
        ("job.py", True),
        ("LOAD", False),
        ("load", True),
        ("loa?", True),
        ("oa*", False),
        ("*/job.py", True),
    ],
)
def test_patterns(pattern: str, matches: bool) -> None:
    assert matching(pattern)(Frame("load", "/job/job.py", 1, False)) is matches


def test_short_numbers() -> None:
    assert [short_size(n) for n in (0, 1, 999, 1000, 4096, 102349, 1 << 20, -(1 << 30), 999 << 20, 1 << 62)] == [
        "0", "1B", "999B", "1.0K", "4.0K", "100K", "1.0M", "-1.0G", "999M", "4.0E",
    ]  # fmt: skip
    assert [short_count(n) for n in (0, 9999, 10_000, 999_999, 10**7, 10**12)] == [
        "0", "9999", "10.0k", "1.0M", "10.0M", "1.0T",
    ]  # fmt: skip
    assert [short_time(s) for s in (0, 83e-6, 0.0012, 0.5, 12.34, 3000, 40_000)] == [
        "0", "83us", "1.2ms", "500ms", "12.3s", "50min", "11.1h",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a", "n" * 5000, "/d" * 3000])
def test_elided(text: str) -> None:
    for width in range(1, 40):
        short = elided(text, width)
        assert len(short) <= width and (short == text or len(short) == width)
        assert width < 8 or short[:2] == text[:2] and short[-2:] == text[-2:]


# --- hostile names ---------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    program = Program()
    for name in HOSTILE:
        program.call(name, 10, f"/{name}.py")
    return program.write(tmp_path / "hostile.pmt")


def is_safe(text: str) -> bool:
    """Nothing that a terminal would obey, or that would turn its lines round."""
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_names_in_text(hostile: Path, command: str) -> None:
    text = reports.write(command, hostile)
    assert is_safe(text)
    for name in HOSTILE:
        assert printable(name) in text


def test_hostile_names_in_csv(hostile: Path) -> None:
    text = reports.write("table", hostile, "--csv")
    assert is_safe(text)
    assert {row["name"] for row in csv.DictReader(text.splitlines())} == set(map(printable, HOSTILE))


def on_terminal(command: Sequence[str], folder: Path, width: int) -> str:
    """What a program writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    env = {**child.environment(), "COLUMNS": str(width), "LINES": "50", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    said = b""
    try:
        while select.select([ours], [], [], 60)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # it has ended
                break
            if not data:
                break
            said += data
        assert process.wait(60) == 0, said
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said.decode("utf-8").replace("\r\n", "\n")


def without_colours(text: str) -> str:
    """Without what rich writes for colours; any other escape stays."""
    parts = text.split("\x1b[")
    for at in range(1, len(parts)):
        numbers, m, rest = parts[at].partition("m")
        if m and all(c.isdigit() or c == ";" for c in numbers):
            parts[at] = rest
        else:
            parts[at] = f"\x1b[{parts[at]}"
    return "".join(parts)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [20, 45, 80, 120, 300])
def test_on_a_terminal(hostile: Path, command: str, width: int) -> None:
    cell_len = pytest.importorskip("rich.cells", reason="rich draws on terminals").cell_len
    text = without_colours(
        on_terminal([sys.executable, "-m", "pymemtrace", command, hostile.name], hostile.parent, width)
    )
    assert is_safe(text)
    assert all(cell_len(line) <= width for line in text.splitlines()), text
    if width >= 120:
        assert "<script>alert(1)</script>" in text and "nn...nn" in text and "[bold]markup[/] :smile:" in text
        assert "\\ud800lone" in text
    if width == 300:
        assert all(printable(name) in text for name in HOSTILE if len(name) < 40)


# --- what a recording cannot tell ------------------------------------------------------------------------------------


def said_below(command: str, path: Path) -> str:
    return " ".join(reports.write(command, path).split("\n\n")[-1].split())


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_capture(tmp_path: Path, command: str) -> None:
    path = tmp_path / "empty.pmt"
    path.write_bytes(Builder().build([]))
    said = said_below(command, path)
    assert said.startswith("All own net figures add up to +0 bytes") and "has no events" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cut_capture(capture: Path, command: str) -> None:
    whole = capture.read_bytes()
    capture.write_bytes(whole[:-20])
    said = said_below(command, capture)
    assert "is cut" in said or "cut there" in said
    assert "figures are of the events before that" in said and "to the byte" in said
    assert "recover" not in said
    (capture.parent / f"{capture.name}.ring").touch()
    assert f"python -m pymemtrace recover {capture}" in said_below(command, capture)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_filtered_log(tmp_path: Path, command: str) -> None:
    path = tmp_path / "job.log"
    with pymemtrace.trace(path, threshold=1 << 20):
        kept = bytearray(30 << 20)
        len(kept)
    text = reports.write(command, path)
    assert "--log threshold" in text and "callers, calls and times are unknown" in " ".join(text.split())
    assert "calls  time" not in text and "to the byte" in text


# --- commands --------------------------------------------------------------------------------------------------------

BAD = [
    ([], ["no file given"]),
    (["missing.pmt"], ["'missing.pmt'", "No such file"]),
    (["job.pmt", "--by", "colour"], ["--by", "'colour'", "function, file, module, line"]),
    (["job.pmt", "--measure", "x"], ["--measure", "growth, net, peak, time, calls"]),
    (["job.pmt", "--sort", "x"], ["--sort", "'x'"]),
    (["job.pmt", "--limit", "-1"], ["--limit", "'-1'"]),
    (["job.pmt", "--limit", "many"], ["--limit", "'many'"]),
    (["job.pmt", "--filter", ""], ["--filter"]),
    (["job.pmt", "--filter", "nowhere"], ["'nowhere'"]),
    (["job.pmt", "-o", ""], ["-o needs a path"]),
    (["job.pmt", "-o", "job.pmt"], ["'job.pmt'", "exists already", "-f"]),
    (["job.pmt", "-o", "none/x"], ["'none/x'", "No such file"]),
    (["job.pmt", "-o", "."], ["'.'", "directory"]),
    (["job.pmt", "--nonsense"], ["'--nonsense'"]),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("args", "said"), BAD, ids=[" ".join(args) for args, _ in BAD])
def test_bad_input(capture: Path, command: str, args: list[str], said: list[str]) -> None:
    folder = capture.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "c").mkdir()
    argv = [sys.executable, "-m", "pymemtrace", command, *args]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, env=child.environment())
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"pymemtrace {command}: ") and done.stderr.count("\n") == 1
    assert all(part in done.stderr for part in said), done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_one_bad_file_of_several(capture: Path) -> None:
    argv = [sys.executable, "-m", "pymemtrace", "table", "missing.pmt", capture.name]
    done = subprocess.run(argv, cwd=capture.parent, capture_output=True, text=True, timeout=60, env=child.environment())
    assert done.returncode == 2 and "load" in done.stdout and "'missing.pmt'" in done.stderr


def test_output_is_whole_or_not_there(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pymemtrace.commands import files

    folder = capture.parent
    target = folder / "out.txt"
    # WHEN it fails half-way, for a new file, one that is to be replaced, an empty one
    for had, force in ((None, False), (b"old", True), (b"", False)):
        if had is not None:
            target.write_bytes(had)
        with pytest.raises(ZeroDivisionError):
            with files.output(str(target), force) as file:
                file.write(b"half" * 10_000)
                raise ZeroDivisionError
        # THEN all is as it was
        assert (target.read_bytes() if target.exists() else None) == had
        assert [path.name for path in folder.iterdir() if "part" in path.name] == []
    # WHEN another makes the file meanwhile, with links and without
    for links in (True, False):
        target.unlink()
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        with pytest.raises(Exception, match="exists already"):
            with files.output(str(target), False) as file:
                file.write(b"ours")
                target.write_bytes(b"theirs")
        assert target.read_bytes() == b"theirs"
    # WHEN nobody does
    target.unlink()
    with files.output(str(target), False) as file:
        file.write(b"ours")
    assert target.read_bytes() == b"ours"
    assert [path.name for path in folder.iterdir() if "part" in path.name] == []


def no_links(*args: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(capture: Path, command: str) -> None:
    argv = [sys.executable, "-m", "pymemtrace", command, "--help"]
    done = subprocess.run(argv, cwd=capture.parent, capture_output=True, text=True, timeout=60, env=child.environment())
    assert done.returncode == 0
    for option in ("--by", "--measure", "--sort", "--limit", "--filter", "--output", "--force"):
        assert option in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
