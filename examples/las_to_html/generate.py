"""Make a folder of LAS files with invented logs: python generate.py FOLDER --size 2.4M --seed 1

The same size and seed give the same bytes on every machine and Python version. For that, the only source of chance is
`random.Random.random` (the one method whose sequence Python promises to keep) and values are made by plus and times
alone: logarithms and cosines differ between C libraries in their last bit.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

T = TypeVar("T")

SMALLEST, LARGEST = 4 * 1024, 32 * 1024 * 1024  # bytes of one file
NULL = -999.25
WIDTH = 11  # characters of a value with the blank before it: 7 values make a line of less than 80, as the format wants
PER_WRAPPED_LINE = 7
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class Curve(NamedTuple):
    """A log that wanders between low and high, in steps of at most `step`, all in `unit`."""

    mnemonic: str
    unit: str
    description: str
    low: float
    high: float
    step: float


CURVES = (
    Curve("GR", "GAPI", "Gamma ray", 5.0, 180.0, 12.0),
    Curve("CALI", "MM", "Caliper", 190.0, 420.0, 4.0),
    Curve("SP", "MV", "Spontaneous potential", -120.0, 40.0, 3.0),
    Curve("RHOB", "K/M3", "Bulk density", 1800.0, 2950.0, 30.0),
    Curve("DRHO", "K/M3", "Density correction", -150.0, 150.0, 8.0),
    Curve("NPHI", "V/V", "Neutron porosity", -0.05, 0.6, 0.02),
    Curve("PEF", "B/E", "Photoelectric factor", 1.2, 7.0, 0.2),
    Curve("DT", "US/M", "Sonic transit time", 140.0, 520.0, 10.0),
    Curve("DTS", "US/M", "Shear transit time", 250.0, 900.0, 20.0),
    Curve("ILD", "OHMM", "Deep resistivity", 0.2, 2000.0, 60.0),
    Curve("ILM", "OHMM", "Medium resistivity", 0.2, 2000.0, 60.0),
    Curve("SFLU", "OHMM", "Shallow resistivity", 0.2, 2000.0, 80.0),
    Curve("TEMP", "DEGC", "Borehole temperature", 8.0, 140.0, 0.3),
    Curve("TENS", "N", "Cable tension", 4000.0, 25000.0, 200.0),
)
COMPANIES = ("North Ridge Oil & Gas", "Saltmarsh Energy", "Blue Heron Petroleum <Exploration>", "Kettle Valley Ltd.")
FIELDS = ("Wildcat", "Old Mill", "Gannet", "Three Sisters")


def pick(random: Random, items: Sequence[T]) -> T:
    return items[int(random.random() * len(items))]


def wander(random: Random, curve: Curve) -> Iterator[str]:
    """Endless values of a curve as text of WIDTH characters, with stretches of nulls."""
    value = curve.low + (curve.high - curve.low) * random.random()
    null_text = f"{NULL:{WIDTH}.4f}"
    nulls_left = int(random.random() * 20)  # tools of one string begin at different depths
    while True:
        if nulls_left > 0:
            nulls_left -= 1
            yield null_text
            continue
        value += (random.random() - 0.5) * 2.0 * curve.step
        value = min(max(value, curve.low), curve.high)
        if random.random() < 0.002:
            nulls_left = 1 + int(random.random() * 25)
        yield f"{value:{WIDTH}.4f}"


def depths(start: int, step: int) -> Iterator[str]:
    """Endless depths as text. Start and step are in 0.1 mm, as whole numbers, so that no error adds up."""
    while True:
        yield f"{start / 10_000:{WIDTH}.4f}"
        start += step


def layout(fields: Sequence[str], wrapped: bool) -> str:
    """The lines of one depth. In wrapped mode the depth has a line of its own."""
    if not wrapped:
        return "".join(fields) + "\n"
    lines = [fields[0]]
    for first in range(1, len(fields), PER_WRAPPED_LINE):
        lines.append("".join(fields[first : first + PER_WRAPPED_LINE]))
    return "\n".join(lines) + "\n"


def header_line(mnemonic: str, unit: str, value: str, description: str) -> str:
    return f"{mnemonic:<5s}.{unit:<6s}{value:>24s}  : {description}"


def header(
    random: Random, number: int, curves: Sequence[Curve], wrapped: bool, first: int, last: int, step: int
) -> str:
    """All that comes before the data. Depths are in 0.1 mm. The length does not depend on first, last and step."""
    lines = [
        "~VERSION INFORMATION",
        header_line("VERS", "", "2.0", "CWLS LOG ASCII STANDARD - VERSION 2.0"),
        header_line(
            "WRAP", "", "YES" if wrapped else "NO", "MULTIPLE LINES PER DEPTH" if wrapped else "ONE LINE PER DEPTH"
        ),
        "~WELL INFORMATION",
        "#MNEM.UNIT                        VALUE  : DESCRIPTION",
        header_line("STRT", "M", f"{first / 10_000:.4f}", "First depth"),
        header_line("STOP", "M", f"{last / 10_000:.4f}", "Last depth"),
        header_line("STEP", "M", f"{step / 10_000:.4f}", "Step"),
        header_line("NULL", "", f"{NULL:.4f}", "Null value"),
        header_line("COMP", "", pick(random, COMPANIES), "Company"),
        header_line("WELL", "", f"Invented {number}", "Well"),
        header_line("FLD", "", pick(random, FIELDS), "Field"),
        header_line("LOC", "", f"{int(random.random() * 36) + 1:02d}-{number:04d}", "Location"),
        header_line("SRVC", "", "Dice Logging", "Service company"),
        header_line("DATE", "", f"2{int(random.random() * 9)}-MAR-1986 {int(random.random() * 24):02d}:30", "Date"),
        "~CURVE INFORMATION",
        header_line("DEPT", "M", "", "Depth"),
        *(header_line(curve.mnemonic, curve.unit, "", curve.description) for curve in curves),
        "~PARAMETER INFORMATION",
        header_line("MUD", "", "GEL CHEM", "Mud type"),
        header_line("BHT", "DEGC", f"{30.0 + 60.0 * random.random():.1f}", "Bottom hole temperature"),
        header_line("BS", "MM", "200.0", "Bit size"),
        "~OTHER",
        "The numbers of this file were made by a program.",
        "~ASCII",
    ]
    return "\n".join(lines) + "\n"


def write_file(path: Path, random: Random, number: int, size: int) -> int:
    """Write one file of `size` bytes, to half a depth (at least one depth). Returns its size. Raises OSError."""
    wrapped = random.random() < 0.25
    chosen = 4 + int(random.random() * (len(CURVES) - 3))
    curves = [curve for curve in CURVES if random.random() * len(CURVES) < chosen] or [CURVES[0]]
    row_size = len(layout([" " * WIDTH] * (1 + len(curves)), wrapped))
    # The header names the last depth, so the number of depths must be known first: every depth has the same size.
    rows = max(1, round((size - len(header(Random(0), number, curves, wrapped, 0, 0, 0))) / row_size))
    step = 100 if rows > 50_000 else pick(random, (1000, 1524, 5000))  # else the largest wells were 100 km deep
    first = int(random.random() * 2000) * 5000
    columns = [depths(first, step), *(wander(random, curve) for curve in curves)]
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(header(random, number, curves, wrapped, first, first + (rows - 1) * step, step))
        for _ in range(rows):
            file.write(layout([next(column) for column in columns], wrapped))
        return file.tell()


def draw_size(random: Random, total: int) -> int:
    """A size in bytes, every power of two as likely as the other, at most LARGEST and a third of the total."""
    most = max(SMALLEST, min(LARGEST, total // 3))
    octaves = max(1, (most // SMALLEST).bit_length())
    return min(most, int((SMALLEST << int(random.random() * octaves)) * (1.0 + random.random())))


def generate(folder: Path, size: int, seed: int) -> list[Path]:
    """Write files of `size` bytes together, to one depth, into `folder`, which is made if missing. Returns their paths.

    Raises ValueError when `size` is less than SMALLEST, FileExistsError when the folder has LAS files, OSError.
    """
    if size < SMALLEST:
        raise ValueError(f"the least size is {SMALLEST} bytes")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.las")):  # they would be read together with ours
        raise FileExistsError(f"{folder} has LAS files already")
    random = Random(seed)
    paths: list[Path] = []
    left = size
    while left > 0:
        wanted = draw_size(random, size)
        if left - wanted < SMALLEST:  # what would be left is too little for a file
            wanted = left
        path = folder / f"well_{len(paths) + 1:04d}.las"
        written = write_file(path, random, len(paths) + 1, wanted)
        left = 0 if wanted == left else left - written
        paths.append(path)
    return paths


def parse_size(text: str) -> int:
    """Bytes of a size such as 2.4M; K, M, G are powers of 1024. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)", text.upper())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 800K or 2.4M")
    size = int(float(match[1]) * UNITS[match[2]])
    if size < SMALLEST:
        raise argparse.ArgumentTypeError(f"the least size is {SMALLEST // 1024}K")
    return size


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (default: those of the process). Returns the exit status."""
    parser = argparse.ArgumentParser(description="Make a folder of LAS 2.0 files with invented logs.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="made if missing; must have no LAS files")
    parser.add_argument("--size", type=parse_size, default="2.4M", help="of all files together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other logs (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        paths = generate(args.folder, args.size, args.seed)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(paths)} files, {sum(path.stat().st_size for path in paths):,d} bytes in {args.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
