"""Charts of a page: accuracy against a budget, as geometry that the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.ledger.rows import Conditions
from bench.report.aggregate import Row, blocks
from bench.report.number_formats import count, duration, ipc_name, percent, size
from bench.report.page.markers import marker_path
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.plots.series import Series, find_series

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 42
_DASHES = {"-": "", "--": "7 4", ":": "2 4", "-.": "8 3 2 3"}
_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """What a chart can have from left to right.

    Attributes:
        name: for scripts.
        label: under the axis.
        value: of a result; above 0.
        text: of a tick.
    """

    name: str
    label: str
    value: Callable[[Row], float]
    text: Callable[[float], str]


AXES = (
    Axis("ipc", "Images per class", lambda row: float(row.ipc or 0), lambda v: ipc_name(round(v))),
    Axis("steps", "Training steps", lambda row: float(row.training_steps), count),
    Axis("images", "Distinct images", lambda row: float(row.distinct_images), count),
    Axis("bytes", "Stored bytes", lambda row: float(row.stored_bytes), lambda v: size(round(v))),
    Axis("time", "Time to distil", lambda row: row.distil_seconds, duration),
)


@dataclass(frozen=True)
class Point:
    """A result: where it is, how far its ± reaches, and what it says when it is pointed at."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Line:
    """The results of one method under one setting.

    Attributes:
        label: in the legend.
        colour: as ``#RRGGBB``.
        hollow: whether the markers are hollow.
        dash: an SVG dash pattern; empty for a solid line.
        marker: an SVG path around the origin.
        path: an SVG path through the points.
        points: the results.
    """

    label: str
    colour: str
    hollow: bool
    dash: str
    marker: str
    path: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class View:
    """One chart against one axis.

    Attributes:
        axis: what it is drawn against.
        lines: the series.
        x_ticks, y_ticks: place and text of each.
    """

    axis: Axis
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Chart:
    """The results under one set of conditions.

    Attributes:
        title: the conditions.
        views: the same results against each axis that they have values for; every view has the
            same lines in the same order, some perhaps without a point.
    """

    title: str
    views: tuple[View, ...]

    def view(self, axis: Axis) -> View | None:
        """Return the results against an axis; ``None`` if none has a value on it."""
        return next((view for view in self.views if view.axis == axis), None)


def charts_of(rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Return a chart for each set of conditions that has results with an IPC."""
    groups = blocks(rows)
    charts = []
    for block, members in groups.items():
        series = find_series(members, rows)
        views = tuple(view for axis in AXES if (view := _view(axis, series)) is not None)
        if views:
            charts.append(Chart(_title(block, list(groups)), views))
    return tuple(charts)


def _title(block: Conditions, all_blocks: Sequence[Conditions]) -> str:
    twins = {other.dataset_sha256 for other in all_blocks if other.dataset == block.dataset}
    data = f" [{block.dataset_sha256[:8]}]" if len(twins) > 1 else ""
    precision = f", {block.precision}" if block.precision != "fp32" else ""
    name, network = dataset_facts(block.dataset).label, arch_label(block.eval_arch)
    return f"{name}{data}, {network}, {block.protocol}{precision}"


def _view(axis: Axis, all_series: Sequence[Series]) -> View | None:
    """Return a chart, or ``None`` if no result has a value above 0 on the axis."""
    points = [(axis.value(row), row) for series in all_series for row in series.rows]
    values = [x for x, _ in points if x > 0]
    if not values:
        return None
    across = _logarithmic(min(values), max(values))
    spreads = [(row.mean, row.plus_minus or 0.0) for x, row in points if x > 0]
    low, high, step = _nice(min(m - s for m, s in spreads), max(m + s for m, s in spreads))

    def up(accuracy: float) -> float:
        within = min(max(accuracy, low), high)
        return round(TOP + (high - within) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = [_line(series, axis, across, up) for series in all_series]
    marks = [low + i * step for i in range(round((high - low) / step) + 1)]
    return View(
        axis,
        tuple(lines),
        _ticks(sorted(set(values)), across, axis),
        tuple((up(mark), f"{mark:g}") for mark in marks),
    )


def _line(
    series: Series, axis: Axis, across: Callable[[float], float], up: Callable[[float], float]
) -> Line:
    points = []
    for row in sorted(series.rows, key=axis.value):
        value, spread = axis.value(row), row.plus_minus or 0.0
        if value <= 0:
            continue
        ipc = "" if axis.name == "ipc" else f"IPC {ipc_name(row.ipc)}, "
        text = (
            f"{series.label}: {percent(row.mean, row.plus_minus)} % "
            f"({ipc}{axis.label.lower()} {axis.text(value)}, n = {row.n})"
        )
        points.append(
            Point(across(value), up(row.mean), up(row.mean - spread), up(row.mean + spread), text)
        )
    path = " ".join(f"{'L' if i else 'M'}{p.x} {p.y}" for i, p in enumerate(points))
    style = series.style
    return Line(
        series.label, style.colour, series.hollow, _DASHES.get(series.dashes, ""),
        marker_path(style.marker), path, tuple(points),
    )  # fmt: skip


def _logarithmic(least: float, most: float) -> Callable[[float], float]:
    """Return a function from values to places, with a margin at both ends."""
    span = math.log(most / least) or 1.0
    start, whole = (math.log(least) - 0.06 * span, 1.12 * span)
    if most == least:
        start = math.log(least) - whole / 2

    def across(value: float) -> float:
        return round(LEFT + (math.log(value) - start) / whole * (WIDTH - LEFT - RIGHT), 1)

    return across


def _ticks(
    values: Sequence[float], across: Callable[[float], float], axis: Axis
) -> tuple[tuple[float, str], ...]:
    """Return ticks at values that occur, apart enough for their texts."""
    ticks: list[tuple[float, str]] = []
    for value in values:
        text, place = axis.text(value), across(value)
        if not ticks or place - ticks[-1][0] > 5 * (len(text) + len(ticks[-1][1])) / 2 + 12:
            ticks.append((place, text))
    return tuple(ticks)


def _nice(low: float, high: float) -> tuple[float, float, float]:
    """Return limits and step of an axis from 0 to 100 that holds ``low`` to ``high``."""
    span = max(high - low, 2.0)
    step = next((s for s in (1, 2, 5, 10, 20) if span / s <= _TICKS), 25)
    bottom = max(0.0, math.floor(low / step) * step)
    return bottom, max(bottom + step, min(100.0, math.ceil(high / step) * step)), float(step)
