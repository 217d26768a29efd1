"""Contexts added up by function, file, module or line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .contexts import FIRST, Contexts, Frame


@dataclass
class Group:
    """Functions that belong together. Sizes in bytes; own: without what they called; total: with it.

    A call is in `total` once, however often it is below itself: a function that calls itself does not count twice what
    its inner calls did.
    """

    name: str  # of a function, file or module
    file: str  # "": there is none, or more than one
    line: int  # 0: likewise
    kind: str  # python, c, special; of files and modules python
    calls: int = 0
    growth: int = 0
    net: int = 0
    peak: int = 0
    time: float = 0.0  # seconds
    growth_total: int = 0
    net_total: int = 0
    peak_total: int = 0
    time_total: float = 0.0

    def own(self, measure: str) -> float:
        """By one of contexts.MEASURES."""
        value: float = getattr(self, measure)
        return value

    def total(self, measure: str) -> float:
        value: float = self.calls if measure == "calls" else getattr(self, f"{measure}_total")
        return value


def added_up(contexts: Contexts, by: str) -> list[Group]:
    """Every function, file, module or line; `<tracer>` and its like come first, if RSS changed there.

    by: function; file (that of a C function is its caller's); module; or line: where a Python function begins, the C
    functions that it calls being counted for it.
    """
    groups, of_context = _groups(contexts, by)
    for number, group in enumerate(of_context):
        one = groups[group]
        one.calls += contexts.calls[number]
        one.growth += contexts.up[number]
        one.net += contexts.up[number] + contexts.down[number]
        one.peak = max(one.peak, contexts.peak[number])
        one.time += contexts.seconds[number]
    sums = contexts.sums()
    on_path = [0] * len(groups)
    for number, entered in contexts.walk():
        group = of_context[number]
        if not entered:
            on_path[group] -= 1
            continue
        if not on_path[group]:
            one = groups[group]
            one.growth_total += sums.up[number]
            one.net_total += sums.up[number] + sums.down[number]
            one.peak_total = max(one.peak_total, sums.peak[number])
            one.time_total += sums.seconds[number]
        on_path[group] += 1
    found = [groups[group] for group in sorted(set(of_context)) if group]
    return [one for one in found if one.kind != "special" or one.growth or one.net or one.calls]


def regrouped(contexts: Contexts, by: str) -> Contexts:
    """Contexts of files, modules or lines instead of functions: what calls within one of them is one context."""
    if by == "function":
        return contexts
    groups, of_context = _groups(contexts, by)
    made = contexts.without()
    frames = [made.frame_id(Frame(one.name, one.file, one.line, one.kind == "c")) for one in groups]
    numbers = list(range(FIRST))
    for number in range(FIRST, len(contexts)):
        parent, group = contexts.parent[number], of_context[number]
        into = numbers[parent]
        within = parent >= FIRST and of_context[parent] == group
        numbers.append(into if within else made.below(into, frames[group]))
    return contexts.add_up(made, numbers)


def _groups(contexts: Contexts, by: str) -> tuple[list[Group], list[int]]:
    """Without figures; and which of them a context belongs to."""
    names = module_names(frame.file for frame in contexts.frames) if by == "module" else {}
    groups = [Group(contexts.of(number).function, "", 0, "special") for number in range(FIRST)]
    of_context = list(range(FIRST))
    known: dict[tuple[object, ...], int] = {}
    of_frame: list[int] = []
    for frame in contexts.frames:
        group = known.setdefault(_key(frame, by, names), len(groups))
        if group == len(groups):
            groups.append(_group(frame, by, names))
        elif groups[group].file != frame.file:
            groups[group].file = ""
        of_frame.append(group)
    callers = [by == "line" and frame.is_c and not frame.line for frame in contexts.frames]
    for number in range(FIRST, len(contexts)):
        frame_id, parent = contexts.frame[number], contexts.parent[number]
        of_context.append(of_context[parent] if callers[frame_id] and parent >= FIRST else of_frame[frame_id])
    return groups, of_context


def _key(frame: Frame, by: str, names: dict[str, str]) -> tuple[object, ...]:
    if by == "function":
        return frame
    if by == "module":
        return (names[frame.file],)
    return (frame.file,) if by == "file" else (frame.file, frame.line)


def _group(frame: Frame, by: str, names: dict[str, str]) -> Group:
    if by in ("function", "line"):
        return Group(frame.function, frame.file, frame.line, "c" if frame.is_c else "python")
    return Group(names[frame.file] if by == "module" else frame.file, frame.file, 0, "python")


# --- modules ---------------------------------------------------------------------------------------------------------

_FROZEN = re.compile(r"<frozen (?P<name>[^>]+)>")
_LIBRARY = re.compile(
    r".*/(?:site-packages|dist-packages)/|.*/lib(?:64)?/python\d+(?:\.\d+)?t?/(?:lib-dynload/)?|.*\.(?:zip|egg|whl)/",
    re.DOTALL,
)
_SUFFIX = re.compile(r"\.py[cwx]?\Z")
_PACKAGE = "/__init__.py"


def module_names(files: Iterable[str]) -> dict[str, str]:
    """The dotted name of each file's module, as far as its path tells; nothing is looked up on disk, which may be
    another machine's.

    What is below site-packages, dist-packages, lib/pythonX.Y or in a zip file has its path from there as its name, and
    `<frozen NAME>` has NAME. Elsewhere a folder counts as a package when a function of its __init__.py is among the
    files, as is the case when it was imported within the recording. Else the name is the file's own.
    """
    every = set(files)
    packages = {file[: -len(_PACKAGE)] for file in every if file.endswith(_PACKAGE)}
    return {file: _module_name(file, packages) for file in every}


def _module_name(file: str, packages: set[str]) -> str:
    frozen = _FROZEN.fullmatch(file)
    if frozen:
        return frozen["name"]
    if file.startswith("<"):
        return file
    library = _LIBRARY.match(file)
    if library:
        parts = file[library.end() :].split("/")
    else:
        folder, _, name = file.rpartition("/")
        parts = [name]
        while folder in packages:
            folder, _, name = folder.rpartition("/")
            parts.insert(0, name)
    parts[-1] = _SUFFIX.sub("", parts[-1])
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or file
