"""The reader of captures in C, held against one in plain Python; and against files that are broken in every way."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import capture_builder as build
from support import capture_decoder as decoder
from support.capture_builder import Builder, Step

import pymemtrace
from pymemtrace import cPyMemTrace

MAIN, LEAF, C_LEN = 16, 18, 20  # sites: CALL; the next number is what ends it
PLACE = 22  # of a peak

DEFINITIONS = b"".join(
    [
        build.define_code(1, 1, "/job/a b.py", "<module>"),
        build.define_code(2, 10, "/job/\udc80\u20ac.py", "leaf"),
        build.define_site(16, 1, build.CALL, 1),
        build.define_site(17, 1, build.RETURN, 5),
        build.define_site(18, 2, build.CALL, 10),
        build.define_site(19, 2, build.RETURN, 12),
        build.define_site(20, 2, build.C_CALL, 11, "len"),
        build.define_site(21, 2, build.C_RETURN, 11, "len"),
        build.define_site(22, 2, build.CHARGED, 11),
        build.define_thread(0, 7, "MainThread"),
        build.define_thread(1, 8, ""),
    ]
)


def steps(turns: int = 40) -> list[Step]:
    """A program: main calls leaf, which calls len; every kind of item, times and changes of each length."""
    found = [Step(MAIN, 3, 1000)]
    for turn in range(turns):
        found += [
            Step(LEAF, (1, 61, 62, 317, 318, 70_000)[turn % 6], turn % 3),
            Step(C_LEN, 2),
            Step(C_LEN + 1, 2, 200 if turn % 7 == 0 else 0),
            Step(LEAF + 1, 1, -100 if turn % 7 == 0 else 0),
        ]
    found.append(Step(MAIN + 1, 9, 2))
    found[5].before = build.peak_item(PLACE, 99_000_000, 5)
    found[9].before = build.tracer_item(8192)
    found[13].before = build.text_item("two\nlines")
    found[17].before = build.nested_item(1, 0)
    for number in range(41, 45):  # one turn
        found[number].thread = 1
    return found


TOTALS = (
    build.total("/job/a b.py", 1, "<module>", 4096, 2) + build.total("", 0, "", -8, 1) + build.total("", -1, "", 5, 3)
)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.pmt"
    path.write_bytes(Builder(definitions=DEFINITIONS, totals=TOTALS, message="hello\n").build(steps()))
    return path


def events_of(path: Path) -> list[tuple[Any, ...]]:
    return list(cPyMemTrace.CaptureReader(str(path)).events())


def test_both_readers_agree(whole: Path) -> None:
    # WHEN
    expected, got = decoder.read(whole), cPyMemTrace.CaptureReader(str(whole))
    # THEN
    assert expected.complete and not expected.why
    assert len(expected.events) == len(steps())
    assert [tuple(event) for event in expected.events] == list(got) == list(got.events())
    assert got.peaks() == expected.peaks == [(99_000_000, 5, "/job/\udc80\u20ac.py", 11, "leaf")]
    assert got.threads == expected.threads == {7: "MainThread", 8: ""}
    assert got.totals() == expected.totals
    assert got.totals() == [
        ("/job/a b.py", 1, "<module>", 4096, 2), ("", 0, "<interpreter>", -8, 1), ("", -1, "<other functions>", 5, 3),
    ]  # fmt: skip
    assert (got.header, got.end, got.page_size) == (expected.header, expected.end, 4096)
    assert got.complete and got.why is None


def test_events_are_what_was_written(whole: Path) -> None:
    events = events_of(whole)
    # THEN the first is at the recording's start and three units of 100 ns
    assert events[0] == (0, 1.0, "CALL", "/job/a b.py", 1, "<module>", 4_096_000, 4_096_000, 7)
    assert events[2][2:6] == ("C_CALL", "/job/\udc80\u20ac.py", 11, "len")
    assert sum(event[7] for event in events) == events[-1][6]
    assert events[41][8] == 8
    assert len({id(event[3]) for event in events}) == 2  # a name is one object


@pytest.mark.parametrize("size", [1, 3, 50, 1000])
def test_blocks_of_any_size_say_the_same(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.pmt"
    path.write_bytes(Builder(definitions=DEFINITIONS, size=size).build(steps()))
    assert events_of(path) == [tuple(event) for event in decoder.read(path).events]


class Slowing(Builder):
    """Its clock unit gets longer with each block."""

    def _pair(self, clock: int) -> tuple[int, int]:
        since = clock - self.start_clock
        return clock, self.start_ns + since * 100 + since * since


@pytest.mark.parametrize("size", [1, 3])
def test_an_event_has_one_clock_in_every_log(tmp_path: Path, size: int) -> None:
    # GIVEN a capture in which RSS changes at the first event of a block
    path, out = tmp_path / "slowing.pmt", tmp_path / "previous.log"
    found = [Step(MAIN, 300)]
    for turn in range(1, 40):
        found.append(Step(LEAF if turn % 2 else LEAF + 1, 300, int(turn % 3 == 0)))
    path.write_bytes(Slowing(size=size, definitions=DEFINITIONS).build(found))
    # WHEN it is printed as `previous`
    with open(out, "wb") as file:
        pymemtrace.read(path).write_log(file.fileno(), "previous")
    # THEN each PREV, which is the last event of the block before, has the clock that it has there
    lines = [line.split() for line in out.read_text().splitlines() if line.startswith(("PREV", "NEXT"))]
    clocks = {event.event: f"{event.clock:.6f}" for event in decoder.read(path).events}
    assert [line[3] for line in lines] == [clocks[int(line[1])] for line in lines]
    assert sum(line[0] == "PREV:" for line in lines) == 13


def test_the_tree(whole: Path) -> None:
    # WHEN
    tree = pymemtrace.read(whole).tree()
    # THEN
    (main,) = [node for node in tree.children if node.function == "<module>"]
    (leaf,) = main.children
    (length,) = leaf.children
    (elsewhere,) = [node for node in tree.children if node.function == "leaf"]
    assert (main.calls, leaf.calls, length.calls, elsewhere.calls) == (1, 39, 39, 1)
    assert (length.file, length.line, length.is_c) == ("/job/\udc80\u20ac.py", 0, True)
    assert (leaf.file, leaf.line, leaf.is_c) == ("/job/\udc80\u20ac.py", 10, False)
    assert (length.up, leaf.down) == (6 * 200 * 4096, -6 * 100 * 4096)
    events = events_of(whole)
    assert tree.net_inclusive == events[-1][6] - events[0][6]
    assert main.net_inclusive == main.net + leaf.net + length.net
    assert tree.peak_inclusive == 99_000_000
    assert main.seconds_inclusive == pytest.approx(main.seconds + leaf.seconds + length.seconds)
    (tracer,) = [node for node in tree.children if node.function == "<tracer>"]
    assert tracer.net == 8192
    assert [depth for depth, _ in main.walk()] == [0, 1, 2]


def test_capture_as_an_object(whole: Path) -> None:
    # WHEN
    capture = pymemtrace.read(whole)
    # THEN
    assert capture.path == str(whole) and capture.binary and capture.complete and not capture.left_over
    assert capture.message == "hello\n"
    assert capture.header == {"pymemtrace": "0.1.0", "pid": "7", "log": "all"}
    assert capture.end == {"events": "162", "end": ""}
    first = next(iter(capture))
    assert (first.event, first.clock, first.what, first.thread) == (0, 1.0, "CALL", 7)
    assert capture.peaks[0].bytes == 99_000_000
    assert capture.figures()["events"] == 162
    assert capture.figures()["rss_first"] == 4_096_000


def test_a_ring_beside_it_is_seen(whole: Path) -> None:
    Path(f"{whole}.ring").touch()
    assert pymemtrace.read(whole).left_over


def test_ids_may_be_defined_again(tmp_path: Path) -> None:
    # GIVEN two blocks of the same events, with other definitions before the second
    one, two = (
        Builder(definitions=DEFINITIONS, size=1).blocks([Step(MAIN, 1, 5), Step(MAIN + 1, 1)]) for _ in range(2)
    )
    again = build.define_code(1, 3, "/job/other.py", "other") + build.define_site(17, 1, build.RETURN, 9)
    path = tmp_path / "x.pmt"
    path.write_bytes(b"".join([*one[:3], build.block(build.DEFINITIONS, again), *two[3:]]))
    # THEN
    assert [event[3:6] for event in events_of(path)] == [("/job/a b.py", 1, "<module>"), ("/job/other.py", 9, "other")]


def test_unknown_blocks_are_passed_over(tmp_path: Path) -> None:
    parts = Builder(definitions=DEFINITIONS).blocks(steps())
    path = tmp_path / "x.pmt"
    path.write_bytes(b"".join([*parts[:2], build.block(77, b"anything"), *parts[2:]]))
    assert len(events_of(path)) == len(steps())
    assert cPyMemTrace.CaptureReader(str(path)).complete


# --- broken files ----------------------------------------------------------------------------------------------------

GOOD = Builder(definitions=DEFINITIONS, totals=TOTALS, size=20).build(steps())
NO_CAPTURE = {
    "cut magic": GOOD[:5],
    "cut file header": GOOD[:12],
    "only a file header": GOOD[:16],
    "text": build.file_header(magic=b"\x89PNG\r\n\x1a\n") + GOOD[16:],
    "byte order": build.file_header(order=0x0201) + GOOD[16:],
    "page size": build.file_header(page=4095) + GOOD[16:],
    "small page": build.file_header(page=512) + GOOD[16:],
    "no header block": GOOD[:16] + build.block(build.END, b"# end\n"),
    "header block is cut": GOOD[:100],
}


@pytest.mark.parametrize("data", NO_CAPTURE.values(), ids=NO_CAPTURE)
def test_what_is_no_capture_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pmt"
    path.write_bytes(data)
    with pytest.raises(decoder.CaptureError):
        decoder.decode(data)
    with pytest.raises(ValueError) as caught:
        cPyMemTrace.CaptureReader(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.pmt"
    path.write_bytes(build.file_header(version=2) + GOOD[16:])
    with pytest.raises(ValueError, match="version 2"):
        pymemtrace.read(path)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        cPyMemTrace.CaptureReader(str(tmp_path / "missing.pmt"))
    assert caught.value.filename == str(tmp_path / "missing.pmt")
    with pytest.raises(ValueError, match="no regular file"):
        cPyMemTrace.CaptureReader(str(tmp_path))
    with pytest.raises(TypeError):
        type(iter(cPyMemTrace.CaptureReader(write(tmp_path, GOOD))))()
    with pytest.raises(ValueError):
        cPyMemTrace.CaptureReader("a\0b")


def write(folder: Path, data: bytes) -> str:
    path = folder / "mutated.pmt"
    path.write_bytes(data)
    return str(path)


def agree(folder: Path, data: bytes) -> None:
    """Both readers say the same of a file, or both refuse it; what is wrong is said with where it is."""
    path = write(folder, data)
    try:
        expected = decoder.decode(data)
    except (decoder.CaptureError, decoder.Bad):
        with pytest.raises(ValueError, match="mutated"):
            cPyMemTrace.CaptureReader(path)
        return
    got = cPyMemTrace.CaptureReader(path)
    assert list(got) == [tuple(event) for event in expected.events]
    assert got.complete == expected.complete
    assert (got.why is None) == got.complete
    if expected.why:
        assert got.why is not None and path in got.why and any(c.isdigit() for c in got.why.replace(path, ""))
    got.tree(), got.totals(), got.threads, got.peaks(), got.end


def test_cut_anywhere(tmp_path: Path) -> None:
    ends = {sum(map(len, PARTS[:count])) for count in range(len(PARTS))}
    for size in sorted({*range(0, len(GOOD), 17), *(end + more for end in ends for more in (-1, 0, 1, 4, 87, 88))}):
        agree(tmp_path, GOOD[:size])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(GOOD) - 1), flip=st.integers(1, 255))
def test_any_byte_that_is_changed_is_noticed(tmp_path: Path, at: int, flip: int) -> None:
    """The CRC sees it, or it is in the file header."""
    agree(tmp_path, GOOD[:at] + bytes([GOOD[at] ^ flip]) + GOOD[at + 1 :])


def with_payload(index: int, payload: bytes) -> bytes:
    """The good capture with another payload of a block, and the CRC that belongs to it."""
    parts = Builder(definitions=DEFINITIONS, totals=TOTALS, size=20).blocks(steps())
    header = bytearray(parts[index][:88])
    header[8:16] = struct.pack("<II", len(payload), 0)
    header[12:16] = struct.pack("<I", zlib.crc32(bytes(header) + payload))
    return b"".join([*parts[:index], bytes(header) + payload, *parts[index + 1 :]])


PARTS = Builder(definitions=DEFINITIONS, totals=TOTALS, size=20).blocks(steps())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_payloads_that_a_right_crc_vouches_for(tmp_path: Path, data: st.DataObject) -> None:
    """Nothing crashes or hangs; what is read is right up to what is said to be wrong."""
    # GIVEN
    index = data.draw(st.integers(1, len(PARTS) - 1))
    payload = bytearray(PARTS[index][88:])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(payload) - 1)))
        payload[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path = write(tmp_path, with_payload(index, bytes(payload)))
    # WHEN
    got = cPyMemTrace.CaptureReader(path)
    # THEN
    events = list(got)
    assert [event[0] for event in events] == list(range(len(events)))
    assert got.complete == (got.why is None)
    tree = got.tree()
    assert tree["events"] == len(events)
    got.totals(), got.threads, got.peaks(), got.end


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=300))
def test_junk(tmp_path: Path, junk: bytes) -> None:
    agree(tmp_path, build.file_header() + junk)
    agree(tmp_path, GOOD + junk)


STEP = st.builds(
    Step,
    site=st.sampled_from([16, 17, 18, 19, 20, 21]),
    time=st.one_of(st.integers(0, 400), st.integers(0, 2**40)),
    pages=st.integers(0, 5000),
    thread=st.integers(0, 1),
    before=st.sampled_from([b"", b"", build.text_item("x"), build.tracer_item(-4096), build.peak_item(0, 10**12, 1)]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(STEP, max_size=60), size=st.integers(1, 20))
def test_any_events_are_read_back(tmp_path: Path, program: list[Step], size: int) -> None:
    # GIVEN
    data = Builder(definitions=DEFINITIONS, size=size).build(program)
    # THEN
    agree(tmp_path, data)
    assert len(decoder.decode(data).events) == len(program)
    tree = cPyMemTrace.CaptureReader(write(tmp_path, data)).tree()
    if program:
        assert tree["net_inclusive"][0] == tree["rss_last"] - tree["rss_first"]
    assert tree["events"] == len(program)
