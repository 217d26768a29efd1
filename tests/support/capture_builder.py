"""Makes captures from docs/capture-format.md alone, as plainly as can be: for tests of what reads them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAGIC = b"\x89PMT\r\n\x1a\n"
TEXT, DEFINITIONS, EVENTS, TOTALS, END = 1, 2, 3, 4, 5
CALL, RETURN, C_CALL, C_RETURN, C_EXCEPT, CHARGED = range(6)
COLUMNS = b"%-12s %-12s %-8s %-120s#%4s %-32s %12s\n" % (
    b"Event", b"Clock", b"What", b"File", b"line", b"Function", b"RSS",
)  # fmt: skip


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def string(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return varint(len(data)) + data


def file_header(version: int = 1, order: int = 0x0102, page: int = 4096, magic: bytes = MAGIC) -> bytes:
    return magic + struct.pack("<HHI", version, order, page)


def block(
    kind: int,
    payload: bytes,
    *,
    ring: tuple[int, int] = (0, 0),
    first: int = 0,
    events: int = 0,
    thread: int = 0,
    clock: int = 0,
    rss: int = 0,
    pair: tuple[int, int] = (0, 0),
) -> bytes:
    """A block with its header; pair: (clock, CLOCK_MONOTONIC in ns) at or after its last event."""

    def header(crc: int) -> bytes:
        return struct.pack("<4s3I3Q2I5Q", b"PMTB", kind, len(payload), crc, *ring, first, events, thread, clock, rss,
                           *pair, 0)  # fmt: skip

    return header(zlib.crc32(header(0) + payload)) + payload


def define_code(number: int, line: int, file: str | bytes, function: str | bytes) -> bytes:
    return b"\x01" + varint(number) + varint(line) + string(file) + string(function)


def define_site(number: int, code: int, what: int, line: int, c_name: str | bytes = "") -> bytes:
    return b"\x02" + varint(number) + varint(code) + bytes([what]) + zigzag(line) + string(c_name)


def define_thread(number: int, tid: int, name: str | bytes) -> bytes:
    return b"\x03" + varint(number) + varint(tid) + string(name)


def item(site: int, time: int = 0, pages: int = 0, *, before: int = 0, said: bool = True) -> bytes:
    """An event. said: the site by how far it is from the one before; else it must be the one that is predicted."""
    bits = 61 if time > 61 else time
    more = b""
    if 62 <= time < 62 + 256:
        bits, more = 62, bytes([time - 62])
    elif time >= 62 + 256:
        bits, more = 63, varint(time)
    first, far = int(said) | (2 if pages else 0) | bits << 2, site - before
    return (
        bytes([first])
        + more
        + (varint(16 + (2 * far if far >= 0 else -2 * far - 1)) if said else b"")
        + (zigzag(pages) if pages else b"")
    )


def thread_item(number: int) -> bytes:
    return b"\x01\x03" + varint(number)


def peak_item(site: int, size: int, event: int) -> bytes:
    return b"\x01\x05" + varint(site) + varint(size) + varint(event)


def tracer_item(size: int) -> bytes:
    return b"\x01\x06" + zigzag(size)


def nested_item(began: int, pages: int) -> bytes:
    return b"\x01\x07" + varint(began) + zigzag(pages)


def text_item(text: str) -> bytes:
    return b"\x01\x08" + string(text)


def total(file: str, line: int, function: str, net: int, times: int) -> bytes:
    return string(file) + zigzag(line) + string(function) + zigzag(net) + varint(times)


@dataclass
class Step:
    """An event as a test says it: site, time since the one before in clock units, change of RSS in pages."""

    site: int
    time: int = 1
    pages: int = 0
    thread: int = 0
    before: bytes = b""  # items that are no events


@dataclass
class Builder:
    """A whole capture, in blocks of `size` events. A clock unit is 100 ns; it began 1 s after the process."""

    page: int = 4096
    size: int = 100
    definitions: bytes = b""
    start_clock: int = 1000
    start_ns: int = 1_000_000_000
    message: str = ""
    keys: dict[str, str] = field(default_factory=lambda: {"pymemtrace": "0.1.0", "pid": "7", "log": "all"})
    end: str | None = "# events: {events}\n# end\n"
    totals: bytes | None = None

    def head(self) -> bytes:
        text = (
            self.message.encode()
            + "".join(f"# {key}: {value}\n" for key, value in self.keys.items()).encode()
            + COLUMNS
        )
        pair = (self.start_clock, self.start_ns)
        return file_header(page=self.page) + block(TEXT, text, clock=0, pair=pair)

    def _pair(self, clock: int) -> tuple[int, int]:
        return clock, self.start_ns + (clock - self.start_clock) * 100

    def blocks(self, steps: Iterable[Step]) -> list[bytes]:
        """The header, definitions, blocks of events, totals, end: a list, to be cut and mixed."""
        out = [self.head()]
        if self.definitions:
            out.append(block(DEFINITIONS, self.definitions, pair=self._pair(self.start_clock)))
        waiting = list(steps)
        clock, rss, thread, ring = self.start_clock, 0, 0, 0
        for start in range(0, len(waiting), self.size):
            part = waiting[start : start + self.size]
            begin = {"clock": clock, "rss": rss, "thread": thread, "first": start}
            payload, clock, rss, thread = self._payload(part, clock, rss, thread)
            ring_to = ring + len(part)
            out.append(
                block(EVENTS, payload, ring=(ring, ring_to), events=len(part), pair=self._pair(clock + 5), **begin)
            )
            ring = ring_to
        last = {"ring": (ring, ring), "pair": self._pair(clock + 6), "clock": clock, "rss": rss, "first": len(waiting)}
        if self.totals is not None:
            out.append(block(TOTALS, self.totals, **last))
        if self.end is not None:
            out.append(block(END, self.end.format(events=len(waiting)).encode(), **last))
        return out

    def _payload(self, part: Sequence[Step], clock: int, rss: int, thread: int) -> tuple[bytes, int, int, int]:
        payload, follows, before = bytearray(), dict[int, int](), 0
        for step in part:
            if step.thread != thread:
                payload += thread_item(step.thread)
                thread = step.thread
            payload += step.before
            predicted = follows.get(before % 65536) == step.site
            payload += item(step.site, step.time, step.pages, before=before, said=not predicted)
            follows[before % 65536] = before = step.site
            clock += step.time
            rss += step.pages * self.page
        return bytes(payload), clock, rss, thread

    def build(self, steps: Iterable[Step]) -> bytes:
        return b"".join(self.blocks(steps))
