"""The documents are true: links resolve, commands and options exist, names and keys of the program are in them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

import pymemtrace
from pymemtrace.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LOG_FORMAT = DOCS / "log-format.md"
FOLDERS = ("docs", "examples", "benchmarks", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).glob("**/*.md"))])
PAGE_IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^ *```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
MAKE = re.compile(r"(?:^\$ |^ *|`)make ([a-z][a-z-]*)", re.MULTILINE)
COMMAND = re.compile(r"python3? -m pymemtrace ([a-z]\w*)")
KEY_LINE = re.compile(r"# (?P<key>[A-Za-z][A-Za-z ]*): ")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(text: str) -> Iterator[str]:
    yield from LINK.findall(CODE.sub("", FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """As the usual renderers make them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")
        for title in HEADING.findall(FENCE.sub("", text))
    }


def code_of(text: str) -> str:
    """Fenced blocks and code spans, one a line."""
    return "\n".join([*FENCE.findall(text), *CODE.findall(FENCE.sub("", text))])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real one, in which everything is logged."""
    path = tmp_path_factory.mktemp("docs") / "job.log"
    command = [sys.executable, "-m", "pymemtrace", "run", "-q", "--log", "all", "-o", str(path), "-c", "len('')"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, done.stderr
    return path


def keys_of(log: Path) -> tuple[list[str], list[str]]:
    """Of the lines before the table, and of those after it."""
    before, after = re.split(r"^Event .*\n", read(log), maxsplit=1, flags=re.MULTILINE)
    return KEY_LINE.findall(before), KEY_LINE.findall(after)


# --- links, commands -------------------------------------------------------------------------------------------------


def test_there_are_pages():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/log-format.md"} <= set(PAGE_IDS)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_resolve(page):
    text = read(page)
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue  # the network is not asked
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in anchors(read(target)), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), re.MULTILINE))
    assert set(MAKE.findall(code_of(read(page)))) <= targets


def test_the_readme_shows_the_two_commands():
    first_screen = read(ROOT / "README.md")[:1500]
    assert "make demo" in first_screen and "make test" in first_screen


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_subcommands_exist(page):
    assert set(COMMAND.findall(code_of(read(page)))) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_nobody_is_told_to_install_another_project(page):
    """On the package index the name is somebody else's."""
    found = re.findall(r"pip3? +install[^\n`#]*", read(page))
    assert [line for line in found if re.search(r"(?<![\w./-])pymemtrace\b", line)] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_no_paths_of_a_developers_machine(page):
    assert re.findall(r"(?<![\w.])/(?:root|work)/", read(page)) == []


# --- the command line and the API ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(command):
    page = DOCS / "command-line.md"
    if not page.is_file():
        pytest.skip("no docs/command-line.md")
    done = subprocess.run(
        [sys.executable, "-m", "pymemtrace", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = "\n".join(re.findall(r"^ +(-.*?)(?:  |$)", done.stdout, re.MULTILINE))
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", listed))
    assert command != "run" or {"-o", "--output", "--log", "--threshold", "-q"} <= options
    described = code_of(read(page))
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", described)] == []


def stub_names() -> set[str]:
    """Public names of the stub: functions, classes, their methods and properties."""
    found = set()
    for node in ast.parse(read(ROOT / "pymemtrace" / "cPyMemTrace.pyi")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(stub_names() | set(pymemtrace.__all__)))
def test_every_public_name_is_described(name):
    page = DOCS / "api.md"
    if not page.is_file():
        pytest.skip("no docs/api.md")
    assert re.search(rf"(?<!\w){name}(?!\w)", code_of(read(page)))


# --- the reports -----------------------------------------------------------------------------------------------------

PART = re.compile(r"<!-- begin: (?P<what>(?!machine).*?)(?: --terminal)? -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)


def test_the_examples_of_reports_are_made_by_their_commands(tmp_path):
    # GIVEN the page, and a copy in which nothing is filled in
    page = read(DOCS / "reports.md")
    parts = list(PART.finditer(page))
    empty = tmp_path / "reports.md"
    empty.write_text(PART.sub(lambda part: part[0].replace(part["body"], ""), page), encoding="utf-8")
    # WHEN
    command = [sys.executable, str(ROOT / "tools" / "examples.py"), str(empty)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    # THEN both have what was asked for, and about the same lines; the figures are those of one machine
    assert done.returncode == 0, done.stderr
    made = list(PART.finditer(read(empty)))
    assert len(parts) == len(made) >= 4
    for old, new in zip(parts, made):
        report = old["what"].startswith(("pymemtrace table", "pymemtrace tree"))
        for part in (old, new):
            shown = re.sub(r"^pymemtrace", "python -m pymemtrace", part["what"])
            assert part["body"].startswith(f"\n```console\n$ {shown}\n") and "Traceback" not in part["body"]
            if report:
                assert part["body"].splitlines()[3].startswith("job.pmt: ")
                assert "/job/job.py" in part["body"] and "All own net figures add up to" in part["body"]
        assert abs(len(old["body"].splitlines()) - len(new["body"].splitlines())) <= 2


# --- the log format --------------------------------------------------------------------------------------------------


def test_every_key_of_a_log_is_described(log):
    before, after = keys_of(log)
    assert len(before) >= 10 and len(after) >= 10
    assert [key for key in before + after if f"`# {key}: `" not in read(LOG_FORMAT)] == []


def test_every_key_described_is_in_a_log(log):
    page = read(LOG_FORMAT)
    titles = ("## Lines before the table", "## Lines at the end")
    for title, found in zip(titles, keys_of(log)):
        section = page.partition(f"{title}\n")[2].partition("\n## ")[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `# ")]
        described = [key for row in rows for key in re.findall(r"`# ([^`]+): `", row)]
        assert described == found


def test_the_reader_in_the_page_reads_a_log(log):
    """The program in docs/log-format.md."""
    # GIVEN
    (program,) = re.findall(r"^```python\n(.*?)^```", read(LOG_FORMAT), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(program, names)
    # WHEN
    rows = list(names["rows"](log))  # type: ignore[operator]
    # THEN
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert rows[0][2:6] in (("CALL", "<string>", 0, "<module>"), ("CALL", "<string>", 1, "<module>"))
    assert ("C_CALL", "<string>", 1, "len") in [row[2:6] for row in rows]
    total = 0
    for row in rows:
        total += row[7]
        assert total == row[6]


def test_the_examples_in_the_page_are_rows():
    """Each block of an example has the column header of its layout."""
    page = read(LOG_FORMAT).partition("\n## Examples\n")[2]
    blocks = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [block.split("\n")[0].split() for block in blocks] == [
        ["Event", "Clock", "What", "File", "#line", "Function", "RSS"],
        ["Event", "dEvent", "Clock", "What", "File", "#line", "Function", "RSS", "dRSS"],
    ]
    for block in blocks:
        header, *lines = block.splitlines()
        width = len(header) + (13 if header.startswith("Event") else 0)
        assert {len(line) for line in lines if not line.startswith("#")} == {width}


# --- this test itself ------------------------------------------------------------------------------------------------


def test_what_counts_as_a_link():
    text = "[a](x.md) `[b](y.md)` ![c](z.png)\n```\n[d](w.md)\n```\n[e](v.md#f-g 'title')"
    assert list(links(text)) == ["x.md", "z.png", "v.md#f-g"]


def test_anchors():
    assert anchors("# The text log, byte for byte\n## `x` and y-z\n```\n# no\n```\n") == {
        "the-text-log-byte-for-byte",
        "x-and-y-z",
    }
