"""The example program: generator, reader, summaries, pages and command line of examples/las_to_html."""

from __future__ import annotations

import hashlib
import html.parser
import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "las_to_html"
MODULES = ("las", "summary", "html_pages", "generate", "las_to_html")
VOID_TAGS = {"meta", "br", "img", "link"}
NULL = "-999.25"

needs_numpy = pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="the example program needs numpy")


@pytest.fixture(scope="module")
def example():
    """The modules of the example, imported as the program itself does it: as plain siblings."""
    pytest.importorskip("numpy", reason="the example program needs numpy")
    sys.path.insert(0, str(FOLDER))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:  # their names are too common to stay
            sys.modules.pop(name, None)


def run_script(name, *args, **environment):
    return subprocess.run(
        [sys.executable, str(FOLDER / name), *map(str, args)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def las_text(rows, curves=("DEPT.M", "GR.GAPI", "RHOB.K/M3"), wrap="NO", version="2.0", well="A & B <1>"):
    """A LAS file whose data lines are `rows`."""
    return "\n".join(
        [
            "~Version",
            f"VERS. {version} : CWLS log ASCII Standard",
            f"WRAP. {wrap} : mode",
            "# a comment",
            "~Well",
            f"NULL. {NULL} : null value",
            f"WELL. {well} : name",
            "TIME.hh:mm  13:45 : start",
            "~Curve",
            *(f"{curve}  : a channel" for curve in curves),
            "~Other",
            'text with <tags> & "quotes"',
            "~ASCII",
            *rows,
            "",
        ]
    )


@pytest.fixture
def read(example, tmp_path):
    def read_text(text, name="well.las"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return example.las.read(path)

    return read_text


class Page(html.parser.HTMLParser):
    """Parses a page, fails when tags do not match, and keeps its text, its links and its tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.links = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return "\n".join(self.texts)


# generator: needs no numpy, so it is run as a script


def test_same_seed_same_bytes(tmp_path):
    # GIVEN
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run_script("generate.py", tmp_path / folder, "--size", "100K", "--seed", seed).returncode == 0
    # WHEN
    first, again, other = (
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / folder).iterdir()}
        for folder in "abc"
    )
    # THEN
    assert first == again
    assert set(first.values()).isdisjoint(other.values())


def test_bytes_are_those_of_every_other_version(tmp_path):
    # GIVEN a digest that was made with Python 3.11, and is the same with 3.9 to 3.13
    run_script("generate.py", tmp_path / "logs", "--size", "60K", "--seed", "7")
    # WHEN
    digest = hashlib.sha256()
    for path in sorted((tmp_path / "logs").iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    # THEN
    assert digest.hexdigest() == "54197552fd5cf21d51ab23502220d75c9450dccd264828e999d6e2599573096a"


@pytest.mark.parametrize("size, bytes_", [("4K", 4096), ("250K", 256_000), ("1.2M", 1_258_291)])
def test_total_size(tmp_path, size, bytes_):
    # WHEN
    run_script("generate.py", tmp_path / "logs", "--size", size)
    sizes = [path.stat().st_size for path in (tmp_path / "logs").iterdir()]
    # THEN the total is right to one depth, which has 182 bytes at most
    assert abs(sum(sizes) - bytes_) <= 182
    if bytes_ > 1_000_000:
        assert max(sizes) > 10 * min(sizes)


def test_generator_mixes_with_no_other_files(tmp_path):
    # GIVEN
    (tmp_path / "mine.las").write_text("")
    # WHEN
    result = run_script("generate.py", tmp_path, "--size", "8K")
    # THEN
    assert result.returncode == 2
    assert "has LAS files already" in result.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_size_must_be_a_size(tmp_path):
    for size in ("1K", "-3M", "lots", "1e6"):
        assert run_script("generate.py", tmp_path / "logs", f"--size={size}").returncode == 2


# reader and summaries


def test_values_known_by_construction(example, read):
    # GIVEN
    depths = [100.0 + 0.5 * i for i in range(200)]
    gamma = [float((i * 37) % 101) for i in range(200)]
    rows = [
        f"{depth:.1f} {value:.0f} {NULL if i % 10 == 3 else i}" for i, (depth, value) in enumerate(zip(depths, gamma))
    ]
    # WHEN
    las_file = read(las_text(rows))
    dept, gr, rhob = example.summary.summarise(las_file)
    # THEN
    assert las_file.problems == [] and las_file.rows == 200 and las_file.well == "A & B <1>"
    assert dept.statistics.first == 100.0 and dept.statistics.last == 199.5 and dept.unit == "M"
    assert (gr.statistics.minimum, gr.statistics.maximum) == (min(gamma), max(gamma))
    assert gr.statistics.mean == pytest.approx(statistics.mean(gamma))
    assert gr.statistics.standard_deviation == pytest.approx(statistics.pstdev(gamma))
    assert gr.statistics.median == statistics.median(gamma)
    kept = [i for i in range(200) if i % 10 != 3]
    assert (rhob.size, rhob.nulls, rhob.unreadable, rhob.valid) == (200, 20, 0, 180)
    assert rhob.statistics.mean == pytest.approx(statistics.mean(kept))
    assert sum(rhob.statistics.histogram.counts) == 180


def test_wrapped_file_has_the_same_channels(example, read):
    # GIVEN
    curves = ["DEPT.M", *(f"C{i}.V" for i in range(9))]
    table = [[f"{row}.5", *(f"{row * 9 + i}" for i in range(8)), NULL] for row in range(20)]
    flat = [" ".join(fields) for fields in table]
    wrapped = [line for f in table for line in (f[0], " ".join(f[1:8]), " ".join(f[8:]))]
    # WHEN
    one = read(las_text(flat, curves), "flat.las")
    other = read(las_text(wrapped, curves, wrap="YES"), "wrapped.las")
    # THEN
    assert one.problems == other.problems == []
    assert example.summary.summarise(one)[3].statistics.mean == example.summary.summarise(other)[3].statistics.mean
    for ours, theirs in zip(one.channels, other.channels):
        assert len(ours) == 20
        assert list(map(repr, ours.values.tolist())) == list(map(repr, theirs.values.tolist()))  # repr: nan is not nan


def test_generated_files_are_read_without_problems(example, tmp_path):
    # GIVEN
    paths = example.generate.generate(tmp_path / "logs", 300_000, seed=3)
    wrapped = 0
    for path in paths:
        # WHEN
        las_file = example.las.read(path)
        # THEN
        assert las_file.problems == []
        if las_file.value(example.las.Section.VERSION, "WRAP") == "YES":
            wrapped += 1
            assert max(map(len, path.read_text().splitlines())) <= 80
        header = {line.mnemonic: line for line in las_file.headers[example.las.Section.WELL]}
        dept = las_file.channels[0].values
        assert (dept[0], dept[-1]) == (float(header["STRT"].value), float(header["STOP"].value))
        text = path.read_text()
        assert sum(channel.nulls for channel in las_file.channels) == text.split("~ASCII\n")[1].count("-999.2500")
    assert 0 < wrapped < len(paths)


def test_channel_without_values(example, read):
    # WHEN
    las_file = read(las_text([f"1 {NULL} 2.5", f"2 {NULL} 2.5"]))
    _, gr, rhob = example.summary.summarise(las_file)
    # THEN
    assert (gr.nulls, gr.statistics) == (2, None)
    assert rhob.statistics.standard_deviation == 0.0
    assert sum(rhob.statistics.histogram.counts) == 2
    Page(example.html_pages.file_page(las_file, [gr, rhob]))


@pytest.mark.parametrize(
    "values",
    [
        [-1.7e308, 0.0, 1.7e308],
        [0.0, 5e-324],
        [1.0, 1.0 + sys.float_info.epsilon],
        [-3.0],
    ],
)
def test_histogram_of_extreme_values(example, values):
    # WHEN
    histogram = example.summary.Histogram(min(values), max(values))
    for value in values:
        histogram.add(value)
    # THEN
    assert sum(histogram.counts) == len(values)
    assert histogram.counts[-1] >= 1


def test_header_lines(example):
    line = example.las.Line
    for text, parts in [
        ("STRT .M   1670.0 : START", ("STRT", "M", "1670.0", "START")),
        ("DATE.  13:45:10 : time of day", ("DATE", "", "13:45:10", "time of day")),
        ("TIME.hh:mm  13:45 : start", ("TIME", "hh:mm", "13:45", "start")),
        ("CN  .PU: neutron", ("CN", "PU", "", "neutron")),
        ("DREF.M/HR GROUND. LEVEL :", ("DREF", "M/HR", "GROUND. LEVEL", "")),
    ]:
        assert example.las.parse_header_line(line(1, text)) == parts
    for text in ("no dot : here", "GR.GAPI no colon", ". : "):
        with pytest.raises(ValueError):
            example.las.parse_header_line(line(1, text))


# broken files


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "1_000", "1e999", "-1.#IND", "0x10", "٣"])
def test_unreadable_value(example, read, text):
    # WHEN
    las_file = read(las_text(["1 2 3", f"2 {text} 4", "3 4 5"]))
    gr = example.summary.summarise(las_file)[1]
    # THEN its line is named, and the others count
    assert [problem.line for problem in las_file.problems] == [17]
    assert "GR" in las_file.problems[0].message and repr(text) in las_file.problems[0].message
    assert (gr.size, gr.unreadable, gr.statistics.mean) == (3, 1, 3.0)


def test_wrong_number_of_values(read):
    # WHEN
    las_file = read(las_text(["1 2 3", "2 3", "3 4 5 6", "4 5 6"]))
    # THEN
    assert [problem.line for problem in las_file.problems] == [17, 18]
    assert las_file.channels[0].values.tolist() == [1.0, 4.0]


def test_wrapped_file_with_a_value_too_many(read):
    # WHEN
    las_file = read(las_text(["1", "2 3", "2", "3 4 5", "3", "4 5"], wrap="YES"))
    # THEN
    assert [problem.line for problem in las_file.problems] == [19]
    assert las_file.rows == 1


@pytest.mark.parametrize(
    "text, line, message",
    [
        ("", 0, "before its ~ASCII"),
        ("hello\n", 1, "before the first section"),
        ("~Zebra\n", 1, "unknown section"),
        ("~V\nVERS. 2.0 : v\n", 2, "before its ~ASCII"),
        (las_text([], version="1.2"), 15, "version 1.2"),
        (las_text([], wrap="MAYBE"), 15, "neither YES nor NO"),
        (las_text([], curves=()), 12, "named no channel"),
        (las_text([], curves=("DEPT.M", "GR GAPI")), 11, "MNEMONIC.UNIT"),
        (las_text(["1 2 3", "~Well"]), 17, "must be the last"),
        (las_text(["1", "2"], wrap="YES"), 17, "2 of the 3 values"),
        (las_text([]).replace("NULL.", "NIL."), 15, "NULL"),
    ],
)
def test_broken_file(read, text, line, message):
    # WHEN
    las_file = read(text)
    # THEN
    assert las_file.problem_count == 1
    assert las_file.problems[0].line == line
    assert message in las_file.problems[0].message


def test_problems_are_counted_but_not_all_kept(example, read):
    # WHEN
    las_file = read(las_text(["1 2"] * 1000))
    # THEN
    assert las_file.problem_count == 1000
    assert len(las_file.problems) == example.las.PROBLEMS_KEPT
    assert "and 900 more" in Page(example.html_pages.file_page(las_file, [])).text


# pages and command line


@needs_numpy
def test_program_writes_pages_and_goes_on_after_a_broken_file(tmp_path):
    # GIVEN names that need escapes in HTML and in links, a good file, a broken one, and one that cannot be opened
    logs, pages = tmp_path / "logs", tmp_path / "pages"
    logs.mkdir()
    odd = 'a<b>&"c% #1.las'
    (logs / odd).write_text(las_text(["1 2 3", "2 3 4"]))
    (logs / "broken.LAS").write_text(las_text(["1 2 3", "2 x<y 4"]))
    (logs / "folder.las").mkdir()
    (logs / "notes.txt").write_text("not a log")
    # WHEN
    result = run_script("las_to_html.py", logs, pages, PYTHONIOENCODING="ascii")
    # THEN
    assert result.returncode == 1, result.stderr
    assert len(result.stdout.splitlines()) == 4
    index = Page((pages / "index.html").read_text(encoding="utf-8"))
    assert odd in index.texts and "A & B <1>" in index.texts and "b" not in index.tags
    assert len(index.links) == 3
    for link in index.links:
        assert (pages / unquote(link)).is_file()
    page = Page((pages / f"{odd}.html").read_text(encoding="utf-8"))
    assert 'text with <tags> & "quotes"' in page.text and "tags" not in page.tags and "Problems" not in page.texts
    assert page.tags.count("svg") == 3
    assert "line 17: GR: 'x<y' is not a number" in Page((pages / "broken.LAS.html").read_text(encoding="utf-8")).text
    assert "cannot be read" in (pages / "folder.las.html").read_text(encoding="utf-8")


def test_main_returns_the_exit_status(example, tmp_path, capsys):
    # GIVEN
    example.generate.generate(tmp_path / "logs", 20_000, seed=1)
    # WHEN
    status = example.las_to_html.main([str(tmp_path / "logs"), str(tmp_path / "deep" / "pages")])
    # THEN
    lines = capsys.readouterr().out.splitlines()
    files = list((tmp_path / "logs").iterdir())
    assert status == 0
    assert len(lines) == len(files) + 1
    assert f"{sum(path.stat().st_size for path in files):,d} bytes in {len(files)} files" in lines[-1]


def test_nothing_to_do_is_status_2(example, tmp_path, capsys):
    assert example.las_to_html.main([str(tmp_path), str(tmp_path / "pages")]) == 2
    assert example.las_to_html.main([str(tmp_path / "missing"), str(tmp_path / "pages")]) == 2
    assert not (tmp_path / "pages").exists()
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_without_numpy_it_says_so(tmp_path):
    # GIVEN a numpy that cannot be imported
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('no numpy', name='numpy')\n")
    # WHEN
    result = run_script("las_to_html.py", tmp_path, tmp_path / "pages", PYTHONPATH=str(tmp_path))
    # THEN
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "las_to_html needs numpy: run `pip install numpy`.\n"
