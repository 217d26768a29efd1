"""A reader of the text log, written from docs/log-format.md alone.

It is the tests' own: it shares nothing with the code that writes logs or with the package's readers. Rows are taken
apart from their right end, put together again with Python's own % operator, and must come out byte for byte as they
were. `check` then holds the rows to the rules of their mode.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

WHATS = ("CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT")

PLAIN_HEADER = b"%-12s %-12s %-8s %-120s#%4s %-32s %12s\n" % (
    b"Event", b"Clock", b"What", b"File", b"line", b"Function", b"RSS",
)  # fmt: skip
PREVIOUS_HEADER = b"      %-12s %-6s  %-12s %-8s %-80s#%4s %-32s %12s %12s\n" % (
    b"Event", b"dEvent", b"Clock", b"What", b"File", b"line", b"Function", b"RSS", b"dRSS",
)  # fmt: skip
PLAIN_ROW = b"%-12d %-12.6f %-8s %-120s#%4d %-32s %12d %12d\n"
PREVIOUS_ROW = b"%s: %-12d +%-6d %-12.6f %-8s %-80s#%4d %-32s %12d %12d\n"
WIDTHS = {"plain": 120, "previous": 80}  # of the file's column

# A row is numbers, a middle (what, file, line, function) that comes again and again, numbers.
_PLAIN = re.compile(
    rb"(?P<event>[0-9]+) +(?P<clock>[0-9]+\.[0-9]{6}) +"
    rb"(?P<middle>[A-Z_]+ .*#.*[^ ]) +(?P<rss>[0-9]+) +(?P<drss>-?[0-9]+)\n",
    re.DOTALL,
)
_PREVIOUS = re.compile(
    rb"(?P<tag>PREV|NEXT): (?P<event>[0-9]+) +\+(?P<devent>-?[0-9]+) +(?P<clock>[0-9]+\.[0-9]{6}) +"
    rb"(?P<middle>[A-Z_]+ .*#.*[^ ]) +(?P<rss>[0-9]+) +(?P<drss>-?[0-9]+)\n",
    re.DOTALL,
)
_MIDDLE = re.compile(rb"(?P<what>[A-Z_]+) +(?P<file>.*)#(?P<line> *-?[0-9]+) (?P<function>[^ #]+)", re.DOTALL)
_THREAD = re.compile(r"thread (?P<tid>[0-9]+) (?P<name>.+)")
_PEAK = re.compile(
    r"peak (?P<bytes>[0-9]+) between events (?P<before>[0-9]+) and (?P<after>[0-9]+)"
    r" in (?P<file>.*)# *(?P<line>-?[0-9]+) (?P<function>[^ #]+)"
)
_TRACER = re.compile(r"tracer (?P<bytes>[+-][0-9]+)")
_END = re.compile(r"end(?:\W|$)")
_ESCAPE = re.compile(r"\\(?:n|r|t|\\|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
_STRAY_BACKSLASH = re.compile(r"\\")
# What may never stand in a line as it is: control characters of both sets, line and paragraph separators, surrogates.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class LogError(AssertionError):
    """The log breaks its contract; the text says where and how."""


class Row(NamedTuple):
    """One event line."""

    event: int
    clock: float
    what: str
    file: str
    line: int
    function: str
    rss: int
    drss: int
    tag: str  # "", "PREV" or "NEXT"
    devent: int  # 0 in the plain layout
    tid: int  # of the last `# thread` line; 0 where there was none

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What a reference recorder sees of this event."""
        return (self.what, self.file, self.line, self.function)


class Comment(NamedTuple):
    """One line that is not an event, without its `# `."""

    text: str

    @property
    def pair(self) -> tuple[str, str] | None:
        key, colon, value = self.text.partition(": ")
        return (key, value) if colon else None


class Peak(NamedTuple):
    """One `# peak` line."""

    bytes: int
    before: int
    after: int
    file: str
    line: int
    function: str


@dataclass
class Log:
    """One text log, taken apart."""

    message: str = ""
    layout: str = ""  # "plain", "previous" or "" when the column header is missing
    head: list[Comment] = field(default_factory=list)  # before the column header
    items: list[Row | Comment] = field(default_factory=list)  # after it, in order
    cut: bool = False  # the last line was not complete
    names: dict[int, str] = field(default_factory=dict)  # tid -> last name given

    @functools.cached_property
    def rows(self) -> list[Row]:
        return [item for item in self.items if isinstance(item, Row)]

    @functools.cached_property
    def comments(self) -> list[Comment]:
        return [item for item in self.items if isinstance(item, Comment)]

    @property
    def foot(self) -> list[Comment]:
        """Comments after the last row."""
        foot: list[Comment] = []
        for item in reversed(self.items):
            if isinstance(item, Row):
                break
            foot.insert(0, item)
        return foot

    @property
    def end(self) -> str | None:
        """The last line from `end` on, None for a log that was cut short."""
        if self.cut or not self.items or not isinstance(self.items[-1], Comment):
            return None
        text = self.items[-1].text
        return text if _END.match(text) else None

    @property
    def peaks(self) -> list[Peak]:
        return [peak for peak in map(_peak, self.comments) if peak is not None]

    @property
    def tracer_growth(self) -> int:
        """Sum of the `# tracer +BYTES` lines."""
        return sum(int(match["bytes"]) for match in map(_tracer, self.comments) if match is not None)

    def calls(self, function: str) -> int:
        """How many CALLs of it there are."""
        return sum(row.what == "CALL" and row.function == function for row in self.rows)

    def threads(self) -> list[list[Row]]:
        """Rows of each thread, threads in the order of their first row."""
        threads: dict[int, list[Row]] = {}
        for row in self.rows:
            threads.setdefault(row.tid, []).append(row)
        return list(threads.values())


def unescape(text: str) -> str:
    """The name that a field of a row stands for."""
    if "\\" not in text:
        return text
    if _STRAY_BACKSLASH.search(_ESCAPE.sub("", text)):
        raise LogError(f"unknown escape in {text!r}")
    return _ESCAPE.sub(_unescape_one, text)


def _unescape_one(match: re.Match[str]) -> str:
    escape = match[0]
    plain = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}.get(escape)
    return plain if plain is not None else chr(int(escape[2:], 16))


class _Middle(NamedTuple):
    fields: tuple[bytes, bytes, int, bytes]  # what, file, line, function as they stand in the row
    what: str
    file: str
    line: int
    function: str


@functools.lru_cache(maxsize=200_000)
def _middle(middle: bytes, width: int) -> _Middle:
    """What stands between the numbers of a row. Raises LogError."""
    match = _MIDDLE.fullmatch(middle)
    if match is None:
        raise LogError(f"not what, file, line and function: {middle!r}")
    what = match["what"]
    # The file begins where the padded `what` and one space end; it may begin with spaces itself. Only padding can end
    # a field that is no wider than its column.
    file = middle[max(8, len(what)) + 1 : match.end("file")]
    if len(file) <= width:
        file = file.rstrip(b" ")
    try:
        text = middle.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogError(f"not UTF-8: {middle!r}") from error
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        raise LogError(f"holds {bad[0]!r} as it is: {middle!r}")
    if what.decode() not in WHATS:
        raise LogError(f"unknown event {what!r}")
    line, function = int(match["line"]), match["function"]
    return _Middle(
        (what, file, line, function), what.decode(), unescape(file.decode()), line, unescape(function.decode())
    )


def _peak(comment: Comment) -> Peak | None:
    if not comment.text.startswith("peak "):
        return None
    match = _PEAK.fullmatch(comment.text)
    if match is None:
        raise LogError(f"not a peak line: {comment.text!r}")
    return Peak(
        int(match["bytes"]),
        int(match["before"]),
        int(match["after"]),
        unescape(match["file"]),
        int(match["line"]),
        unescape(match["function"]),
    )


def _tracer(comment: Comment) -> re.Match[str] | None:
    return _TRACER.fullmatch(comment.text)


def parse_row(line: bytes, layout: str, tid: int = 0) -> Row:
    """One event line with its line feed. Raises LogError unless its fields, formatted again, give the same bytes."""
    plain = layout == "plain"
    match = (_PLAIN if plain else _PREVIOUS).fullmatch(line)
    if match is None:
        raise LogError(f"not a row: {line!r}")
    middle = _middle(match["middle"], WIDTHS[layout])
    event, clock, rss, drss = int(match["event"]), float(match["clock"]), int(match["rss"]), int(match["drss"])
    if plain:
        tag, devent = "", 0
        again = PLAIN_ROW % (event, clock, *middle.fields, rss, drss)
    else:
        tag, devent = match["tag"].decode(), int(match["devent"])
        again = PREVIOUS_ROW % (match["tag"], event, devent, clock, *middle.fields, rss, drss)
    if again != line:
        raise LogError(f"fields formatted again differ:\n{line!r}\n{again!r}")
    return Row(event, clock, middle.what, middle.file, middle.line, middle.function, rss, drss, tag, devent, tid)


def parse(data: bytes, *, message: str = "", complete: bool = True) -> Log:
    """Take a whole log apart.

    Args: message: the opening message that the user gave. complete: False allows a last line without line feed.
    Raises: LogError.
    """
    log = Log(message=message)
    first = message.encode("utf-8", "backslashreplace")
    if not data.startswith(first):
        raise LogError(f"does not begin with its message: {data[: len(first) + 80]!r}")
    data = data[len(first) :]
    if first and not first.endswith(b"\n") and data.startswith(b"\n"):
        data = data[1:]
    lines = data.split(b"\n")
    tail = lines.pop()
    if tail:
        if complete:
            raise LogError(f"last line has no line feed: {tail!r}")
        log.cut = True
    tid = 0
    for number, line in enumerate((each + b"\n" for each in lines), 1):
        if line.startswith(b"# "):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise LogError(f"line {number} is not UTF-8: {line!r}") from error
            bad = _FORBIDDEN.search(text[:-1].replace("\t", " "))
            if bad is not None:
                raise LogError(f"line {number} holds {bad[0]!r} as it is: {line!r}")
            comment = Comment(text[2:-1])
            if not log.layout:
                log.head.append(comment)
                continue
            log.items.append(comment)
            if comment.text.startswith("thread "):
                match = _THREAD.fullmatch(comment.text)
                if match is None:
                    raise LogError(f"line {number} is no thread line: {line!r}")
                tid = int(match["tid"])
                log.names[tid] = match["name"]
        elif not log.layout:
            if line == PLAIN_HEADER:
                log.layout = "plain"
            elif line == PREVIOUS_HEADER:
                log.layout = "previous"
            else:
                raise LogError(f"line {number} is neither a comment nor the column header: {line!r}")
        else:
            try:
                log.items.append(parse_row(line, log.layout, tid))
            except LogError as error:
                raise LogError(f"line {number}: {error}") from None
    return log


def check_sums(rows: Iterable[Row]) -> None:
    """dRSS adds up to RSS, event numbers rise, the clock never falls."""
    last: Row | None = None
    for row in rows:
        if last is None:
            if row.event != 0:
                raise LogError(f"first row is not event 0: {row}")
            if row.drss != row.rss:
                raise LogError(f"dRSS of the first row is not the whole RSS: {row}")
        else:
            if row.event <= last.event:
                raise LogError(f"event numbers do not rise: {last} {row}")
            if row.clock < last.clock:
                raise LogError(f"the clock falls: {last} {row}")
            if row.drss != row.rss - last.rss:
                raise LogError(f"dRSS does not add up: {last} {row}")
        last = row


def check_all(rows: list[Row]) -> None:
    """Mode `all`: no number is missing."""
    for number, row in enumerate(rows):
        if row.event != number:
            raise LogError(f"row {number} has event {row.event}")


def check_threshold(rows: list[Row], threshold: int) -> None:
    """Mode `threshold`: each row is at least the threshold away from the row before."""
    for last, row in zip(rows, rows[1:]):
        if abs(row.rss - last.rss) < threshold:
            raise LogError(f"moved less than {threshold}: {last} {row}")


def check_previous(rows: list[Row], threshold: int) -> None:
    """Mode `previous`: the rules of tags, of dEvent and of the threshold."""
    if rows and (rows[0].tag != "NEXT" or rows[0].devent != 0):
        raise LogError(f"first row is not `NEXT: 0 +0`: {rows[0]}")
    anchor: Row | None = None  # the last NEXT before this line
    for index, row in enumerate(rows):
        if anchor is None:
            anchor = row
            continue
        before = rows[index - 1]
        if row.devent != row.event - anchor.event:
            raise LogError(f"dEvent counts from another NEXT: {anchor} {row}")
        moved = abs(row.rss - anchor.rss)
        if row.tag == "PREV":
            if index + 1 == len(rows) or rows[index + 1].tag != "NEXT" or rows[index + 1].event != row.event + 1:
                raise LogError(f"PREV without its NEXT: {row}")
            if before.tag == "PREV":
                raise LogError(f"two PREV in a row: {before} {row}")
            if before.event >= row.event:
                raise LogError(f"PREV repeats a row: {before} {row}")
            if threshold and moved >= threshold:
                raise LogError(f"PREV should have been a NEXT: {anchor} {row}")
        else:
            if before.event != row.event - 1:
                raise LogError(f"NEXT without its PREV: {before} {row}")
            if moved < threshold:
                raise LogError(f"NEXT moved less than {threshold}: {anchor} {row}")
            anchor = row


def check_comments(log: Log) -> None:
    """Thread lines stand where the thread changes, peak lines where their events are, and the last line is `# end`."""
    if log.end is None:
        raise LogError("the last line is not `# end`")
    tid = 0
    seen = -1  # event number of the last row
    waiting: list[Peak] = []  # peak lines whose next row is still to come
    for index, item in enumerate(log.items):
        if isinstance(item, Row):
            if not item.tid:
                raise LogError(f"no thread line before {item}")
            for peak in waiting:
                # a PREV row is only written with its NEXT, and so after the peak between the two
                if item.event < (peak.before if item.tag == "PREV" else peak.after):
                    raise LogError(f"{peak} stands before {item}")
            waiting.clear()
            seen = item.event
        elif item.text.startswith("thread "):
            match = _THREAD.fullmatch(item.text)
            assert match is not None
            if int(match["tid"]) == tid:
                raise LogError(f"thread line without a change of thread: {item}")
            tid = int(match["tid"])
            if not any(isinstance(later, Row) for later in log.items[index + 1 : index + 10]):
                raise LogError(f"thread line without a row of its thread: {item}")
        elif item.text.startswith("peak "):
            found = _peak(item)
            assert found is not None
            if found.after != found.before + 1 or found.before < seen:
                raise LogError(f"{found} stands after event {seen}")
            waiting.append(found)
        elif _END.match(item.text) and index + 1 != len(log.items):
            raise LogError("lines after `# end`")


def check(log: Log, mode: str, *, threshold: int = 4096, comments: bool = True) -> Log:
    """Hold a complete log to the rules of its mode. Returns the log."""
    layout = "previous" if mode == "previous" else "plain"
    if log.layout != layout:
        raise LogError(f"layout {log.layout!r} for mode {mode!r}")
    rows = log.rows
    if mode == "none":
        if rows:
            raise LogError(f"mode none has rows: {rows[0]}")
    else:
        check_sums(rows)
    if mode == "all":
        check_all(rows)
        counted = [comment.text for comment in log.foot if comment.text.startswith("events: ")]
        if counted and counted != [f"events: {len(rows)}"]:
            raise LogError(f"{len(rows)} rows, and at the end {counted}")
    elif mode == "threshold":
        check_threshold(rows, threshold)
    elif mode == "previous":
        check_previous(rows, threshold)
    if comments:
        check_comments(log)
        if not log.head or any(comment.pair is None for comment in log.head):
            raise LogError(f"lines before the column header are not `# key: value`: {log.head}")
    elif log.head or log.comments:
        raise LogError("comments were switched off")
    return log


def read(path: str | Path, mode: str, *, threshold: int = 4096, comments: bool = True, message: str = "") -> Log:
    """Parse and check the file of a recording that ended regularly."""
    return check(parse(Path(path).read_bytes(), message=message), mode, threshold=threshold, comments=comments)


def calls(path: str | Path, function: str) -> int:
    """How many CALLs of it there are in the whole log of mode `all`."""
    return read(path, "all").calls(function)
