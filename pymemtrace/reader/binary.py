"""A capture: what the C reader finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import cPyMemTrace
from .model import FIGURES, SPECIAL, Capture, Context, Event, Moment, Node, Peak, SiteTotal, is_used, merged
from .timeline import MOMENTS


class BinaryCapture(Capture):
    binary = True

    def __init__(self, path: str) -> None:
        self._reader = cPyMemTrace.CaptureReader(path)
        self._columns: dict[str, Any] | None = None
        super().__init__(path, self._reader.header)
        if self._reader.dropped:
            self.header["dropped"] = str(self._reader.dropped)

    def _end_lines(self) -> list[str]:
        text = self._reader.end if self._columns is None else self._columns["end"]
        return [] if text is None else text.splitlines()

    @property
    def threads(self) -> dict[int, str]:
        return self._reader.threads

    @property
    def thread_names(self) -> dict[int, str]:
        return dict(self._tree()["thread_names"])

    @property
    def why(self) -> str | None:
        why: str | None = self._reader.why if self._columns is None else self._columns["why"]  # a pass is spared
        return why

    @property
    def peaks(self) -> list[Peak]:
        return [Peak(*peak) for peak in self._reader.peaks()]

    def events(self) -> Iterator[Event]:
        return map(Event._make, self._reader.events())

    def tree(self) -> Node:
        return _tree_of_columns(self._tree())

    def contexts(self) -> Iterator[Context]:
        tree = self._tree()
        return map(Context._make, zip(*(tree[name] for name in Context._fields)))

    def timeline(self, moments: int = MOMENTS) -> list[Moment]:
        tree = self._tree() if moments == MOMENTS else self._reader.tree(moments)
        return [Moment(*one) for one in tree["timeline"]]

    def _tree(self) -> dict[str, Any]:
        if self._columns is None:
            self._columns = self._reader.tree(MOMENTS)
            self._columns["function"][: len(SPECIAL)] = SPECIAL
        return self._columns

    def figures_here(self) -> dict[str, float]:
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


_COLUMNS = ("function", "file", "line", "is_c", "calls", "up", "down", "peak", "seconds", "at_peak")
_INCLUSIVE = ("up_inclusive", "down_inclusive", "peak_inclusive", "seconds_inclusive", "at_peak_inclusive")


def _tree_of_columns(tree: dict[str, Any]) -> Node:
    """Of CaptureReader.tree()."""
    nodes = [Node(*row) for row in zip(*(tree[name] for name in (*_COLUMNS, *_INCLUSIVE)))]
    for index, parent in enumerate(tree["parent"]):
        node = nodes[index]
        if index >= len(SPECIAL) or (index > 0 and is_used(node)):
            nodes[parent].children.append(node)
    return nodes[0]
