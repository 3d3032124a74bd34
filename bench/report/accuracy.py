"""The accuracy plot: accuracy against images per class, one panel per dataset and judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.report.aggregate import Row, blocks, collect
from bench.report.plot_style import Series, draw_whole, find_series, panel_title, plot_style, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

_COLUMNS = 3
# Neighbouring series are shifted by a factor of IPC, so that error bars stay apart; the first and
# the last are not further apart than this.
_DODGE, _DODGE_ALL = 1.035, 1.3
_MARGIN = 1.6
# A tick's label takes this share of the axis.
_LABEL_SHARE = 0.06
# What a legend's handle takes of its line, in inches, and what fits after it.
_HANDLE, _LETTERS_PER_INCH = 0.6, 13


def plot_accuracy(frame: DataFrame, out_dir: Path) -> list[Path]:
    """Draw accuracy against IPC.

    Args:
        frame: one row per evaluation cell (``bench.ledger.frames.load_frame``), at least one.
        out_dir: where ``accuracy.png`` and ``accuracy.svg`` go; made if absent.

    Returns:
        The files written.
    """
    rows = collect(frame)
    with plot_style():
        return save(_figure(rows), out_dir, "accuracy")


def _figure(rows: Sequence[Row]) -> Figure:
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


def _panel(axes: Axes, found: Sequence[Series], rows: Sequence[Row]) -> None:
    dodge = min(_DODGE, _DODGE_ALL ** (1 / max(1, len(found) - 1)))
    for i, series in enumerate(found):
        shift = dodge ** (i - (len(found) - 1) / 2)
        axes.errorbar(
            [row.ipc * shift for row in series.rows if row.ipc is not None],
            [row.mean for row in series.rows],
            yerr=[row.std or 0.0 for row in series.rows],
            label=series.label, color=series.look.colour, linestyle=series.dashes,
            marker=series.look.marker, markersize=series.look.size, markerfacecolor=series.face,
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


def legend_below(figure: Figure, panels: Sequence[Axes], extra: Sequence[Any] = ()) -> None:
    """Give the figure one legend under its panels, each label once, ``extra`` handles last.

    It has as many columns as fit, and the figure grows by its height.
    """
    from matplotlib.lines import Line2D

    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    # Error bars first: plain lines across a panel belong after the series.
    ordered = sorted(found.items(), key=lambda pair: isinstance(pair[1], Line2D))
    handles = [*(handle for _, handle in ordered), *extra]
    width, height = figure.get_size_inches()
    letters = int((width - _HANDLE) * _LETTERS_PER_INCH)
    labels = [fill(label, letters) for label, _ in ordered]
    labels += [handle.get_label() for handle in extra]
    for lines in range(1, len(labels) + 1):
        columns = -(-len(labels) // lines)
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        size = legend.get_window_extent()
        if size.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + size.height / figure.dpi)
