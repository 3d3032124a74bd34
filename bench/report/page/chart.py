"""Charts of a page: accuracy against a budget or progress, as geometry to be drawn as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.ledger.rows import Conditions
from bench.report.number_formats import ipc_name
from bench.report.page.axis import (
    AXES,
    BOTTOM,
    HEIGHT,
    PROGRESS,
    TOP,
    Axis,
    limits_of,
    scale_of,
    ticks_of,
)
from bench.report.page.markers import marker_path
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.plots.against import ipc_sizes
from bench.report.plots.learning import learning_curves, learning_rows
from bench.report.plots.series import Series, find_series
from bench.report.plots.titles import selection_mark
from bench.report.result_tables import marked_percent
from bench.report.row import Row, blocks

_DASHES = {"-": "", "--": "7 4", ":": "2 4", "-.": "8 3 2 3"}


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
        size: of the markers, relative to others.
        path: an SVG path through the points.
        points: the results.
    """

    label: str
    colour: str
    hollow: bool
    dash: str
    marker: str
    size: float
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
        note: what is to be known of all of its lines; may be empty.
    """

    title: str
    views: tuple[View, ...]
    note: str = ""

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


def learning_charts_of(rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Return a chart of learning curves for each set of conditions that has any.

    A curve is of one method, setting and IPC; the markers are larger for a higher IPC.

    Args:
        rows: results of evaluations that :func:`bench.report.plots.same_seeds.share_seeds`
            returned, among them those of sets before the last step of their distillation.
    """
    drawn = learning_rows(rows)
    groups, sizes = blocks(drawn), ipc_sizes(drawn)
    charts = []
    for block, members in groups.items():
        curves = [
            replace(curve, label=f"{curve.label}, IPC {ipc_name(curve.rows[0].ipc)}")
            for curve in learning_curves(find_series(members, drawn))
        ]
        if (view := _view(PROGRESS, curves, sizes)) is not None:
            counts = " or ".join(dict.fromkeys(row.varies for row in members))
            charts.append(Chart(_title(block, list(groups)), (view,), f"Each curve: {counts}"))
    return tuple(charts)


def _title(block: Conditions, all_blocks: Sequence[Conditions]) -> str:
    twins = {other.dataset_sha256 for other in all_blocks if other.dataset == block.dataset}
    data = f" [{block.dataset_sha256[:8]}]" if len(twins) > 1 else ""
    precision = f", {block.precision}" if block.precision != "fp32" else ""
    name, network = dataset_facts(block.dataset).label, arch_label(block.eval_arch)
    parts = (f"{name}{data}, {network}, {block.protocol}{precision}",
             selection_mark(block.selection))  # fmt: skip
    return ", ".join(filter(None, parts))


def _view(
    axis: Axis, all_series: Sequence[Series], sizes: Mapping[int, float] | None = None
) -> View | None:
    """Return a chart, or ``None`` if no result has a value above 0 on the axis.

    Args:
        axis: what it is drawn against.
        all_series: what it shows.
        sizes: of markers, by the IPC that all results of a series have; ``None`` for equal ones.
    """
    points = [(axis.value(row), row) for series in all_series for row in series.rows]
    values = [x for x, _ in points if x > 0]
    if not values:
        return None
    across = scale_of(axis, values)
    spreads = [(row.mean, row.plus_minus or 0.0) for x, row in points if x > 0]
    low, high, step = limits_of(min(m - s for m, s in spreads), max(m + s for m, s in spreads))

    def up(accuracy: float) -> float:
        within = min(max(accuracy, low), high)
        return round(TOP + (high - within) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = [
        _line(series, axis, across, up, 1.0 if sizes is None else sizes[series.rows[0].ipc or 1])
        for series in all_series
    ]
    marks = [low + i * step for i in range(round((high - low) / step) + 1)]
    return View(
        axis,
        tuple(lines),
        ticks_of(sorted(set(values)), across, axis),
        tuple((up(mark), f"{mark:g}") for mark in marks),
    )


def _line(
    series: Series, axis: Axis, across: Callable[[float], float], up: Callable[[float], float],
    size: float,
) -> Line:  # fmt: skip
    points = []
    for row in sorted(series.rows, key=axis.value):
        value, spread = axis.value(row), row.plus_minus or 0.0
        if value <= 0:
            continue
        ipc = "" if axis.tells_ipc else f"IPC {ipc_name(row.ipc)}, "
        text = (
            f"{series.label}: {marked_percent(row)} % "
            f"({ipc}{axis.label.lower()} {axis.text(value)}, n = {row.n})"
        )
        points.append(
            Point(across(value), up(row.mean), up(row.mean - spread), up(row.mean + spread), text)
        )
    path = " ".join(f"{'L' if i else 'M'}{p.x} {p.y}" for i, p in enumerate(points))
    style = series.style
    return Line(
        series.label, style.colour, series.hollow, _DASHES.get(series.dashes, ""),
        marker_path(style.marker), size, path, tuple(points),
    )  # fmt: skip
