"""Who grew, worked out from the rows of a log with every event: the charging rule once more, in the tests' own words.

Growth between two events belongs to what ran between them: at RETURN, C_RETURN and C_EXCEPT the function that ends, at
C_CALL the calling Python function, at CALL the caller.
"""

from __future__ import annotations

from collections import defaultdict

from support.log import Comment, Log, _tracer

Charges = dict[tuple[str, str], tuple[int, int]]  # (file, function) -> net bytes, times


def charges(text: Log, base: tuple[str, str]) -> Charges:
    """Charges of a whole log. `base`: file and function whose frame was open when the recording began."""
    net: dict[tuple[str, str], int] = defaultdict(int)
    times: dict[tuple[str, str], int] = defaultdict(int)
    stacks: dict[int, list[tuple[str, str]]] = defaultdict(lambda: [base])
    tracer = 0
    for item in text.items:
        if isinstance(item, Comment):
            match = _tracer(item)
            tracer += int(match["bytes"]) if match else 0
            continue
        stack = stacks[item.tid]
        own = (item.file, item.function)
        who = stack[-1] if item.what in ("CALL", "C_CALL") else own
        if item.what == "CALL":
            stack.append(own)
        elif item.what == "RETURN" and len(stack) > 1:
            assert stack.pop() == own, f"{item} leaves another frame"
        grown = item.drss - tracer if item.event else 0
        tracer = 0
        if grown:
            net[who] += grown
            times[who] += 1
    return {who: (net[who], times[who]) for who in net}


def by_function(growth: list[tuple[str, int, str, int, int]]) -> Charges:
    """What growth(-1) says, lines put together and the entries that are no function left out."""
    net: dict[tuple[str, str], int] = defaultdict(int)
    times: dict[tuple[str, str], int] = defaultdict(int)
    for file, _, function, grown, count in growth:
        if function not in ("<tracer>", "<suspended>"):
            net[file, function] += grown
            times[file, function] += count
    return {who: (net[who], times[who]) for who in net if times[who]}
