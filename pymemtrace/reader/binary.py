"""A capture: what the C reader finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import cPyMemTrace
from .model import BEFORE, FIGURES, SUSPENDED, TRACER, Capture, Event, Node, Peak, SiteTotal, is_used, merged


class BinaryCapture(Capture):
    binary = True

    def __init__(self, path: str) -> None:
        self._reader = cPyMemTrace.CaptureReader(path)
        self._columns: dict[str, Any] | None = None
        super().__init__(path, self._reader.header)
        if self._reader.dropped:
            self.header["dropped"] = str(self._reader.dropped)

    def _end_lines(self) -> list[str]:
        text = self._reader.end
        return [] if text is None else text.splitlines()

    @property
    def threads(self) -> dict[int, str]:
        return self._reader.threads

    @property
    def why(self) -> str | None:
        return self._reader.why

    @property
    def peaks(self) -> list[Peak]:
        return [Peak(*peak) for peak in self._reader.peaks()]

    def events(self) -> Iterator[Event]:
        return map(Event._make, self._reader.events())

    def tree(self) -> Node:
        return _tree_of_columns(self._tree())

    def _tree(self) -> dict[str, Any]:
        if self._columns is None:
            self._columns = self._reader.tree()
        return self._columns

    def _seen(self) -> dict[str, float]:
        tree = self._tree()
        figures = {key: tree["total_seconds" if key == "seconds" else key] for key in FIGURES}
        figures["events"] += self._reader.dropped
        return figures

    def totals(self) -> list[tuple[str, int, str, int, int]] | None:
        return self._reader.totals()

    def site_totals(self) -> list[SiteTotal] | None:
        rows = self._reader.site_totals()
        return None if rows is None else merged(rows)

    def write_log(self, fd: int, log: str | None = None, threshold: int | None = None, comments: bool = True) -> int:
        mode = log if log is not None else "all" if threshold is None else "threshold"
        return cPyMemTrace.capture_to_log(self.path, fd, mode, threshold, comments)


_COLUMNS = ("calls", "up", "down", "peak", "seconds")
_SPECIAL = ("", BEFORE, TRACER, SUSPENDED)


def _tree_of_columns(tree: dict[str, Any]) -> Node:
    """Of CaptureReader.tree()."""
    names = ("function", "file", "line", "is_c", *_COLUMNS, "up_inclusive", "down_inclusive", "peak_inclusive")
    rows = zip(*(tree[name] for name in names), tree["seconds_inclusive"])
    nodes = [Node(*row) for row in rows]
    for node, name in zip(nodes, _SPECIAL):
        node.function = name
    for index, parent in enumerate(tree["parent"]):
        node = nodes[index]
        if index >= len(_SPECIAL) or (index > 0 and is_used(node)):
            nodes[parent].children.append(node)
    nodes[0].function = "<all>"
    return nodes[0]
