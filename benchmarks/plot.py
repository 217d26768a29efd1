"""One picture of all ratios: a row a case, a column a mode, in each cell time / untraced, the darker the dearer.

One hue from light to dark, and the figure in each cell: nothing is said by colour alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import documents, modes
from benchmarks.rounds import Measurement

COLUMNS = {
    modes.FLOOR: "empty C\nfunction",
    "attached": "attached",
    "rss": "RSS",
    "all": "all\ncomputed",
    "threshold": "threshold",
    "previous": "threshold\n+ previous",
    modes.TEXT_NULL: "text,\n/dev/null",
    modes.TEXT_FILE: "text,\nfile",
    modes.CAPTURE: "capture",
    modes.GATE_OFF: "RSS,\ngate off",
    modes.CPROFILE: "cProfile",
    modes.TRACEMALLOC: "trace-\nmalloc",
}
DARK_FROM = 0.8  # of the colour scale: from here on white is easier to read than black


def matplotlib_parts() -> tuple[Any, Any]:
    """The modules `matplotlib` and `matplotlib.figure`. Raises: ValueError, one sentence, without them."""
    try:
        return importlib.import_module("matplotlib"), importlib.import_module("matplotlib.figure")
    except ImportError:
        raise ValueError("The picture needs matplotlib: run `pip install matplotlib`.") from None


def ratio_rows(found: Sequence[Measurement]) -> list[tuple[str, dict[str, float]]]:
    """Case and ratios by mode, by minima; cases without an untraced run are left out."""
    rows = []
    for one in found:
        bare = one.seconds(modes.UNTRACED)
        if bare:
            each = zip(COLUMNS, map(one.seconds, documents.same_engine(found, COLUMNS)))
            ratios = {name: min(seconds) / min(bare) for name, seconds in each if seconds}
            rows.append((one.title, ratios))
    return rows


def draw(found: Sequence[Measurement], path: Path) -> None:
    """SVG or PNG, by the suffix. Raises: ValueError without matplotlib, without figures, for another suffix."""
    if path.suffix not in (".svg", ".png"):
        raise ValueError(f"{path}: the picture's name must end in .svg or .png")
    rows = ratio_rows(found)
    columns = [name for name in COLUMNS if any(name in ratios for _, ratios in rows)]
    if not columns:
        raise ValueError("no picture: there is no case with an untraced run and another mode")
    matplotlib, figure = matplotlib_parts()
    # Letters as paths look the same everywhere; a fixed salt and no date make the same file of the same figures.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "pymemtrace", "font.size": 9}):
        sheet = figure.Figure(figsize=(2.0 + 0.78 * len(columns), 1.75 + 0.34 * len(rows)), layout="constrained")
        paint(matplotlib, sheet.add_subplot(), rows, columns)
        said = found[0].environment
        sheet.suptitle("Time with a recording / time without", fontsize=12, fontweight="bold")
        machine = (
            f"{said.get('CPU', '')}; Python {said.get('Python', '?').partition(',')[0]}; {said.get('date', '')[:10]}"
        )
        sheet.supxlabel(f"{machine}; minima of {found[0].rounds} interleaved rounds", fontsize=8, color="#444444")
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.savefig(path, dpi=150, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)


def paint(matplotlib: Any, axes: Any, rows: list[tuple[str, dict[str, float]]], columns: list[str]) -> None:
    """The cells with their figures, the names of cases and modes around them."""
    largest = max(max(ratios.values(), default=1.0) for _, ratios in rows)
    scale = max(math.log(largest), 0.1)
    shades = [[math.log(max(ratios.get(name, 1.0), 1.0)) / scale for name in columns] for _, ratios in rows]
    axes.imshow(shades, cmap=matplotlib.colormaps["Blues"], vmin=-0.05, vmax=1.15, aspect="auto")
    for y, (_, ratios) in enumerate(rows):
        for x, name in enumerate(columns):
            value = f"{ratios[name]:.2f}" if name in ratios else "-"
            axes.text(x, y, value, ha="center", va="center", color="white" if shades[y][x] > DARK_FROM else "black")
    axes.set_xticks(range(len(columns)), [COLUMNS[name] for name in columns])
    axes.set_yticks(range(len(rows)), [title for title, _ in rows])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.set_xticks([x + 0.5 for x in range(len(columns) - 1)], minor=True)
    axes.set_yticks([y + 0.5 for y in range(len(rows) - 1)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
