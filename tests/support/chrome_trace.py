"""A reader of Chrome traces that believes nothing: what the Trace Event Format asks for is asserted.

The rules: an object with a list of `traceEvents`; each has a phase `ph`, a `pid` and, but for metadata, a `ts` in
microseconds; `B` and `E` events nest on their thread in the order of the file, and their times do not go back there;
PIDs and TIDs have 32 bits and are not 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_KEYS = {
    "M": {"ph", "pid", "tid", "name", "args"},
    "B": {"ph", "pid", "tid", "ts", "name", "cat", "args"},
    "E": {"ph", "pid", "tid", "ts", "args"},
    "C": {"ph", "pid", "ts", "name", "args"},
    "i": {"ph", "pid", "tid", "ts", "s", "name", "args"},
}


@dataclass
class Slice:
    """A call: begin and end in microseconds, what its two events say, what is within."""

    name: str
    begin: float
    args: dict[str, Any]
    category: str
    end: float = -1.0
    within: list[Slice] = field(default_factory=list)

    def walk(self) -> list[Slice]:
        found, waiting = [], [self]
        while waiting:
            one = waiting.pop()
            found.append(one)
            waiting += reversed(one.within)
        return found


@dataclass
class Trace:
    """What a viewer shows."""

    slices: dict[tuple[int, int], list[Slice]] = field(default_factory=dict)  # by process and thread: the outermost
    counters: dict[int, list[tuple[float, int]]] = field(default_factory=dict)  # by process: time, bytes
    instants: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[int, str] = field(default_factory=dict)
    threads: dict[tuple[int, int], str] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    def all_slices(self) -> list[Slice]:
        return [one for roots in self.slices.values() for root in roots for one in root.walk()]


def _strictly(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), f"a key twice: {pairs}"
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def read(text: str | bytes) -> Trace:
    whole = _strictly(text if isinstance(text, str) else text.decode("utf-8"))
    assert set(whole) == {"displayTimeUnit", "traceEvents", "otherData"} and whole["displayTimeUnit"] in ("ms", "ns")
    trace = Trace(other=whole["otherData"])
    open_slices: dict[tuple[int, int], list[Slice]] = {}
    last: dict[tuple[int, int], float] = {}
    for event in whole["traceEvents"]:
        phase = event["ph"]
        assert set(event) == _KEYS[phase], event
        assert 0 < event["pid"] < 1 << 32 and 0 < event.get("tid", 1) < 1 << 32, event
        place = (event["pid"], event.get("tid", 0))
        assert phase == "M" or (isinstance(event["ts"], (int, float)) and event["ts"] >= 0), event
        if phase in "BE":
            assert event["ts"] >= last.get(place, 0.0), f"back in time on {place}: {event}"
            last[place] = event["ts"]
        stack = open_slices.setdefault(place, [])
        if phase == "B":
            one = Slice(event["name"], event["ts"], event["args"], event["cat"])
            (stack[-1].within if stack else trace.slices.setdefault(place, [])).append(one)
            stack.append(one)
        elif phase == "E":
            assert stack, f"an end without its begin: {event}"
            ended = stack.pop()
            ended.end = event["ts"]
            assert not set(ended.args) & set(event["args"])
            ended.args.update(event["args"])
        elif phase == "C":
            assert event["name"] == "RSS" and set(event["args"]) == {"bytes"}
            trace.counters.setdefault(event["pid"], []).append((event["ts"], event["args"]["bytes"]))
        elif phase == "i":
            assert event["s"] in ("g", "p", "t")
            trace.instants.append(event)
        elif event["name"] == "process_name":
            trace.processes[event["pid"]] = event["args"]["name"]
        elif event["name"] == "thread_name":
            trace.threads[place] = event["args"]["name"]
    assert not any(open_slices.values()), "begun and never ended"
    return trace
