"""What a recording says at its end, from the last bytes of its file: a run can be many files, and large ones."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO

from .lines import end_lines

_WINDOWS = (1 << 16, 1 << 22)  # bytes; a root's end has a line for each child that was not recorded
_BLOCK = struct.Struct("<4s3I3Q2I5Q")  # docs/capture-format.md
_LAST = struct.pack("<4sI", b"PMTB", 5)  # how the last block of a capture begins
_CRC_AT = 12


def lines_of(path: str, binary: bool) -> list[str]:
    """As `Capture` has them. Empty: there is no end, or not within the last 4 MiB. Raises: OSError."""
    lines: list[str] = []
    with open(path, "rb") as file:
        for window in _WINDOWS:
            data, whole = _last_bytes(file, window)
            lines, all_of_it = _of_capture(data) if binary else _of_log(data)
            if whole or all_of_it:
                break
    return lines


def _last_bytes(file: BinaryIO, size: int) -> tuple[bytes, bool]:
    """And whether that is the whole file."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - size))
    return file.read(size), length <= size


def _of_capture(data: bytes) -> tuple[list[str], bool]:
    """Of its last block, which must be whole and end where the file ends; and whether they were found."""
    at = data.rfind(_LAST)
    if at < 0 or len(data) - at < _BLOCK.size:
        return [], False
    size, crc = struct.unpack_from("<2I", data, at + 8)
    head, text = data[at : at + _BLOCK.size], data[at + _BLOCK.size :]
    without = head[:_CRC_AT] + bytes(4) + head[_CRC_AT + 4 :]
    if len(text) != size or zlib.crc32(without + text) != crc:
        return [], False
    return text.decode("utf-8", "replace").splitlines(), True


def _of_log(data: bytes) -> tuple[list[str], bool]:
    """Of the comments behind its last row; and whether more bytes would say no more."""
    if not data.endswith(b"\n"):
        return [], True
    lines = data[:-1].split(b"\n")
    first = len(lines)
    while first and lines[first - 1].startswith(b"# "):
        first -= 1
    found = end_lines([line.decode("utf-8", "replace") for line in lines[first:]])
    return found, len(lines) - len(found) >= 2 and bool(found or first >= 2)  # the first line may be a part of one
