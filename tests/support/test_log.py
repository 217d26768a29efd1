"""The tests' own reader of logs must refuse what breaks the contract: else no test of a log can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import log

HEADER = log.PLAIN_HEADER
# The two examples of docs/log-format.md, as they stand there.
EXAMPLE = (
    "0            0.630983     CALL     /usr/lib/python3.11/contextlib.py" + " " * 87 + "# 238 helper" + " " * 26
    + "     41041920     41041920\n"
    + "42           0.631218     CALL     lib/python3.11/site-packages/psutil/__init__.py" + " " * 73
    + "# 818 create_time" + " " * 21 + "     41046016         4096\n"
)  # fmt: skip
PREVIOUS_EXAMPLE = (
    "NEXT: 0            +0      0.684542     CALL     /usr/lib/python3.11/contextlib.py" + " " * 47
    + "# 238 helper" + " " * 26 + "     41070592     41070592\n"
    + "PREV: 22           +22     0.684800     RETURN   /usr/lib/python3.11/threading.py" + " " * 48
    + "# 507 __init__" + " " * 24 + "     41070592            0\n"
    + "NEXT: 23           +23     11.109189    C_RETURN LASRead.py" + " " * 70
    + "# 527 clear" + " " * 27 + "     49676288      8605696\n"
)  # fmt: skip


def row(event: int, rss: int, drss: int, **more: object) -> bytes:
    values = {"clock": 1.0 + event, "what": b"CALL", "file": b"f.py", "line": 1, "function": b"f", **more}
    return log.PLAIN_ROW % (event, *values.values(), rss, drss)


def pair(tag: bytes, event: int, devent: int, rss: int, drss: int) -> bytes:
    return log.PREVIOUS_ROW % (tag, event, devent, 1.0 + event, b"CALL", b"f.py", 1, b"f", rss, drss)


def test_headers() -> None:
    # THEN the widths are those of the contract
    assert len(HEADER) == 206 + 1
    assert HEADER.split() == [b"Event", b"Clock", b"What", b"File", b"#line", b"Function", b"RSS"]
    assert len(log.PREVIOUS_HEADER.split()) == 9


def test_examples_of_the_contract() -> None:
    # WHEN
    plain = log.check(log.parse(HEADER + EXAMPLE.encode()), "threshold", comments=False)
    previous = log.check(log.parse(log.PREVIOUS_HEADER + PREVIOUS_EXAMPLE.encode()), "previous", comments=False)
    # THEN
    assert [each.function for each in plain.rows] == ["helper", "create_time"]
    assert plain.rows[1].file == "lib/python3.11/site-packages/psutil/__init__.py"
    assert [(each.tag, each.event, each.devent) for each in previous.rows] == [
        ("NEXT", 0, 0),
        ("PREV", 22, 22),
        ("NEXT", 23, 23),
    ]


@pytest.mark.parametrize("file", [b"", b" ", b"  x", b"a#b# c", b"#", b"x" * 120, b"y " * 200 + b"z", b"# 1 f 2 3"])
@pytest.mark.parametrize("function", [b"f", b"<?>", b"\\x20\\x23", b"g" * 5000])
def test_any_file_and_function_come_back(file: bytes, function: bytes) -> None:
    # WHEN
    for line in (row(0, 5, 5, file=file, function=function), row(0, 5, 5, file=file, function=function, line=123456)):
        got = log.parse_row(line, "plain")
        # THEN
        assert got.file.encode() == (file.rstrip(b" ") if len(file) <= 120 else file)
        assert got.function == log.unescape(function.decode())


@pytest.mark.parametrize(
    "text, name",
    [
        (r"a\nb\r\t\\", "a\nb\r\t\\"),
        (r"\x1b\x9f\u2028\ud800", "\x1b\x9f\u2028\ud800"),
        (r"\\n", r"\n"),
    ],
)
def test_unescape(text: str, name: str) -> None:
    assert log.unescape(text) == name


@pytest.mark.parametrize("text", ["\\", "\\q", "\\x1", "\\u12", "a\\"])
def test_unknown_escapes_are_refused(text: str) -> None:
    with pytest.raises(log.LogError):
        log.unescape(text)


COMMENTS = b"# pid: 1\n" + HEADER + b"# thread 7 MainThread\n"
END = b"# seconds: 1\n# end\n"


@pytest.mark.parametrize(
    "data, mode, wrong",
    [
        pytest.param(HEADER + row(0, 8, 8) + row(1, 9, 2), "all", "add up", id="drss"),
        pytest.param(HEADER + row(0, 8, 0), "all", "whole RSS", id="first_drss"),
        pytest.param(HEADER + row(1, 8, 8), "threshold", "event 0", id="first_event"),
        pytest.param(HEADER + row(0, 8, 8) + row(2, 8, 0), "all", "has event 2", id="gap"),
        pytest.param(HEADER + row(0, 8, 8) + row(0, 8, 0), "threshold", "do not rise", id="twice"),
        pytest.param(HEADER + row(0, 8, 8, clock=2.0) + row(1, 8, 0, clock=1.9), "all", "falls", id="clock"),
        pytest.param(HEADER + row(0, 8, 8) + row(1, 4103, 4095), "threshold", "less than", id="threshold"),
        pytest.param(HEADER + row(0, 8, 8), "none", "mode none", id="row_in_none"),
        pytest.param(HEADER + row(0, 8, 8), "previous", "layout", id="layout"),
        pytest.param(row(0, 8, 8), "all", "column header", id="no_header"),
        pytest.param(HEADER + row(0, 8, 8).replace(b" 8\n", b"8\n"), "all", "line 2", id="width"),
        pytest.param(HEADER + row(0, 8, 8).replace(b"CALL", b"CELL"), "all", "unknown event", id="what"),
        pytest.param(HEADER + row(0, 8, 8)[:-1], "all", "no line feed", id="cut"),
        pytest.param(HEADER + row(0, 8, 8, file=b"a\rb"), "all", "as it is", id="control"),
        pytest.param(HEADER + row(0, 8, 8, file="a\u2028b".encode()), "all", "as it is", id="separator"),
        pytest.param(HEADER + row(0, 8, 8, file=b"\xed\xa0\x80"), "all", "not UTF-8", id="surrogate"),
        pytest.param(HEADER + row(0, 8, 8, file=b"\\z"), "all", "escape", id="escape"),
        pytest.param(HEADER + row(0, 8, 8, function=b"a b"), "all", "line 2", id="space_in_function"),
        pytest.param(b"# pid: 1\n" + HEADER + row(0, 8, 8), "all", "switched off", id="comments_off"),
    ],
)
def test_what_breaks_the_contract_is_refused(data: bytes, mode: str, wrong: str) -> None:
    with pytest.raises(log.LogError, match=wrong):
        log.check(log.parse(data), mode, comments=False)


@pytest.mark.parametrize(
    "rows, wrong",
    [
        ([pair(b"PREV", 0, 0, 8, 8)], "first row"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"NEXT", 5, 5, 5000, 4992)], "without its PREV"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"PREV", 5, 5, 8, 0)], "without its NEXT"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"PREV", 5, 5, 8, 0), pair(b"NEXT", 7, 7, 5000, 4992)], "without its NEXT"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"PREV", 5, 4, 8, 0), pair(b"NEXT", 6, 6, 5000, 4992)], "another NEXT"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"PREV", 5, 5, 5000, 4992), pair(b"NEXT", 6, 6, 9900, 4900)], "have been"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"PREV", 5, 5, 8, 0), pair(b"NEXT", 6, 6, 9, 1)], "less than"),
        ([pair(b"NEXT", 0, 0, 8, 8), pair(b"NEXT", 1, 0, 5000, 4992)], "another NEXT"),
    ],
)
def test_broken_pairs_are_refused(rows: list[bytes], wrong: str) -> None:
    with pytest.raises(log.LogError, match=wrong):
        log.check(log.parse(log.PREVIOUS_HEADER + b"".join(rows)), "previous", comments=False)


def test_good_pairs() -> None:
    # GIVEN a pair, a NEXT right after a NEXT, a fall
    rows = [
        pair(b"NEXT", 0, 0, 8000, 8000),
        pair(b"PREV", 5, 5, 8010, 10),
        pair(b"NEXT", 6, 6, 20000, 11990),
        pair(b"NEXT", 7, 1, 30000, 10000),
        pair(b"PREV", 9, 2, 30000, 0),
        pair(b"NEXT", 10, 3, 100, -29900),
    ]
    # THEN
    assert len(log.check(log.parse(log.PREVIOUS_HEADER + b"".join(rows)), "previous", comments=False).rows) == 6


PEAK = b"# peak 99 between events 0 and 1 in a#b.py#3 f\n"


@pytest.mark.parametrize(
    "data, wrong",
    [
        (COMMENTS + row(0, 8, 8) + b"# events: 1\n", "not `# end`"),
        (COMMENTS + row(0, 8, 8) + b"# events: 2\n# end\n", "1 rows, and at the end"),
        (COMMENTS + row(0, 8, 8) + b"# end\n" + row(1, 8, 0), "not `# end`"),
        (COMMENTS + row(0, 8, 8) + b"# end\n" + END, "after `# end`"),
        (HEADER + row(0, 8, 8) + END, "no thread line"),
        (COMMENTS + b"# thread 7 MainThread\n" + row(0, 8, 8) + END, "without a change"),
        (COMMENTS + row(0, 8, 8) + b"# thread 8 other\n" + END, "without a row"),
        (COMMENTS + PEAK + row(0, 8, 8) + row(1, 8, 0) + END, "stands before"),
        (COMMENTS + row(0, 8, 8) + row(1, 8, 0) + PEAK + END, "stands after"),
        (b"# no pair\n" + COMMENTS + row(0, 8, 8) + END, "key: value"),
    ],
)
def test_broken_comments_are_refused(data: bytes, wrong: str) -> None:
    with pytest.raises(log.LogError, match=wrong):
        log.check(log.parse(data), "all")


def test_a_whole_log() -> None:
    # GIVEN
    data = COMMENTS + row(0, 8, 8) + PEAK + b"# thread 8 -\n" + row(1, 8, 0) + b"# tracer +4096\n" + row(2, 9, 1)
    # WHEN
    text = log.check(log.parse(b"the message\n" + data + b"# events: 3\n# end\n", message="the message"), "all")
    # THEN
    assert text.end == "end"
    assert text.names == {7: "MainThread", 8: "-"}
    assert [len(rows) for rows in text.threads()] == [1, 2]
    assert text.peaks == [log.Peak(99, 0, 1, "a#b.py", 3, "f")]
    assert text.tracer_growth == 4096
    assert [comment.text for comment in text.foot] == ["events: 3", "end"]
    assert text.head[0].pair == ("pid", "1")


def test_cut_log() -> None:
    # GIVEN a log whose last line is not whole
    data = COMMENTS + row(0, 8, 8) + row(1, 8, 0)[:50]
    # WHEN
    text = log.parse(data, complete=False)
    # THEN its whole rows can be had, and it does not pass for a complete one
    assert len(text.rows) == 1 and text.cut and text.end is None
    with pytest.raises(log.LogError):
        log.parse(data)


def test_message_must_be_first(check: Callable[..., log.Log] = log.parse) -> None:
    with pytest.raises(log.LogError, match="begin with its message"):
        check(COMMENTS, message="a message")
