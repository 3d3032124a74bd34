"""Accuracy against several quantities: panels beside each other that share their accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.report.plots.layout import Grid
from bench.report.plots.lines import draw_published_beside, draw_whole, published_handle
from bench.report.plots.options import PlotOptions
from bench.report.plots.panels import choose_panels
from bench.report.plots.quantities import Quantity, scale_axis
from bench.report.plots.series import Series, find_series
from bench.report.plots.titles import title_panels
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# The markers of the smallest and of the largest IPC, relative to those of the legend.
_SMALLEST, _LARGEST = 0.75, 1.5
_GREY = "#444444"

Draw = Callable[["Axes", Sequence[Series], Quantity, Mapping[int, float]], None]


def quantity_figure(
    rows: Sequence[Row],
    options: PlotOptions,
    quantities: Sequence[Quantity],
    draw: Draw,
    extra: Sequence[Line2D] = (),
    note: Callable[[Sequence[Row]], str] = lambda _: "",
) -> Figure:
    """Return a plot of accuracy, with a panel for each way of measuring and quantity.

    Args:
        rows: the results.
        options: the user's.
        quantities: from left to right.
        draw: draws the series of a panel, with the size of the markers of each IPC.
        extra: the last handles of the legend.
        note: returns what else the notes say of the results of a panel; may be empty.
    """
    from matplotlib.lines import Line2D

    each = len(quantities)
    blocks = choose_panels(rows, options, each)
    drawn = [row for members in blocks.values() for row in members]
    grid = Grid(each * len(blocks), options, together=each)
    sizes, published = ipc_sizes(drawn), False
    for i, members in enumerate(blocks.values()):
        panels = grid.panels[each * i : each * (i + 1)]
        series = find_series(members, drawn)
        for axes, quantity in zip(panels, quantities, strict=True):
            draw(axes, series, quantity, sizes)
            draw_whole(axes, members, drawn)
            published |= draw_published_beside(axes, members, options, quantity.value)
            scale_axis(axes, quantity, members)
            if axes is not panels[0]:
                axes.sharey(panels[0])
    title_panels(grid.panels[::each], blocks, grid.panel_width, options, note)
    for axes in grid.panels[:: grid.across]:
        axes.set_ylabel("Test accuracy (%)")
    shapes = [
        Line2D([], [], color=_GREY, linestyle="none", marker="o", markersize=5.2 * size,
               label=f"IPC {ipc}")
        for ipc, size in sizes.items()
    ]  # fmt: skip
    if published:
        shapes.append(published_handle(joined=False))
    return grid.finish(drawn, extra=[*shapes, *extra])


def ipc_sizes(rows: Sequence[Row]) -> dict[int, float]:
    """Return how large the markers of each IPC are, relative to those of the legend."""
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    step = (_LARGEST - _SMALLEST) / max(1, len(ipcs) - 1)
    return {ipc: _SMALLEST + i * step if len(ipcs) > 1 else 1.0 for i, ipc in enumerate(ipcs)}


def draw_joined(
    axes: Axes, all_series: Sequence[Series], quantity: Quantity, sizes: Mapping[int, float]
) -> None:
    """Draw the results of each series joined by a line in the order of their IPC."""
    for series in all_series:
        draw_line(axes, series, quantity)
        for row in series.rows:
            draw_point(axes, series, row, quantity, sizes)
        name_series(axes, series)


def draw_line(axes: Axes, series: Series, quantity: Quantity, alpha: float = 0.6) -> None:
    """Draw the line that joins the results of a series, without their points."""
    xs, means = zip(*((quantity.value(row), row.mean) for row in series.rows), strict=True)
    axes.plot(xs, means, color=series.style.colour, linestyle=series.dashes,
              linewidth=series.width, alpha=alpha)  # fmt: skip


def draw_point(
    axes: Axes,
    series: Series,
    row: Row,
    quantity: Quantity,
    sizes: Mapping[int, float],
    alpha: float = 1.0,
) -> None:
    """Draw one result with its spread; the marker is larger for a higher IPC."""
    style, factor = series.style, 1.0 if row.ipc is None else sizes[row.ipc]
    axes.errorbar(
        [quantity.value(row)], [row.mean], yerr=[row.plus_minus or 0.0], color=style.colour,
        marker=style.marker, markersize=style.marker_size * factor, markerfacecolor=series.face,
        capsize=2, elinewidth=0.9, alpha=alpha,
    )  # fmt: skip


def name_series(axes: Axes, series: Series) -> None:
    """Give the legend a line and marker for a series."""
    style = series.style
    axes.plot([], [], color=style.colour, linestyle=series.dashes, marker=style.marker,
              markersize=style.marker_size, markerfacecolor=series.face,
              label=series.label)  # fmt: skip
