"""The cost plot: accuracy against the time to distil and against the bytes to store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation
from bench.report.aggregate import Row, blocks, collect
from bench.report.number_formats import listing
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
    from matplotlib.ticker import Formatter

_IPC_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# A logarithmic axis has no zero; what takes less than this is drawn as if it took this.
_SECONDS_FLOOR = 1e-3
_MARGIN = 1.6


def plot_cost(evaluations: Sequence[Evaluation], out_dir: Path) -> list[Path]:
    """Draw accuracy against the distillation time of a distilled set and against its stored bytes.

    Args:
        evaluations: at least one successful evaluation (:func:`bench.ledger.rows.load_rows`).
        out_dir: where ``cost.png`` and ``cost.svg`` are written; it is made if absent.

    Returns:
        The files written.
    """
    rows = drawable_rows(collect(evaluations))
    with plot_style(texts_of(rows)):
        return save(cost_figure(rows), out_dir, "cost")


def cost_figure(rows: Sequence[Row]) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    panels = blocks(rows)
    figure = Figure(figsize=(8.2, 3.1 * len(panels) + 0.2), layout="constrained")
    grid = figure.subplots(len(panels), 2, squeeze=False, sharey="row")
    markers = _ipc_markers(rows)
    for (left, right), (block, members) in zip(grid, panels.items(), strict=True):
        for series in find_series(members, rows):
            _draw(left, series, [_seconds(r) for r in series.rows], markers)
            _draw(right, series, [float(r.stored_bytes) for r in series.rows], markers)
        _finish(left, right, members)
        panel_title(left, block, members)
    shapes = [
        Line2D([], [], color="#444444", linestyle="none", marker=marker, label=f"IPC {ipc}")
        for ipc, marker in markers.items()
    ]
    legend_below(figure, [axes for pair in grid for axes in pair], shapes)
    return figure


def _draw(axes: Axes, series: Series, xs: Sequence[float], markers: dict[int, str]) -> None:
    means, colour = [row.mean for row in series.rows], series.style.colour
    axes.plot(xs, means, color=colour, linestyle=series.dashes, linewidth=series.width, alpha=0.6)
    for x, row in zip(xs, series.rows, strict=True):
        if row.ipc is not None:
            axes.errorbar(
                [x], [row.mean], yerr=[row.std or 0.0], color=colour, marker=markers[row.ipc],
                markerfacecolor=series.face, capsize=2, elinewidth=0.9,
            )  # fmt: skip
    axes.plot([], [], color=colour, linestyle=series.dashes, marker="o",
              markerfacecolor=series.face, label=series.label)  # fmt: skip


def _finish(left: Axes, right: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter

    sized = [row for row in rows if row.ipc is not None]
    _scale(left, [_seconds(row) for row in sized], FuncFormatter(lambda x, _: f"{x:,.6g}"))
    _scale(right, [float(row.stored_bytes) for row in sized], EngFormatter(unit="B"))
    for axes in (left, right):
        draw_whole(axes, rows)
    left.set_ylabel("Test accuracy (%)")
    left.set_xlabel(f"Distillation time of the artefact (s, on {listing(r.device for r in rows)})")
    right.set_xlabel("Stored size")


def _scale(axes: Axes, xs: Sequence[float], formatter: Formatter) -> None:
    """Make the x axis logarithmic, with a few plain labels however narrow the range."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    if not xs:
        return
    low, high = min(xs), max(xs)
    axes.set_xlim(low / _MARGIN, high * _MARGIN)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 50 * low else (1, 2, 5)))
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _seconds(row: Row) -> float:
    return max(row.distil_seconds, _SECONDS_FLOOR)


def _ipc_markers(rows: Sequence[Row]) -> dict[int, str]:
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    return {ipc: _IPC_MARKERS[i % len(_IPC_MARKERS)] for i, ipc in enumerate(ipcs)}
