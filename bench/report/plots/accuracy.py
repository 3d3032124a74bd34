"""The accuracy plot: accuracy against IPC, one panel per dataset and evaluating architecture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation
from bench.report.aggregate import Row, blocks, collect
from bench.report.plots.fonts import drawable_rows, texts_of
from bench.report.plots.style import (
    Series,
    draw_whole,
    find_series,
    legend_below,
    panel_title,
    plot_style,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
# Neighbouring series are shifted by a factor of IPC, so that error bars stay apart; the first and
# the last are not further apart than this.
_DODGE, _DODGE_ALL = 1.035, 1.3
_MARGIN = 1.6
# A tick's label takes this share of the axis.
_LABEL_SHARE = 0.06


def plot_accuracy(evaluations: Sequence[Evaluation], out_dir: Path) -> list[Path]:
    """Draw accuracy against IPC.

    Args:
        evaluations: at least one successful evaluation (:func:`bench.ledger.rows.load_rows`).
        out_dir: where ``accuracy.png`` and ``accuracy.svg`` are written; it is made if absent.

    Returns:
        The files written.
    """
    rows = drawable_rows(collect(evaluations))
    with plot_style(texts_of(rows)):
        return save(accuracy_figure(rows), out_dir, "accuracy")


def accuracy_figure(rows: Sequence[Row]) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    from matplotlib.figure import Figure

    panels = blocks(rows)
    across = min(_COLUMNS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(max(4.6, 3.9 * across), 3.1 * down + 0.2), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (block, members) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, find_series(members, rows), members)
        panel_title(axes, block, members)
    legend_below(figure, list(grid.flat[: len(panels)]))
    return figure


def _panel(axes: Axes, all_series: Sequence[Series], rows: Sequence[Row]) -> None:
    dodge = min(_DODGE, _DODGE_ALL ** (1 / max(1, len(all_series) - 1)))
    for i, series in enumerate(all_series):
        shift = dodge ** (i - (len(all_series) - 1) / 2)
        axes.errorbar(
            [row.ipc * shift for row in series.rows if row.ipc is not None],
            [row.mean for row in series.rows],
            yerr=[row.std or 0.0 for row in series.rows],
            label=series.label, color=series.style.colour, linestyle=series.dashes,
            marker=series.style.marker, markersize=series.style.marker_size,
            markerfacecolor=series.face,
            linewidth=series.width, capsize=2, elinewidth=0.9,
        )  # fmt: skip
    draw_whole(axes, rows)
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    axes.set_xscale("log")
    axes.minorticks_off()
    if ipcs:
        axes.set_xticks(ipcs, tick_labels(ipcs))
        axes.set_xlim(ipcs[0] / _MARGIN, ipcs[-1] * _MARGIN)
    axes.set_xlabel("Images per class")
    axes.set_ylabel("Test accuracy (%)")


def tick_labels(ipcs: Sequence[int]) -> list[str]:
    """Return the labels of rising IPCs on a logarithmic axis, empty where they would collide."""
    room = (ipcs[-1] / ipcs[0]) ** _LABEL_SHARE
    labels, last = [], 0.0
    for ipc in ipcs:
        fits = ipc > last * room
        labels.append(str(ipc) if fits else "")
        last = ipc if fits else last
    return labels
