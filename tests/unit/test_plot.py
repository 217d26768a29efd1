"""`plot`: what is in the picture (texts, places of points), not how it looks; what is said of bad input."""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import child, run_files
from support.sample_files import HEADER, MIB, sample, write

from pymemtrace.commands import main
from pymemtrace.commands import plot as command
from pymemtrace.reader import read, read_samples
from pymemtrace.reporters import curves, labels
from pymemtrace.reporters.curves import Highest, Point

SVG = "{http://www.w3.org/2000/svg}"


def plot(*args: object, expect: int = 0) -> str:
    """What it said on stderr. In this process: matplotlib is loaded once."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["plot", *map(str, args)]) == expect, said.getvalue()
    return said.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Picture:
    def __init__(self, path: Path) -> None:
        root = ElementTree.parse(path).getroot()
        self.nodes = list(root.iter(f"{SVG}text"))
        self.texts = ["".join(node.itertext()) for node in self.nodes]
        self.lines = {}
        for group in root.iter(f"{SVG}g"):
            name = group.get("id", "")
            if name.startswith("rss-"):
                (line,) = (node for node in group if node.tag == f"{SVG}path")
                numbers = re.findall(r"[ML] (\S+) (\S+)", line.get("d", ""))
                self.lines[name[4:]] = [(float(x), float(y)) for x, y in numbers]


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_a_picture_of_samples(folder: Path) -> None:
    # GIVEN RSS 10, 20, 40, 10 MiB; a peak of 90 MiB between the last two samples; two markers
    write(
        folder / "job.rss",
        [
            sample(0.5, 10),
            sample(1.0, 20),
            {"time": 1.2, "pid": 10, "marker": "loaded $x$ <&> \x1b[0m"},
            sample(1.5, 40),
            sample(2.5, 10, peak_rss=90 * MIB, missed=4),
            {"time": 2.5, "pid": 10, "marker": "_written"},
        ],
    )
    # WHEN
    said = plot("job.rss")
    # THEN
    assert said == "pymemtrace plot: job.svg\n"
    picture = Picture(folder / "job.svg")
    for text in (
        "python3 job.py", "RSS", "seconds since the process started", "CPU, 100 % is one core", "0", "32 MiB", "96 MiB",
        "50 %", "100 %", "loaded $x$ <&> \\x1b[0m", "_written", "peak 90.0 MiB, between two samples",
        "job.rss, peak 90.0 MiB, CPU 1.00 s, 4 samples, one every 0.1 s, 4 missed",
    ):  # fmt: skip
        assert text in picture.texts
    # THEN points are where they belong
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = picture.lines["job.rss"]
    assert (x1 - x0, x3 - x2) == pytest.approx(((x2 - x1), 2 * (x2 - x1)), abs=0.01)
    assert (y0 - y1) * 2 == pytest.approx(y1 - y2, abs=0.01) and y0 == pytest.approx(y3)
    assert y0 > y1 > y2  # up is less in an SVG


def test_several_files_and_a_png(folder: Path) -> None:
    for name, mib in (("a.rss", 10), ("b.rss", 3000)):
        write(folder / name, [sample(0.5 + i / 10, mib + i) for i in range(20)])
    plot("a.rss", "b.rss", "-o", "x.svg")
    picture = Picture(folder / "x.svg")
    assert set(picture.lines) == {"a.rss", "b.rss"} and "2 GiB" in picture.texts
    assert "RSS and CPU over time" in picture.texts and "b.rss: peak 2.9 GiB" in picture.texts
    # THEN both begin at the same place
    assert picture.lines["a.rss"][0][0] == picture.lines["b.rss"][0][0]
    plot("a.rss", "b.rss", "-o", "x.png")
    assert (folder / "x.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_same_data_give_the_same_file(folder: Path) -> None:
    write(folder / "a.rss", [sample(0.5 + i / 10, 1 + i) for i in range(20)])
    plot("a.rss", "-o", "x.svg")
    plot("a.rss", "-o", "y.svg")
    assert (folder / "x.svg").read_bytes() == (folder / "y.svg").read_bytes()


@pytest.mark.parametrize("name", ["job.log", "job.pmt"])
def test_a_recording_beside_its_samples(folder: Path, name: str) -> None:
    # GIVEN a recording of process 10 from 12:00:01 on, its first event at 1 s: the clock of the samples
    run_files.write(folder / name, 10, 1, 1.0, grown=2000)
    write(folder / "job.rss", [sample(0.5, 4), sample(1.0, 4), sample(2.0, 11)])
    # WHEN
    plot("job.rss", name)
    # THEN both are on one clock
    picture = Picture(folder / "job.svg")
    of_samples, of_events = picture.lines["job.rss"], picture.lines[name]
    clock = read(folder / name).figures()["seconds"]
    scale = of_samples[2][0] - of_samples[1][0]  # of a second
    first = next(iter(read(folder / name).events()))
    assert of_events[0][0] - of_samples[1][0] == pytest.approx((first.clock - 1) * scale, abs=0.05)
    assert of_events[-1][0] - of_events[0][0] == pytest.approx(clock * scale, abs=0.05) or name == "job.pmt"
    assert "grow  +7.8 MiB" in picture.texts
    assert any(text.startswith(f"{name}, peak 11.7 MiB: RSS as it was") for text in picture.texts)


def test_a_recording_of_another_process_is_a_file_of_its_own(folder: Path) -> None:
    run_files.write(folder / "job.log", 11, 1, 1.0)
    write(folder / "job.rss", [sample(0.5, 4), sample(2.0, 11)])
    plot("job.rss", "job.log")
    assert "RSS and CPU over time" in Picture(folder / "job.svg").texts


def test_a_recording_alone(folder: Path) -> None:
    run_files.write(folder / "job.log", 11, 1, 1.0)
    plot("job.log", "-o", "x.svg")
    picture = Picture(folder / "x.svg")
    assert "python job.py 11" in picture.texts and not any("CPU" in text for text in picture.texts)


def test_a_tree(folder: Path) -> None:
    # GIVEN a parent and eight children, of which the fifth is the largest
    lines: list[dict[str, object]] = []
    for number in range(9):
        command = ["/usr/bin/python3", "-X", "dev", f"/job/child{number}.py"]
        lines.append({"time": 1, "pid": 10 + number, "process": "began", "parent": 10, "command": command})
    for time in (1.0, 2.0, 3.0):
        each = [sample(time, 5 + number + 100 * (number == 5), pid=10 + number, pss=MIB) for number in range(9)]
        total = {"processes": 9, "rss": sum(one["rss"] for one in each), "user": time * 3, "system": 0, "pss": 9 * MIB}
        lines += [*each, {"time": time, "tree": total}]
    lines.append({"time": 3.0, "pid": 15, "process": "ended"})
    write(folder / "job.rss", lines, scope="tree")
    # WHEN
    plot("job.rss")
    # THEN
    texts = Picture(folder / "job.svg").texts
    assert "child5.py (15), peak 110.0 MiB" in texts and "child8.py (18), peak 13.0 MiB" in texts
    assert sum(re.fullmatch(r"child\d\.py \(\d+\), peak .*", text) is not None for text in texts) == curves.MOST_PARTS
    assert "PSS: memory that processes share is counted once" in texts and "300 %" in texts
    assert any(text.endswith("3 samples, one every 0.1 s, 9 processes") for text in texts)


def test_many_markers_and_long_files_stay_small(folder: Path) -> None:
    lines = [{"time": i / 100, "pid": 10, "marker": f"mark {i}"} for i in range(300)]
    lines += [sample(i / 1000, 10 + i % 7) for i in range(6_000)]
    write(folder / "job.rss", lines)
    plot("job.rss")
    assert (folder / "job.svg").stat().st_size < 150_000
    assert any("300 markers, of which 200 are drawn" in text for text in Picture(folder / "job.svg").texts)


def test_a_long_command_line_has_smaller_letters_before_it_is_cut(folder: Path) -> None:
    found = []
    for words in (20, 100, 110, 300):
        write(folder / "job.rss", [sample(1, 1), sample(2, 1)], command=["job.py", "x" * words])
        plot("job.rss", "-f")
        (node,) = (node for node in Picture(folder / "job.svg").nodes if "".join(node.itertext()).startswith("job.py "))
        points, *_ = re.findall(r"([\d.]+)px", node.get("style", ""))
        found.append((float(points), "".join(node.itertext())))
    sizes, texts = zip(*found)
    assert sizes[0] > sizes[1] >= sizes[2] >= sizes[3] == 9
    assert texts[0] == "job.py " + "x" * 20 and texts[1] == "job.py " + "x" * 100
    assert texts[3].endswith("x…")


def test_hostile_numbers(folder: Path) -> None:
    lines = [sample(0, 0), sample(2.0**62, 2.0**42), sample(5, 1), sample(1e-300, 0, user=2.0**62)]
    write(folder / "job.rss", lines, command=[], start="9999-12-31T23:59:59", time=0)
    assert plot("job.rss") == "pymemtrace plot: job.svg\n"


def test_a_process_that_had_run_for_days(folder: Path) -> None:
    write(folder / "job.rss", [sample(300_000 + i, 10) for i in range(20)])
    plot("job.rss")
    assert "seconds since 3 d 11:20:00 after the process started" in Picture(folder / "job.svg").texts


# --- bad input -------------------------------------------------------------------------------------------------------


def test_bad_files_are_one_sentence_each_and_the_others_are_drawn(folder: Path) -> None:
    # GIVEN
    write(folder / "good.rss", [sample(1, 1), sample(2, 1)])
    write(folder / "torn.rss", [sample(1, 1), sample(2, 1), b'{"time":'])
    write(folder / "bare.rss", [])
    write(folder / "later.rss", [], version=2)
    (folder / "empty").touch()
    (folder / "other.txt").write_text("a text\n")
    (folder / "list.json").write_text("{}\n")
    (folder / "cut.pmt").write_bytes(b"\x89PMT\r\n\x1a\n\x01")
    (folder / "folder").mkdir()
    names = ["bare.rss", "later.rss", "empty", "other.txt", "list.json", "cut.pmt", "folder", "none", "torn.rss"]
    # WHEN
    *said, last = plot("good.rss", *names, expect=2).splitlines()
    # THEN
    assert last == "pymemtrace plot: good.svg"
    assert [line.partition(": ")[2].partition(repr(name))[0] for line, name in zip(said, names)] == [""] * len(names)
    parts = ("has no samples yet", "of version 2", "is empty", "no file of samples, no capture and no text log",
             "no file of samples", "cut", "directory", "No such file", "its last line has no end")  # fmt: skip
    assert all(part in line for part, line in zip(parts, said)), said
    assert set(Picture(folder / "good.svg").lines) == {"good.rss", "torn.rss"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no file given"),
        (["none"], "'none'"),
        (["a.rss", "-o", "x.jpeg"], "'x.jpeg': the picture's name must end in .svg or .png"),
        (["a.rss", "-o", "taken.svg"], "'taken.svg' exists already: -f replaces it"),
        (["a.rss", "-o", "none/x.svg"], "'none/x.svg': No such file"),
        (["a.rss", "--nonsense"], "'--nonsense'"),
    ],
)
def test_wrong_use_is_one_sentence(folder: Path, args: list[str], said: str) -> None:
    write(folder / "a.rss", [sample(1, 1)])
    (folder / "taken.svg").write_text("mine")
    error = plot(*args, expect=2)
    assert error.startswith("pymemtrace plot: ") and said in error and error.count("\n") == 1
    assert (folder / "taken.svg").read_text() == "mine" and sorted(path.suffix for path in folder.glob("*.*")).count(
        ".svg"
    ) == 1


def test_force_replaces(folder: Path) -> None:
    write(folder / "a.rss", [sample(1, 1)])
    (folder / "a.svg").write_text("old")
    plot("a.rss", "-f")
    assert Picture(folder / "a.svg").lines


def test_without_matplotlib(tmp_path: Path) -> None:
    write(tmp_path / "a.rss", [sample(1, 1)])
    source = (
        "import sys; sys.modules['matplotlib'] = None; from pymemtrace.commands import main\n"
        "sys.exit(main(['plot', 'a.rss']))"
    )
    done = child.run([sys.executable, "-c", source], tmp_path, expect=2)
    assert done.stderr.startswith("pymemtrace plot: plots need matplotlib") and done.stderr.count("\n") == 1
    assert "the extra `plot`" in done.stderr and not (tmp_path / "a.svg").exists()


# --- the data --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=500))
def test_thinning_keeps_the_ends_and_the_extremes(values: list[int]) -> None:
    points = [Point(float(i), value) for i, value in enumerate(values)]
    kept = curves.thinned(points, 40)
    assert len(kept) <= 48 or len(points) <= 48
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (min(p.value for p in kept), max(p.value for p in kept)) == (min(values), max(values))
    assert kept == sorted(kept, key=lambda point: point.time) and set(kept) <= set(points)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 0, 0, 0, 1, -1, 700]), max_size=60), st.booleans())
def test_rows_of_a_log_at_which_nothing_changed_are_not_read(changes: list[int], cut: bool) -> None:
    # GIVEN a log of so many events after the first, with a line of another thread before every seventh
    rows, rss = [run_files.row(0, 1, "CALL", 4096 * 5000, 4096 * 5000)], 5000
    for event, change in enumerate(changes, 1):
        rss += change
        rows.append(f"# thread {event} T 0\n" if event % 7 == 0 else "")
        rows.append(run_files.row(event, 1 + event / 10, "RETURN", 4096 * rss, 4096 * change))
    with tempfile.TemporaryDirectory() as folder:
        path = run_files.write(Path(folder) / "job.log", 10, 1, 1.0)
        text = path.read_text("utf-8")
        begin, end = text.index("0  "), text.index("# events")
        path.write_text(text[:begin] + "".join(rows) + ("" if cut else text[end:]), "utf-8")
        # WHEN
        thin = Path(folder) / "thin.log"
        with open(thin, "wb") as file:
            command._write_changes(read(path), file)
        drawn, whole = command._curve(str(path)), curves.of_recording(read(path))
        kept, lines = thin.read_text("utf-8").splitlines(), path.read_text("utf-8").splitlines()
    # THEN of all rows, in their order, those are left: changes, and the row before each change and other line; the ends
    needed = {0, len(changes)} | {i + before for i, change in enumerate(changes) if change for before in (0, 1)}
    needed |= set(range(6, len(changes), 7))
    number = -1
    for line in lines:
        number += line[:1].isdigit()
        if not line[:1].isdigit() or number in needed:
            assert kept.pop(0) == line
    assert not kept
    # THEN the picture is that of the whole log
    assert (drawn.highest, drawn.steps, drawn.zero) == (whole.highest, whole.steps, whole.zero)
    assert drawn.rss == [point for i, point in enumerate(whole.rss) if i in needed]


def test_rates_are_means_between_two_samples() -> None:
    # GIVEN 2 s at 50 %, then 2 s at 300 %
    cpu = [Point(i / 10, i / 20) for i in range(21)] + [Point(2 + i / 10, 1 + 0.3 * i) for i in range(1, 21)]
    found = curves.rates(cpu)
    assert [begin for begin, _, _ in found][0] == 0 and found[-1][1] == 4.0
    assert all(end == begin for (_, end, _), (begin, _, _) in zip(found, found[1:]))
    assert {round(value) for begin, _, value in found if begin < 1.95} == {50}
    assert {round(value) for begin, _, value in found if begin > 2.05} == {300}
    assert curves.rates(cpu[:1]) == []


def test_the_kernels_peak_counts_when_it_rose_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.rss"
    write(path, [sample(1, 10, peak_rss=90 * MIB), sample(2, 12, peak_rss=90 * MIB)])
    assert curves.of_samples(read_samples(path)).highest == Highest(2.0, 12 * MIB, "")
    write(path, [sample(1, 10, peak_rss=10 * MIB), sample(2, 12, peak_rss=90 * MIB)])
    assert curves.of_samples(read_samples(path)).highest == Highest(2.0, 90 * MIB, "between two samples")
    write(path, [sample(1, 10, peak_rss=10 * MIB), sample(2, 12, peak_rss=12 * MIB + 300_000)])
    assert curves.of_samples(read_samples(path)).highest == Highest(2.0, 12 * MIB, "")


def curve(pid: int, zero: float | None, *, recording: bool, host: str = "vm", **pids: list[float]) -> curves.Curve:
    found = curves.Curve("x", "", pid, host, zero, recording, rss=[Point(1.0, 5)])
    found.pids = {int(key[1:]): value for key, value in pids.items()}
    return found


@pytest.mark.parametrize(
    ("recording", "beside", "time"),
    [
        (curve(10, 100.2, recording=True), True, 1.0),  # the same process, and so the same clock
        (curve(10, 200.0, recording=True), False, 1.0),  # the number was given again
        (curve(10, 100.0, recording=True, host="other"), False, 1.0),
        (curve(10, None, recording=True), False, 1.0),
        (curve(11, 107.0, recording=True), True, 8.0),  # of the tree: moved by 7 s
        (curve(11, 150.0, recording=True), False, 1.0),
        (curve(12, 107.0, recording=True), False, 1.0),
    ],
)
def test_whose_recording_it_is(recording: curves.Curve, beside: bool, time: float) -> None:
    samples = curve(10, 100.0, recording=False, p11=[6.5])
    curves.lay_over([recording, samples])
    assert (recording.beside is samples) is beside
    assert recording.rss == [Point(time, 5)]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/python3.11", "-X", "dev", "/job/load.py", "x"], "load.py"),
        (["python", "-m", "package.part"], "-m package.part"),
        (["python", "-Wd", "-c", "print()"], "python -c"),
        (["/bin/sh", "-c", "x"], "sh"),
        (["python"], "python"),
        ([], "?"),
        (["\x1b" * 40], "\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1…"),
    ],
)
def test_what_a_process_is_called(words: list[str], name: str) -> None:
    assert curves.short_command(words) == name


def test_labels_meet_nothing() -> None:
    # GIVEN twelve places near each other, on a line
    frame = labels.Box(0, 0, 1000, 400)
    room = labels.Room(frame)
    room.add_line([(0, 100), (1000, 120)])
    # WHEN
    boxes = [room.place(480 + i * 3, 110, 120, 12) for i in range(12)]
    # THEN
    placed = [box for box in boxes if box is not None]
    assert len(placed) >= 8
    for i, box in enumerate(placed):
        assert box.within(frame)
        assert not any(box.meets(other) for other in placed[:i])
        assert not any(box.left < x < box.right and box.low < 100 + x / 50 < box.high for x in range(1000))


def test_lines_to_labels_meet_nothing() -> None:
    # GIVEN two places on a steep line, the lower one named first
    room = labels.Room(labels.Box(0, 0, 1000, 400))
    room.add_line([(100, 0), (110, 300)])
    # WHEN
    boxes = [room.place(105, 150, 160, 12), room.place(106, 162, 200, 12)]
    # THEN
    assert None not in boxes and len(room.leaders) == 2
    assert not room.leaders[0].crosses(room.leaders[1])
    assert not any(room.leaders[i].meets(room.taken[1 - i]) for i in (0, 1))
    assert all(math.hypot(one.to_x - one.x, one.to_y - one.y) < 40 for one in room.leaders)  # and both are near
    # THEN crossing means what it should
    assert labels.Leader(0, 0, 2, 2).crosses(labels.Leader(0, 2, 2, 0))
    assert not labels.Leader(0, 0, 2, 2).crosses(labels.Leader(3, 0, 5, 2))
    assert not labels.Leader(0, 0, 2, 2).crosses(labels.Leader(0, 5, 5, 0))  # the line would meet it, further on
    assert labels.Leader(0, 0, 9, 1).meets(labels.Box(2, -1, 6, 3))
    assert not labels.Leader(0, 0, 9, 9).meets(labels.Box(2, -1, 6, 1))


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), max_size=30))
def test_rows_of_markers(spans: list[tuple[int, int]]) -> None:
    each = [(float(x), float(x), float(x + width)) for x, width in sorted(spans)]
    found = labels.rows(each, 4)
    for i, (x, begin, end) in enumerate(each):
        for j in range(i + 1, len(each)):
            if found[i] is not None and found[j] is not None and each[j][1] < end:
                assert found[j] < found[i]  # the line of the later one ends below the earlier one's name
    assert not each or found[-1] == 0


def test_the_header_of_these_tests_is_that_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "samples.md").read_text("utf-8")
    assert [key for key in HEADER if f"`{key}`" not in page] == []
