"""The accuracy plot: accuracy against IPC, one panel per dataset and evaluating architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.plots.layout import Grid
from bench.report.plots.lines import draw_published, draw_whole, published_handle
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.panels import choose_panels
from bench.report.plots.series import Series, find_series
from bench.report.plots.titles import title_panels
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Neighbouring series are shifted by a factor of IPC, so that error bars stay apart; the first and
# the last are not further apart than this.
_DODGE, _DODGE_ALL = 1.035, 1.3
# Beside the first and the last IPC there is room for what is shifted; more if there is one only.
_MARGIN, _MARGIN_OF_ONE = 1.35, 1.6
# A tick's label takes this share of the axis.
_LABEL_SHARE = 0.06


def accuracy_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    panels = choose_panels(rows, options)
    drawn = [row for members in panels.values() for row in members]
    published = False
    grid = Grid(len(panels), options)
    for axes, members in zip(grid.panels, panels.values(), strict=True):
        _panel(axes, find_series(members, drawn), members)
        draw_whole(axes, members, drawn)
        published |= draw_published(axes, members, options)
    title_panels(grid.panels, panels, grid.panel_width, options)
    grid.label_edges("Images per class", "Test accuracy (%)")
    return grid.finish(drawn, extra=[published_handle()] if published else [])


def _panel(axes: Axes, all_series: Sequence[Series], rows: Sequence[Row]) -> None:
    dodge = min(_DODGE, _DODGE_ALL ** (1 / max(1, len(all_series) - 1)))
    for i, series in enumerate(all_series):
        shift = dodge ** (i - (len(all_series) - 1) / 2)
        axes.errorbar(
            [row.ipc * shift for row in series.rows if row.ipc is not None],
            [row.mean for row in series.rows],
            yerr=[row.plus_minus or 0.0 for row in series.rows],
            label=series.label, color=series.style.colour, linestyle=series.dashes,
            marker=series.style.marker, markersize=series.style.marker_size,
            markerfacecolor=series.face,
            linewidth=series.width, capsize=2, elinewidth=0.9,
        )  # fmt: skip
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    axes.set_xscale("log")
    axes.minorticks_off()
    if ipcs:
        margin = _MARGIN if len(ipcs) > 1 else _MARGIN_OF_ONE
        axes.set_xticks(ipcs, tick_labels(ipcs))
        axes.set_xlim(ipcs[0] / margin, ipcs[-1] * margin)
    else:  # matplotlib's own labels of such an axis are formulas, which are not drawn
        axes.set_xticks([])


def tick_labels(ipcs: Sequence[int]) -> list[str]:
    """Return the labels of rising IPCs on a logarithmic axis, empty where they would collide.

    The IPCs at both edges of the axis always have theirs.
    """
    room = (ipcs[-1] / ipcs[0]) ** _LABEL_SHARE
    labels, last = [], 0.0
    for ipc in ipcs:
        fits = ipc == ipcs[-1] or (ipc > last * room and ipc * room < ipcs[-1])
        labels.append(str(ipc) if fits else "")
        last = ipc if fits else last
    return labels
