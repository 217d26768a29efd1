"""`read_samples`: what is in a file of samples, whole, growing, torn, damaged, of somebody who means harm."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import sample_files as files
from support.sample_files import sample

from pymemtrace import read_samples
from pymemtrace.reader import Began, Ended, Marker, Note, Sample, Total


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.rss"


def test_what_the_page_shows_is_read(path: Path) -> None:
    """The examples of docs/samples.md."""
    # GIVEN
    page = (Path(__file__).parents[2] / "docs" / "samples.md").read_text("utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path.write_text("".join(blocks), "utf-8")
    # WHEN
    found = read_samples(path)
    records = list(found.records())
    # THEN
    header = json.loads(blocks[0])
    assert (found.scope, found.pid, found.host) == ("self", header["pid"], header["host"])
    assert (found.interval, found.time) == (header["interval"], header["time"])
    assert found.command == tuple(header["command"])
    assert found.start == datetime.fromisoformat(header["start"])
    kinds = {type(record) for record in records}
    assert kinds == {Sample, Marker, Total, Began, Ended, Note}
    by_hand = next(json.loads(line) for block in blocks[1:] for line in block.splitlines() if '"rss"' in line)
    first = next(record for record in records if isinstance(record, Sample))
    assert {key: value for key, value in first._asdict().items() if value is not None and key != "missed"} == by_hand
    assert found.note is None


def test_every_kind_of_line(path: Path) -> None:
    # GIVEN
    files.write(
        path,
        [
            {"time": 0.5, "pid": 10, "process": "began", "parent": 1, "command": ["a", "\udc80"]},
            sample(0.5, 1, pss=5, uss=4, missed=3),
            {
                "time": 0.5,
                "tree": {"processes": 1, "rss": 7, "pss": 5, "uss": 4, "user": 0.5, "system": 1},
                "missed": 2,
            },
            {"time": 0.6, "pid": 10, "marker": "half\nway"},
            {"time": 0.6, "pid": 11, "note": "PSS cannot be read"},
            {"time": 0.7, "pid": 10, "process": "ended"},
            {"time": 0.8, "something": "of a later version"},
        ],
        scope="tree",
    )
    # WHEN
    found = read_samples(path)
    records = list(found.records())
    # THEN
    assert found.scope == "tree"
    assert records[0] == Began(0.5, 10, 1, ("a", "\udc80"))
    assert records[1][:4] == (0.5, 10, 2**20, 2**20) and (records[1].pss, records[1].missed) == (5, 3)
    assert records[2] == Total(0.5, 1, 7, 5, 4, 0.5, 1.0, 2)
    assert records[3:] == [Marker(0.6, 10, "half\nway"), Note(0.6, 11, "PSS cannot be read"), Ended(0.7, 10)]
    assert found.note is None
    assert list(found) == list(found.samples()) == [records[1]] and list(found.markers()) == [records[3]]


def test_a_torn_last_line_is_passed_over_with_a_note(path: Path) -> None:
    files.write(path, [sample(1, 1), b'{"time":1.1,"pid":10,"rs'])
    found = read_samples(path)
    assert [one.time for one in found] == [1.0]
    assert found.note == f"{str(path)!r}: its last line has no end and was passed over: it was cut, or is being written"


def test_every_prefix_is_readable(path: Path) -> None:
    # GIVEN
    whole = files.write(path, [sample(1, 1), {"time": 1, "pid": 10, "marker": "é"}, sample(2, 2)]).read_bytes()
    head = whole.index(b"\n") + 1
    for cut in range(head, len(whole) + 1):
        path.write_bytes(whole[:cut])
        # WHEN
        found = read_samples(path)
        records = list(found.records())
        # THEN
        assert len(records) == whole[head:cut].count(b"\n")
        assert (found.note is None) == whole[:cut].endswith(b"\n")


def test_a_file_that_grows(path: Path) -> None:
    """Each pass sees what was there when it came by."""
    files.write(path, [])
    found = read_samples(path)
    for number in range(1, 4):
        with open(path, "ab") as file:
            file.write(json.dumps(sample(number, 1)).encode() + b"\n")
        assert len(list(found)) == number


HOSTILE = [
    b"\xff\xfe\n",
    b"[1, 2]\n",
    b"null\n",
    b"\n",
    b"[" * 60_000 + b"\n",
    b'{"time": NaN, "pid": 10, "rss": 1}\n',
    b'{"time": 1e999, "pid": 10, "rss": 1}\n',
    b'{"time": -1, "pid": 10, "rss": 1}\n',
    b'{"time": true, "pid": 10, "rss": 1}\n',
    b'{"time": "1", "pid": 10, "rss": 1}\n',
    b'{"time": 1, "pid": 10, "rss": -1}\n',
    b'{"time": 1, "pid": 10, "rss": 1.5}\n',
    b'{"time": 1, "pid": 10, "rss": ' + b"9" * 30 + b"}\n",
    b'{"time": 1, "pid": 10, "rss": ' + b"9" * 50_000 + b"}\n",
    b'{"time": 1, "rss": 1}\n',
    b'{"time": 1, "pid": [], "rss": 1}\n',
    b'{"time": 1, "tree": 5}\n',
    b'{"time": 1, "pid": 1, "marker": 5}\n',
    b'{"time": 1, "pid": 1, "process": "exploded"}\n',
    b'{"marker": "' + b"x" * 200_000 + b'"}\n',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_damaged_line_is_passed_over_with_a_note(path: Path, line: bytes) -> None:
    files.write(path, [sample(1, 1), line, sample(2, 1)])
    found = read_samples(path)
    assert [one.time for one in found] == [1.0, 2.0]
    assert found.note == f"{str(path)!r}: a damaged line was passed over, line 3"


def test_damaged_lines_are_counted(path: Path) -> None:
    files.write(path, [b"a\n", sample(1, 1), b"b\n", b"c"])
    found = read_samples(path)
    assert len(list(found)) == 1
    assert "2 damaged lines were passed over, the first is line 2; its last line has no end" in str(found.note)


def test_values_that_cannot_be_are_none(path: Path) -> None:
    files.write(path, [sample(1, 1, peak_rss=-1, vms="x", user=float(10**18) * 100, threads=None, pss=True)])
    (one,) = read_samples(path)
    assert (one.peak_rss, one.vms, one.user, one.threads, one.pss, one.anon) == (None,) * 6


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text("0:-T\udc80é", max_size=9)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(st.dictionaries(st.sampled_from(sorted(files.HEADER)), VALUES))
def test_any_header_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]) -> None:
    path = files.write(tmp_path_factory.getbasetemp() / "any.rss", [sample(1, 1)], **changes)
    try:
        found = read_samples(path)
    except ValueError as error:
        assert str(path) in f"{error}"
        return
    assert len(list(found)) == 1
    assert found.start is None or found.start.tzinfo is not None
    assert (found.pid, found.host, found.interval, found.time, found.command) is not None


def test_a_start_without_an_offset_is_utc(path: Path) -> None:
    found = read_samples(files.write(path, [], start="2026-11-22T12:00:00"))
    assert found.start == datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is no file of samples"),
        (b'{"a": 1}\n', "is no file of samples"),
        (b"\x89PMT\r\n\x1a\n", "is no file of samples"),
        (b"x" * 300_000, "is no file of samples"),
        (b'{"pymemtrace": "9", "format": "samples"}\n', "no version"),
        (b'{"pymemtrace": "9", "format": "samples", "version": true}\n', "no version"),
        (b'{"pymemtrace": "9", "format": "samples", "version": 2}\n', "of version 2: this pymemtrace reads version 1"),
    ],
)
def test_another_file_is_one_sentence(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_samples(path)
    text = str(error.value)
    assert text.startswith(repr(str(path))) and said in text and "\n" not in text


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        read_samples(tmp_path / "none")
    assert error.value.filename == str(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read_samples(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_samples(tmp_path / "pipe")
