"""Read well logs in LAS 2.0, the text format of the Canadian Well Logging Society.

A file is a few header sections, each opened by a line that begins with `~`, and then `~ASCII`: one number per channel
and depth. Header lines are `MNEMONIC.UNIT  VALUE : DESCRIPTION`; lines that begin with `#` are comments.

Source: "LAS Version 2.0: A Digital Standard for Logs", CWLS, update of January 2014.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# The unit follows the first dot at once and may hold colons (hh:mm) but not end with one; the last colon of the line
# is the delimiter, so that a value may be a time of day.
HEADER_LINE = re.compile(
    r"""
    \s* (?P<mnemonic> [^.]+ )
    \.  (?P<unit> [^\s:]* (?: :[^\s:]+ )* )
        (?P<value> .* )
    :   (?P<description> [^:]* )
    """,
    re.VERBOSE,
)
# float() takes more than the format has: nan, inf, 1_000 and digits of other scripts.
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
PROBLEMS_KEPT = 100  # a file of another format may have one in every line; the rest is only counted


class LasError(Exception):
    """What makes it impossible to read on. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class Section(enum.Enum):
    """The sections of LAS 2.0 by the letter that follows the `~`."""

    VERSION = "V"
    WELL = "W"
    CURVE = "C"
    PARAMETER = "P"
    OTHER = "O"
    ASCII = "A"

    @classmethod
    def of_line(cls, line: Line) -> Section:
        """The section that this line opens. Raises LasError when there is no such section."""
        try:
            return cls(line.text[1:2].upper())
        except ValueError:
            raise LasError(line.number, f"unknown section {line.text!r}") from None


class Line(NamedTuple):
    """A line that says something: neither blank nor a comment. `number` counts all lines from 1."""

    number: int
    text: str

    @property
    def opens_section(self) -> bool:
        return self.text.startswith("~")


class HeaderLine(NamedTuple):
    """One line of a header section, its four parts without the blanks around them."""

    mnemonic: str
    unit: str
    value: str
    description: str


class Problem(NamedTuple):
    """What is wrong with a line of the file. Line 0 is the file as a whole."""

    line: int
    message: str


class Channel:
    """One column of numbers. `nulls` and `unreadable` count values, which `values` has as NaN."""

    def __init__(self, header: HeaderLine, null: float | None) -> None:
        self.header = header
        self.null = null
        self.nulls = 0
        self.unreadable = 0
        self._numbers: list[float] = []

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def mnemonic(self) -> str:
        return self.header.mnemonic

    @property
    def unit(self) -> str:
        return self.header.unit

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """All values in the order of the file, a copy; NaN for what is null or unreadable."""
        return np.array(self._numbers, dtype=np.float64)

    def is_null(self, number: float) -> bool:
        return number == self.null

    def add(self, text: str) -> None:
        """Append the value written as `text`. Raises ValueError, after appending NaN, when it is not a number."""
        try:
            number = to_number(text)
        except ValueError:
            self.unreadable += 1
            self._numbers.append(math.nan)
            raise
        if self.is_null(number):
            self.nulls += 1
            number = math.nan
        self._numbers.append(number)


class LasFile:
    """The contents of one file: header lines by section, free text, channels, and what was wrong with it."""

    def __init__(self, name: str, size: int = 0) -> None:
        self.name = name
        self.size = size  # bytes
        self.headers: dict[Section, list[HeaderLine]] = {section: [] for section in Section}
        self.other: list[str] = []
        self.channels: list[Channel] = []
        self.problems: list[Problem] = []
        self.problem_count = 0

    @property
    def rows(self) -> int:
        """Number of depths."""
        return len(self.channels[0]) if self.channels else 0

    @property
    def well(self) -> str:
        """Name of the well, empty when the file has none."""
        return self.value(Section.WELL, "WELL") or ""

    def value(self, section: Section, mnemonic: str) -> str | None:
        """Value of the first header line with this mnemonic, None when there is none."""
        for header in self.headers[section]:
            if header.mnemonic.upper() == mnemonic:
                return header.value
        return None

    def add_problem(self, line: int, message: str) -> None:
        self.problem_count += 1
        if self.problem_count <= PROBLEMS_KEPT:
            self.problems.append(Problem(line, message))


def to_number(text: str) -> float:
    """The number written as `text`. Raises ValueError when it is none or too large for a float."""
    if NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a number")
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text!r} is too large")
    return number


def significant_lines(file: Iterable[str]) -> Iterator[Line]:
    """The lines of a file without blank ones and comments, and without the blanks around them."""
    for number, raw in enumerate(file, start=1):
        text = raw.strip()
        if text and not text.startswith("#"):
            yield Line(number, text)


def parse_header_line(line: Line) -> HeaderLine:
    """Take a header line apart. Raises ValueError when dot or colon are missing."""
    match = HEADER_LINE.fullmatch(line.text)
    if match is None:
        raise ValueError("not of the form MNEMONIC.UNIT VALUE : DESCRIPTION")
    return HeaderLine(*(part.strip() for part in match.groups()))


class Reader:
    """Fills a LasFile from its lines. What is wrong with one line is noted, and reading goes on with the next."""

    def __init__(self, las_file: LasFile) -> None:
        self.las_file = las_file
        self.last_line = 0

    def read(self, file: Iterable[str]) -> None:
        """Read all lines. Raises LasError where reading on would give wrong numbers."""
        lines = significant_lines(file)
        section: Section | None = None
        for line in lines:
            self.last_line = line.number
            if line.opens_section:
                section = Section.of_line(line)
                if section is Section.ASCII:
                    self.read_data(lines)
                    return
            elif section is None:
                raise LasError(line.number, "text before the first section")
            elif section is Section.OTHER:
                self.las_file.other.append(line.text)
            else:
                self.read_header_line(section, line)
        raise LasError(self.last_line, "the file ends before its ~ASCII section")

    def read_header_line(self, section: Section, line: Line) -> None:
        try:
            header = parse_header_line(line)
        except ValueError as error:
            if section is Section.CURVE:  # a channel too few would shift all columns after it
                raise LasError(line.number, str(error)) from None
            self.las_file.add_problem(line.number, str(error))
        else:
            self.las_file.headers[section].append(header)

    def required(self, section: Section, mnemonic: str) -> str:
        """Value of a header line that every file must have. Raises LasError when this one does not have it."""
        value = self.las_file.value(section, mnemonic)
        if value is None:
            raise LasError(self.last_line, f"the data begin, but no line {mnemonic} has come in ~{section.name}")
        return value

    def null(self) -> float | None:
        """The number that stands for "not measured", None when the file does not name one."""
        text = self.las_file.value(Section.WELL, "NULL")
        if text is None:
            self.las_file.add_problem(self.last_line, "the data begin, but no line NULL has come in ~WELL")
            return None
        try:
            return to_number(text)
        except ValueError as error:
            self.las_file.add_problem(self.last_line, f"NULL: {error}")
            return None

    def is_wrapped(self) -> bool:
        """Whether a depth takes several lines. Raises LasError for a version or mode that is not of LAS 2.0."""
        version = self.required(Section.VERSION, "VERS")
        if not version.startswith("2."):
            raise LasError(self.last_line, f"this is LAS version {version}, and only 2.0 can be read")
        wrap = self.required(Section.VERSION, "WRAP").upper()
        if wrap not in ("YES", "NO"):
            raise LasError(self.last_line, f"WRAP is {wrap!r}, neither YES nor NO")
        return wrap == "YES"

    def read_data(self, lines: Iterable[Line]) -> None:
        wrapped = self.is_wrapped()
        null = self.null()
        self.las_file.channels = [Channel(header, null) for header in self.las_file.headers[Section.CURVE]]
        if not self.las_file.channels:
            raise LasError(self.last_line, "the data begin, but ~CURVE has named no channel")
        if wrapped:
            self.read_wrapped(lines)
        else:
            self.read_unwrapped(lines)

    def read_unwrapped(self, lines: Iterable[Line]) -> None:
        """One line is one depth. A line with too many or too few values is left out."""
        expected = len(self.las_file.channels)
        for line in self.data_lines(lines):
            fields = line.text.split()
            if len(fields) == expected:
                self.add_row(fields, line.number)
            else:
                self.las_file.add_problem(line.number, f"{len(fields)} values, not {expected}: line left out")

    def read_wrapped(self, lines: Iterable[Line]) -> None:
        """One depth takes as many lines as it needs. With a value too many, where the next begins cannot be known."""
        expected = len(self.las_file.channels)
        fields: list[str] = []
        for line in self.data_lines(lines):
            fields.extend(line.text.split())
            if len(fields) > expected:
                raise LasError(line.number, f"{len(fields)} values for one depth, not {expected}: reading stops here")
            if len(fields) == expected:
                self.add_row(fields, line.number)
                fields.clear()
        if fields:
            raise LasError(self.last_line, f"the file ends after {len(fields)} of the {expected} values of a depth")

    def data_lines(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            self.last_line = line.number
            if line.opens_section:
                raise LasError(line.number, f"section {line.text!r} after ~ASCII, which must be the last")
            yield line

    def add_row(self, fields: list[str], line: int) -> None:
        """Add one depth. `line` is the one that completes it."""
        for channel, text in zip(self.las_file.channels, fields):
            try:
                channel.add(text)
            except ValueError as error:
                self.las_file.add_problem(line, f"{channel.mnemonic}: {error}")


def read(path: Path) -> LasFile:
    """Read a LAS file. Never raises for what is in it, nor for an OSError: both become problems of the result."""
    las_file = LasFile(path.name)
    reader = Reader(las_file)
    try:
        las_file.size = path.stat().st_size
        # The format is ASCII; a foreign byte in the name of a company must not cost the whole file.
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            reader.read(file)
    except LasError as error:
        las_file.add_problem(error.line, error.message)
    except OSError as error:
        las_file.add_problem(0, f"cannot be read: {error.strerror}")
    return las_file
