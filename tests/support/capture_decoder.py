"""A reader of captures in plain Python, from docs/capture-format.md alone: it shares no code with the package's."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

WHATS = ("CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT")
HEADER = struct.Struct("<4s3I3Q2I5Q")


class CaptureError(Exception):
    """What is wrong; for a cut, where the good part ends."""


class Bad(Exception):
    """A payload that is not valid."""


class Event(NamedTuple):
    event: int
    clock: float  # seconds since the process started
    what: str
    file: str
    line: int
    function: str
    rss: int
    drss: int
    tid: int


class Block(NamedTuple):
    kind: int
    ring_from: int
    ring_to: int
    first: int
    events: int
    thread: int
    clock: int
    rss: int
    pair: tuple[int, int]
    payload: bytes
    offset: int


@dataclass
class Bytes:
    """A payload that is read from its front. Raises: Bad."""

    data: bytes
    at: int = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        if not self:
            raise Bad("cut")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = 0
        for index in range(10):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if value >= 2**64:
                    break
                return value
        raise Bad("a number of more than 64 bits")

    def zigzag(self) -> int:
        value = self.varint()
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def string(self) -> str:
        n = self.varint()
        if n > len(self.data) - self.at:
            raise Bad("a string that is cut")
        self.at += n
        data = self.data[self.at - n : self.at]
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "backslashreplace")


@dataclass
class Capture:
    """All that is in a capture."""

    page: int = 0
    header: str = ""
    end: str | None = None
    complete: bool = False
    why: str = ""  # what ended it, "" for the end of the file
    events: list[Event] = field(default_factory=list)
    peaks: list[tuple[int, int, str, int, str]] = field(default_factory=list)
    notes: list[tuple[int, str, object]] = field(default_factory=list)  # (next event, "tracer", ...)
    threads: dict[int, str] = field(default_factory=dict)
    totals: list[tuple[str, int, str, int, int]] | None = None
    site_events: Counter[tuple[str, str, int, str]] = field(default_factory=Counter)  # of the whole recording


def blocks(data: bytes) -> Iterator[Block | str]:
    """Good blocks; last a text if something is wrong. Raises: CaptureError where the file header is wrong."""
    at = 16
    while at < len(data):
        if len(data) - at < HEADER.size:
            yield f"{at}: a block's header is cut"
            return
        magic, kind, n, crc, ring_from, ring_to, first, events, thread, clock, rss, pair_clock, pair_ns, _ = (
            HEADER.unpack_from(data, at)
        )
        raw = bytearray(data[at : at + HEADER.size])
        raw[12:16] = bytes(4)
        payload = data[at + HEADER.size : at + HEADER.size + n]
        if magic != b"PMTB" or n > 2**24:
            yield f"{at}: no block"
            return
        if len(payload) < n:
            yield f"{at}: a block is cut"
            return
        if zlib.crc32(bytes(raw) + payload) != crc:
            yield f"{at}: CRC"
            return
        yield Block(kind, ring_from, ring_to, first, events, thread, clock, rss, (pair_clock, pair_ns), payload, at)
        at += HEADER.size + n


def page_of(data: bytes) -> int:
    if len(data) < 16 or data[:8] != b"\x89PMT\r\n\x1a\n":
        raise CaptureError("no capture")
    version, order, page = struct.unpack_from("<HHI", data, 8)
    if order != 0x0102:
        raise CaptureError("byte order")
    if version != 1:
        raise CaptureError(f"version {version}")
    if page & page - 1 or not 1024 <= page <= 2**30:
        raise CaptureError("page size")
    return int(page)


class Decoder:
    """Of one capture, block by block."""

    def __init__(self, page: int) -> None:
        self.out = Capture(page=page)
        self.codes: dict[int, tuple[str, int, str]] = {}
        self.sites: dict[int, tuple[int, str, int, str]] = {}
        self.threads: dict[int, tuple[int, str]] = {}
        self.start_ns = 0
        self.pair = (0, 0)
        self.slope = 0.0  # ns a clock unit
        self.last_us = 0
        self.rss = 0
        self.seen: dict[int, int] = {}  # events of a site, in its present meaning

    def take(self, block: Block) -> None:
        payload = Bytes(block.payload)
        if block.kind == 1:
            self.out.header += block.payload.decode("utf-8", "surrogatepass")
            self.start_ns, self.pair = block.clock, block.pair
        elif block.kind == 2:
            self.define(payload)
        elif block.kind == 3:
            self.play(block, payload)
        elif block.kind == 4:
            self.out.totals = self.out.totals or []
            while payload:
                file, line, function = payload.string(), payload.zigzag(), payload.string()
                if not file and not function:
                    function = "<other functions>" if line < 0 else "<interpreter>"
                self.out.totals.append((file, line, function, payload.zigzag(), payload.varint()))
        elif block.kind == 6:
            if payload.byte():
                while payload:
                    self.count(payload.varint(), payload)
        elif block.kind == 5:
            self.out.end = (self.out.end or "") + block.payload.decode("utf-8", "surrogatepass")
            self.out.complete = True

    def define(self, payload: Bytes) -> None:
        while payload:
            kind, number = payload.byte(), payload.varint()
            if number >= 2**28:
                raise Bad("a large id")
            if kind == 4:
                self.count(number, payload)
            elif kind == 1:
                line = payload.varint()
                self.codes[number] = (payload.string(), line, payload.string())
            elif kind == 2:
                code, what, line, name = payload.varint(), payload.byte(), payload.zigzag(), payload.string()
                if number < 16 or code not in self.codes or what > 5:
                    raise Bad("a site")
                self.retire(number)
                file, _, function = self.codes[code]
                self.sites[number] = (what, file, line, (name if 2 <= what <= 4 else function) or "<?>")
            elif kind == 3:
                self.threads[number] = (payload.varint(), payload.string())
            else:
                raise Bad(f"definition {kind}")

    def count(self, site: int, payload: Bytes) -> None:
        """What a site had seen so far is said."""
        self.seen[site] = payload.varint()
        payload.zigzag()

    def retire(self, site: int) -> None:
        events = self.seen.pop(site, 0)
        if events and self.sites[site][0] <= 4:
            what, *place = self.sites[site]
            self.out.site_events[WHATS[what], place[0], place[1], place[2]] += events

    def place(self, site: int) -> tuple[str, int, str]:
        if site not in self.sites:
            raise Bad(f"site {site} is not defined")
        _, file, line, function = self.sites[site]
        return file, line, function

    def seconds(self, clock: int, block: Block) -> float:
        units = block.pair[0] - self.pair[0]
        if units > 0:
            self.slope = (block.pair[1] - self.pair[1]) / units
        ns = self.pair[1] - self.start_ns + int((clock - self.pair[0]) * self.slope)
        self.last_us = max(self.last_us, ns // 1000)
        return self.last_us / 1e6

    def play(self, block: Block, payload: Bytes) -> None:
        clock, rss, thread, number, site = block.clock, block.rss, block.thread, block.first, 0
        follows: dict[int, int] = {}
        while payload:
            first = payload.byte()
            time = first >> 2
            if time == 62:
                time = 62 + payload.byte()
            elif time == 63:
                time = payload.varint()
            if first & 1:
                said = payload.varint()
                if said >= 16:
                    said = site + ((said - 16) >> 1 ^ -(said & 1))
                    if said < 16:
                        raise Bad("a site")
            else:
                said = follows.get(site % 65536, 0)
            pages = payload.zigzag() if first & 2 else 0
            if said < 16:
                if first != 1:
                    raise Bad("an event without a site")
                if said == 3:
                    thread = payload.varint()
                elif said == 5:
                    charged, size, event = payload.varint(), payload.varint(), payload.varint()
                    where = self.place(charged) if charged else ("<?>", 0, "<?>")
                    self.out.peaks.append((size, event, *where))
                elif said == 6:
                    self.out.notes.append((number, "tracer", payload.zigzag()))
                elif said == 7:
                    began, change = payload.varint(), payload.zigzag()
                    rss += change * self.out.page
                    self.out.notes.append((number, "nested", (began, change)))
                elif said == 8:
                    self.out.notes.append((number, "text", payload.string()))
                else:
                    raise Bad(f"escape {said}")
                continue
            where = self.place(said)
            what = self.sites[said][0]
            if what > 4:
                raise Bad("an event at a place that is none")
            clock += time
            rss += pages * self.out.page
            tid, name = self.threads.get(thread, (0, ""))
            if thread in self.threads and (name or tid not in self.out.threads):
                self.out.threads[tid] = name
            self.out.events.append(
                Event(number, self.seconds(clock, block), WHATS[what], *where, rss, rss - self.rss, tid)
            )
            self.rss = rss
            number += 1
            self.seen[said] = self.seen.get(said, 0) + 1
            follows[site % 65536] = site = said
        if number != block.first + block.events:
            raise Bad("another number of events")
        if block.pair[0] > self.pair[0]:
            self.pair = block.pair


def decode(data: bytes, segments: Sequence[bytes] = ()) -> Capture:
    """Segments: the contents of NAME.1, NAME.2 ... in order. Raises: CaptureError when it is no capture."""
    decoder = Decoder(page_of(data))
    found = False
    ordered: Iterable[Block | str] = blocks(data)
    if segments:  # all of them whole
        ordered = [block for part in (data, *segments) for block in blocks(part)]
        ordered = sorted(ordered, key=_place)  # type: ignore[arg-type]
    for block in ordered:
        if isinstance(block, str):
            decoder.out.why = block
            decoder.out.complete = False
            break
        if decoder.out.complete and block.kind != 5:
            decoder.out.why = f"{block.offset}: after the end"
            decoder.out.complete = False
            break
        if not found and block.kind != 1:
            raise CaptureError("the first block is not the header")
        found = True
        try:
            decoder.take(block)
        except Bad as error:
            decoder.out.why = f"{block.offset}: {error}"
            decoder.out.complete = False
            break
    if not found:
        raise CaptureError("no header block")
    for site in list(decoder.seen):
        decoder.retire(site)
    return decoder.out


def _place(block: Block) -> tuple[int, int, int]:
    """Header, then by ring from (sites, definitions, events), then totals and end."""
    return ({1: 0, 4: 2, 5: 3}.get(block.kind, 1), block.ring_from, {6: 0, 2: 1}.get(block.kind, 2))


def read(path: str | os.PathLike[str]) -> Capture:
    name = os.fspath(path)
    folder, base = os.path.split(name)
    numbers = [file[len(base) + 1 :] for file in os.listdir(folder or ".") if file.startswith(f"{base}.")]
    segments = []
    for number in sorted(int(text) for text in numbers if text.isdigit()):
        with open(f"{name}.{number}", "rb") as file:
            segments.append(file.read())
    with open(path, "rb") as file:
        return decode(file.read(), segments)
