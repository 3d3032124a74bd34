"""The Pareto plot: which results are the most accurate for their bytes and for their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.plots.against import draw_line, draw_point, name_series, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import BYTES, TIME, Quantity
from bench.report.plots.series import Series
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRONT: dict[str, Any] = {"color": "#444444", "linewidth": 1.0}
_PALE = 0.35


def pareto_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`.

    Results that another one beats in both are pale; steps join the others. Pale lines join the
    results of each series. The whole dataset is
    a line across the panel, and takes no part.
    """
    from matplotlib.lines import Line2D

    handle = Line2D([], [], **_FRONT, label="Pareto front (others are pale)")
    return quantity_figure(rows, options, (BYTES, TIME), _draw, [handle])


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which points no other one beats: none is cheaper or as cheap, and more accurate.

    Args:
        points: the cost and the accuracy of each.

    Returns:
        Their places in ``points``, by rising cost; of equal points, the first.
    """
    front: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i)):
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def _draw(
    axes: Axes, all_series: Sequence[Series], quantity: Quantity, sizes: Mapping[int, float]
) -> None:
    results = [(series, row) for series in all_series for row in series.rows]
    points = [(quantity.value(row), row.mean) for _, row in results]
    front = pareto_front(points)
    pale = [i for i in range(len(results)) if i not in front]
    for i in (*pale, *front):
        alpha = 1.0 if i in front else _PALE
        draw_point(axes, *results[i], quantity, sizes, alpha)
    for series in all_series:
        draw_line(axes, series, quantity, _PALE)
        name_series(axes, series)
    if front:
        xs, means = zip(*(points[i] for i in front), strict=True)
        axes.plot(xs, means, drawstyle="steps-post", zorder=1.5, **_FRONT)
