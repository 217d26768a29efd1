"""A picture of RSS (left axis) and CPU (right axis) against time, with markers, peaks and the functions that grew most.

All is laid out in inches: the lines of text above the panel take what they need, the panel keeps its size. matplotlib
is imported when a picture is drawn.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import MissingExtra
from . import count, size
from .curves import Curve, Point, cut, rates
from .labels import Box, Room, rows

# Okabe and Ito's colours, which colour-blind people can tell apart, without the yellow, which nobody sees on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLACK, GREY, LIGHT = "#1a1a1a", "#595959", "#c8c8c8"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))

WIDTH, PANEL = 10.0, 4.4  # inches: of the picture, of the height of its panel
LEFT, RIGHT, BOTTOM = 0.95, 0.95, 0.62
ROW, MARK_ROW = 0.2, 0.17
DPI = 100  # of the layout
MARK_ROWS = 6
MOST_MARKS = 200
LETTERS = 9.0  # points
UNITS = ((600, 1.0, "seconds"), (4 * 3600, 60.0, "minutes"), (4 * 86400, 3600.0, "hours"), (math.inf, 86400.0, "days"))


def draw(curves: Sequence[Curve], form: str) -> bytes:
    """The picture as "svg" or "png". Raises: MissingExtra without matplotlib."""
    matplotlib = matplotlib_parts()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font lacks
        matplotlib.rcdefaults()
        # Names are taken as they are. Letters of an SVG stay letters; without a date the same data give the same file.
        matplotlib.rcParams.update(
            {
                "text.parse_math": False,
                "svg.fonttype": "none",
                "svg.hashsalt": "pymemtrace",
                "font.size": LETTERS,
                "path.simplify": True,
                "axes.spines.top": False,
            }
        )
        figure = _Picture(matplotlib, curves).figure
        data = io.BytesIO()
        figure.savefig(data, format=form, dpi=160, facecolor="white", metadata={"Date": None} if form == "svg" else {})
        return data.getvalue()


def matplotlib_parts() -> Any:
    """The module, with the parts that are used here. Raises: MissingExtra."""
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import matplotlib.lines
        import matplotlib.ticker
    except ImportError as error:
        raise MissingExtra(
            "plots need matplotlib, which is not installed here: install the extra `plot`, from a checkout by "
            f"`pip install '.[plot]'` ({error})"
        ) from error
    return matplotlib


class _Picture:
    def __init__(self, matplotlib: Any, curves: Sequence[Curve]) -> None:
        self.matplotlib = matplotlib
        self.curves = curves
        self.samples = [curve for curve in curves if not curve.recording]
        self.alone = [curve for curve in curves if curve.beside is None]  # each has a colour; what is beside is black
        self.notes: list[str] = []
        begin, end = _span(curves)
        self.origin = begin if begin > (end - begin) else 0.0  # of a process that had run for long already
        begin, end = min(0.0, begin) if not self.origin else 0.0, end - self.origin
        self.unit, self.unit_name = next((unit, name) for limit, unit, name in UNITS if end <= limit)
        self.figure = matplotlib.figure.Figure(figsize=(WIDTH, 1.0), dpi=DPI)
        self.canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(self.figure)
        self.legend = self._legend()
        margin = 0.015 * (end - begin or 1.0)
        self.limits = ((begin - margin) / self.unit, (end + margin) / self.unit)
        self.marks = self._marks()
        mark_rows = 1 + max((row for *_, row in self.marks if row is not None), default=-1)
        self.above = 0.08 + MARK_ROW * mark_rows
        self.height = BOTTOM + PANEL + self.above + ROW * len(self.legend) + 0.42
        self.figure.set_size_inches(WIDTH, self.height)
        self._panel()
        self._title()
        self._draw_cpu()
        self._draw_rss()
        self._draw_marks()
        self._draw_legend()
        self._name_places()
        if self.notes:
            self._text(LEFT, 0.09, "; ".join(self.notes), color=GREY, fontsize=LETTERS - 1)

    def _x(self, time: float) -> float:
        """On the axis: in its unit."""
        return (time - self.origin) / self.unit

    # --- the frame ---

    def _panel(self) -> None:
        place = (
            LEFT / WIDTH, BOTTOM / self.height, (WIDTH - LEFT - RIGHT) / WIDTH, PANEL / self.height,
        )  # fmt: skip
        self.axes = self.figure.add_axes(place)
        self.cpu = self.axes.twinx()
        self.axes.set_zorder(self.cpu.get_zorder() + 1)
        self.axes.patch.set_visible(False)
        self.axes.set_xlim(*self.limits)
        highest = max(
            [curve.highest.rss for curve in self.curves if curve.highest is not None]
            + [point.value for curve in self.curves for point in (*curve.rss, *curve.pss)]
            + [4096]
        )
        ticks = _binary_ticks(highest)
        self.axes.set_ylim(0, 1.17 * highest)
        self.axes.set_yticks(ticks, [_binary(tick, ticks[-1]) for tick in ticks])
        since = f"{_duration(self.origin)} after the process started" if self.origin else "the process started"
        self.axes.set_xlabel(f"{self.unit_name} since {since}")
        self.axes.set_ylabel("RSS")
        self.axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        self.axes.set_axisbelow(True)
        for axes in (self.axes, self.cpu):
            axes.spines[["left", "right", "bottom"]].set_color("#8c8c8c")
            axes.tick_params(color="#8c8c8c")
        self.pixels = Box(*(part * DPI for part in (LEFT, BOTTOM, WIDTH - RIGHT, BOTTOM + PANEL)))

    def _title(self) -> None:
        first = self.alone[0]
        title = first.command if len(self.alone) == 1 and first.command else "RSS and CPU over time"
        for points in (LETTERS + 3, LETTERS + 1.5, LETTERS):  # smaller letters, and only then a part of it
            style = {"fontsize": points, "weight": "bold"}
            shown = self._fitting(title, WIDTH - 0.4, **style)
            if shown == title:
                break
        self._text(0.2, self.height - 0.26, shown, **style)

    def _text(self, x: float, y: float, text: str, **options: Any) -> Any:
        """At inches from the lower left corner of the picture."""
        return self.figure.text(x / WIDTH, y / self.height, text, **options)

    def _size(self, text: str, **style: Any) -> tuple[float, float]:
        """Pixels of the layout."""
        shown = self.figure.text(0, 0, text, **style)
        box = shown.get_window_extent(self.canvas.get_renderer())
        shown.remove()
        return box.width, box.height

    def _fitting(self, text: str, inches: float, **style: Any) -> str:
        text = cut(text, 400)
        while len(text) > 4:
            width = self._size(text, **style)[0] / DPI
            if width <= inches:
                break
            text = cut(text, max(4, min(len(text) - 1, int(len(text) * inches / width) + 1)))
        return text

    # --- what is above the panel ---

    def _legend(self) -> list[list[tuple[str, dict[str, Any]]]]:
        """Rows of (text, how its line is drawn)."""
        found = []
        for index, curve in enumerate(self.alone):
            found.append([(_said_of(curve), self._style(index))])
            for other in self.curves:
                if other.beside is curve:
                    found.append([(f"{_said_of(other)}: RSS as it was recorded at events", _BESIDE)])
            if curve.pss:
                found.append([("PSS: memory that processes share is counted once", _pss_style(self._style(index)))])
            parts = [
                (f"{part.name} ({part.pid}), peak {size(part.highest)}", style) for part, style in self._parts(curve)
            ]
            found += [parts[i : i + 3] for i in range(0, len(parts), 3)]
        return found

    def _draw_legend(self) -> None:
        top = self.height - 0.42
        for number, row in enumerate(self.legend):
            y = top - ROW * (number + 0.5)
            column = (WIDTH - 0.4) / (len(row) if len(row) == 1 else 3)
            for at, (text, style) in enumerate(row):
                x = 0.2 + at * column
                line = self.matplotlib.lines.Line2D(
                    [x / WIDTH, (x + 0.32) / WIDTH], [y / self.height] * 2, transform=self.figure.transFigure, **style
                )
                self.figure.add_artist(line)
                self._text(x + 0.42, y, self._fitting(text, column - 0.5), va="center")

    def _marks(self) -> list[tuple[float, str, str, float, int | None]]:
        """(time, text, colour, where its label begins in inches, row); None: there is no room for its label."""
        every = [(self._x(time), text, index) for index, curve in enumerate(self.alone) for time, text in curve.marks]
        every.sort()
        if len(every) > MOST_MARKS:
            self.notes.append(f"{len(every):,} markers, of which {MOST_MARKS} are drawn")
            every = [every[i * len(every) // MOST_MARKS] for i in range(MOST_MARKS)]
        low, high = self.limits
        placed = []
        for time, text, index in every:
            text = self._fitting(text, 2.6)
            width = self._size(text)[0] / DPI + 0.12
            x = LEFT + (time - low) / (high - low) * (WIDTH - LEFT - RIGHT)
            start = min(x, WIDTH - 0.1 - width)
            colour = GREY if len(self.alone) == 1 else COLOURS[index % len(COLOURS)]
            placed.append((x, start, start + width, time, text, colour))
        each = rows([label[:3] for label in placed], MARK_ROWS)
        nameless = sum(row is None for row in each)
        if nameless:
            self.notes.append(f"{count(nameless, 'marker')} without a name: there was no room")
        return [(time, text, colour, start, row) for (_, start, _, time, text, colour), row in zip(placed, each)]

    def _draw_marks(self) -> None:
        for time, text, colour, start, row in self.marks:
            up = 0.0 if row is None else 0.05 + MARK_ROW * row
            top = (PANEL + up + (0.0 if row is None else 0.12)) / PANEL
            self.axes.plot(
                [time, time], [0, top], transform=self.axes.get_xaxis_transform(), clip_on=False,
                color=colour, linewidth=0.9, linestyle=(0, (1, 1.6)), zorder=1.5,
            )  # fmt: skip
            if row is not None:
                box = {"boxstyle": "square,pad=0.05", "facecolor": "white", "linewidth": 0}
                self._text(start + 0.05, BOTTOM + PANEL + up, text, color=colour, va="bottom", bbox=box)

    # --- the lines ---

    def _style(self, index: int) -> dict[str, Any]:
        return {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
            "linewidth": 1.8,
        }

    def _parts(self, curve: Curve) -> list[tuple[Any, dict[str, Any]]]:
        """Processes of a tree, largest first. The colours after the one of the whole, and dashes."""
        return [
            (part, {"color": COLOURS[1 + i % (len(COLOURS) - 1)], "linestyle": DASHES[1 + i % 3], "linewidth": 1.2})
            for i, part in enumerate(curve.parts)
        ]

    def _draw_rss(self) -> None:
        for index, curve in enumerate(self.alone):
            for part, style in self._parts(curve):
                self._line(part.rss, zorder=2.2, **style)
            steps = "steps-post" if curve.recording else "default"  # between two rows RSS did not change, or little
            self._line(curve.rss, zorder=2.6, drawstyle=steps, gid=f"rss-{curve.name}", **self._style(index))
            self._line(curve.pss, zorder=2.5, **_pss_style(self._style(index)))
        for curve in self.curves:
            if curve.beside is not None:
                self._line(curve.rss, zorder=2.8, drawstyle="steps-post", gid=f"rss-{curve.name}", **_BESIDE)

    def _line(self, points: Sequence[Point], **style: Any) -> None:
        if points:
            x, y = [self._x(point.time) for point in points], [point.value for point in points]
            self.axes.plot(x, y, solid_joinstyle="round", **style)

    def _draw_cpu(self) -> None:
        found = [(index, rates(curve.cpu)) for index, curve in enumerate(self.alone)]
        highest = max((value for _, each in found for *_, value in each), default=0.0)
        self.cpu.set_ylim(0, max(110.0, highest) * 3.2)
        if not any(each for _, each in found):
            self.cpu.set_yticks([])
            self.cpu.spines["right"].set_visible(False)
            return
        step = next(step for step in _DECIMAL_STEPS if highest / step <= 4)
        ticks = [step * i for i in range(int(max(100.0, highest) / step) + 1)]
        self.cpu.set_yticks(ticks, [f"{tick:,.0f} %" for tick in ticks])
        self._text(WIDTH - 0.12, BOTTOM, "CPU, 100 % is one core", color=GREY, rotation=90, va="bottom", ha="right")
        self.cpu.tick_params(labelcolor=GREY)
        for index, each in found:
            if not each:
                continue
            edges = [self._x(begin) for begin, _, _ in each] + [self._x(each[-1][1])]
            values = [value for *_, value in each]
            if len(self.alone) == 1:
                self.cpu.stairs(values, edges, fill=True, color="#e2e2e2")
                self.cpu.stairs(values, edges, baseline=None, color="#b0b0b0", linewidth=0.8)
            else:
                self.cpu.stairs(
                    values, edges, baseline=None, color=self._style(index)["color"], alpha=0.6, linewidth=0.8
                )

    # --- names within the panel ---

    def _name_places(self) -> None:
        room = Room(self.pixels)
        for curve in self.curves:
            for points in (curve.rss, curve.pss, *(part.rss for part in curve.parts)):
                room.add_line([self._pixel(point.time, point.value) for point in points])
        for curve in self.samples if len(self.alone) > 1 else ():
            room.add_line([self._cpu_pixel(begin, value) for begin, _, value in rates(curve.cpu)], faint=True)
        for time, *_ in self.marks[:20]:
            x = float(self.axes.transData.transform((time, 0))[0])
            room.add_line([(x, self.pixels.low), (x, self.pixels.high)], faint=True)
        for index, curve in enumerate(self.alone):
            if len(self.alone) <= 6:
                self._name_highest(room, curve, self._style(index)["color"])
        for curve in self.curves:
            colour = BLACK if curve.beside is not None else self._style(self.alone.index(curve))["color"]
            if curve.beside is not None and curve.highest is not None and curve.highest.between:
                self._name_highest(room, curve, colour)
            for step in sorted(curve.steps, key=lambda step: -step.rss):  # from above: the labels come in that order
                text = f"{cut(step.name, 40)}  +{size(step.grown)}"
                self._name(room, step.time, step.rss, text, colour, "o")

    def _name_highest(self, room: Room, curve: Curve, colour: str) -> None:
        if curve.highest is None:
            return
        time, rss, between = curve.highest
        text = f"peak {size(rss)}" + (f", {cut(between, 50)}" if between else "")
        if len(self.alone) > 1:
            text = f"{cut(curve.name, 24)}: {text}"
        self._name(room, time, rss, text, colour, "^", hollow=bool(between))

    def _pixel(self, time: float, value: float) -> tuple[float, float]:
        x, y = self.axes.transData.transform((self._x(time), value))
        return float(x), float(y)

    def _cpu_pixel(self, time: float, value: float) -> tuple[float, float]:
        x, y = self.cpu.transData.transform((self._x(time), value))
        return float(x), float(y)

    def _name(
        self, room: Room, time: float, value: float, text: str, colour: str, shape: str, *, hollow: bool = False
    ) -> None:
        self.axes.plot(
            [self._x(time)], [value], shape, color=colour, markersize=5.5 if shape == "^" else 4,
            markerfacecolor="white" if hollow else colour, zorder=3, clip_on=False,
        )  # fmt: skip
        x, y = self._pixel(time, value)
        width, height = self._size(text)
        box = room.place(x, y, width + 4, height + 2)
        if box is None:
            self.notes.append(f"no room for “{text}”")
            return
        leader = room.leaders[-1]
        self.axes.annotate(
            text,
            xy=(self._x(time), value),
            xytext=((box.left + box.right) / 2 / DPI / WIDTH, (box.low + box.high) / 2 / DPI / self.height),
            textcoords="figure fraction",
            ha="center",
            va="center",
            color=colour,
            zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "shrinkA": 0,
                "shrinkB": 3,
                "relpos": ((leader.to_x - box.left) / (width + 4), (leader.to_y - box.low) / (height + 2)),
            },
            annotation_clip=False,
        )


_BESIDE = {"color": BLACK, "linewidth": 0.9, "linestyle": "-"}
_DECIMAL_STEPS = [one * ten for ten in (10**i for i in range(1, 19)) for one in (5, 10, 20)]


def _pss_style(style: dict[str, Any]) -> dict[str, Any]:
    return {**style, "linestyle": (0, (2.5, 1.5)), "linewidth": 1.4, "marker": ".", "markersize": 4}


def _said_of(curve: Curve) -> str:
    said = [curve.name]
    if curve.highest is not None:
        said.append(f"peak {size(curve.highest.rss)}")
    if len(curve.cpu) > 1:
        said.append(f"CPU {curve.cpu[-1].value - curve.cpu[0].value:,.2f} s")
    return ", ".join([*said, *curve.details])


def _span(curves: Sequence[Curve]) -> tuple[float, float]:
    """The first and the last second."""
    times = [point.time for curve in curves for point in curve.rss]
    times += [time for curve in curves for time, _ in curve.marks]
    return min(times), max(times)


def _duration(seconds: float) -> str:
    """3 d 02:10:05"""
    days, rest = divmod(int(seconds), 86400)
    return (f"{days} d " if days else "") + f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _binary_ticks(highest: float) -> list[int]:
    """About five values from 0 on, the step a power of two."""
    step = 2 ** max(10, math.ceil(math.log2(max(highest, 1) / 6)))
    return [step * i for i in range(int(1.1 * highest / step) + 1)]


def _binary(value: int, largest: int) -> str:
    """In the unit of the largest."""
    if value == 0:
        return "0"
    power = min(5, (max(largest, 1024).bit_length() - 1) // 10)
    return f"{value / 1024**power:g} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[power]}"
