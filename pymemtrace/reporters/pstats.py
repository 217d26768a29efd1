"""Contexts as the standard library's pstats has them: functions, and what each did for each of its callers.

What cProfile counts while a program runs is counted here from the tree, so each caller has what its own calls did, to
the byte; nothing is shared out by numbers of calls. As there, a call is primitive where the function (for a caller:
this caller's call of it) does not run already, and a figure with all that was called is taken at primitive calls only,
so that recursion counts once.
"""

from __future__ import annotations

import marshal

from . import printable
from .contexts import Contexts, Frame

Function = tuple[str, int, str]  # file, line, name

UNITS = {"growth": "bytes of growth", "net": "bytes of net change", "time": "seconds"}  # measures that can be added up
_VERSION = 4  # of marshal's format: every Python since 3.4 reads it


def dump(contexts: Contexts, measure: str) -> bytes:
    """A file for pstats.Stats. measure: of UNITS. Sizes are whole numbers, negative ones among the nets.

    What nobody here called is called by `<all: UNIT>`. The own figures of all functions add up to its figure with all
    that was called.
    """
    return marshal.dumps(table(contexts, measure), _VERSION)


def table(contexts: Contexts, measure: str) -> dict[Function, tuple[object, ...]]:
    """Function -> (primitive calls, calls, own, with called, {caller: (calls, primitive calls, own, with called)})."""
    names: dict[Function, int] = {
        ("~", 0, f"<all: {UNITS[measure]}>"): 0
    }  # names that are shown alike are one function
    of_frame = [names.setdefault(_name(frame), len(names)) for frame in contexts.frames]
    functions = [_Figures() for _ in names]
    edges: dict[int, _Figures] = {}  # of a caller and what it calls, by their numbers
    own, total = contexts.own(measure), contexts.with_called(measure)
    functions[0].total = total[0]
    for number, entered in contexts.walk():
        parent = contexts.parent[number]
        callee = of_frame[contexts.frame[number]]
        caller = of_frame[contexts.frame[parent]] if parent else 0
        edge = edges.get(caller << 32 | callee)
        if edge is None:
            edge = edges[caller << 32 | callee] = _Figures()
        for one in (functions[callee], edge):
            if entered:
                one.enter(contexts.calls[number], own[number], total[number])
            else:
                one.running -= 1
    return _as_pstats(list(names), functions, edges)


def _name(frame: Frame) -> Function:
    return (printable(frame.file) or "~", frame.line, printable(frame.function))  # ~: what pstats has for no file


class _Figures:
    """Of a function, or of what it did for one caller."""

    __slots__ = ("calls", "own", "primitive", "running", "total")

    def __init__(self) -> None:
        self.calls = self.primitive = 0
        self.own: float = 0
        self.total: float = 0
        self.running = 0  # how often it is on the path

    def enter(self, calls: int, own: float, total: float) -> None:
        self.calls += calls
        self.own += own
        if not self.running:
            self.primitive += calls
            self.total += total
        self.running += 1


def _as_pstats(
    names: list[Function], functions: list[_Figures], edges: dict[int, _Figures]
) -> dict[Function, tuple[object, ...]]:
    """Functions that were not called and have called nothing are left out: special rows without figures."""
    callers: list[dict[Function, tuple[object, ...]]] = [{} for _ in names]
    for edge, one in edges.items():
        callers[edge & 0xFFFFFFFF][names[edge >> 32]] = (one.calls, one.primitive, one.own, one.total)
    return {
        name: (one.primitive, one.calls, one.own, one.total, called)  # in `callers` the first two change places
        for name, one, called in zip(names, functions, callers)
        if called or name == names[0]
    }
