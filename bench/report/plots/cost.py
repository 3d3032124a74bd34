"""The cost plot: accuracy against the time to distil and against the bytes to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation
from bench.report.aggregate import Row
from bench.report.number_formats import listing
from bench.report.plots.layout import Grid, title_panel
from bench.report.plots.lines import draw_whole
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.panels import choose_panels
from bench.report.plots.series import Series, find_series
from bench.report.plots.style import draw_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

# The markers of the smallest and of the largest IPC, relative to those of the legend.
_SMALLEST, _LARGEST = 0.75, 1.5
# A logarithmic axis has no zero; what takes less than this is drawn as if it took this.
_SECONDS_FLOOR = 1e-3
_MARGIN = 1.6


def plot_cost(
    evaluations: Sequence[Evaluation], out_dir: Path, options: PlotOptions = DEFAULT
) -> list[Path]:
    """Draw accuracy against the distillation time of a distilled set and against its stored bytes.

    Args:
        evaluations: at least one successful evaluation (:func:`bench.ledger.rows.load_rows`).
        out_dir: where ``cost.png``, ``.svg`` and ``.pdf`` are written; it is made if absent.
        options: the user's.

    Returns:
        The files written.

    Raises:
        BenchError: if the size that the user chose leaves no room for the panels.
    """
    return draw_results("cost", evaluations, out_dir, options, cost_figure)


def cost_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    from matplotlib.lines import Line2D

    panels = choose_panels(rows, options, each=2)
    drawn = [row for members in panels.values() for row in members]
    grid = Grid(2 * len(panels), options, together=2)
    sizes = _ipc_sizes(drawn)
    pairs = zip(grid.panels[::2], grid.panels[1::2], strict=True)
    for (left, right), (block, members) in zip(pairs, panels.items(), strict=True):
        for series in find_series(members, drawn):
            _draw(left, series, [_seconds(r) for r in series.rows], sizes)
            _draw(right, series, [float(r.stored_bytes) for r in series.rows], sizes)
        _finish(left, right, members)
        title_panel(left, block, members, grid.panel_width, options)
    shapes = [
        Line2D([], [], color="#444444", linestyle="none", marker="o", markersize=5.2 * size,
               label=f"IPC {ipc}")
        for ipc, size in sizes.items()
    ]  # fmt: skip
    return grid.finish(drawn, extra=shapes)


def _draw(axes: Axes, series: Series, xs: Sequence[float], sizes: Mapping[int, float]) -> None:
    style, means = series.style, [row.mean for row in series.rows]
    axes.plot(xs, means, color=style.colour, linestyle=series.dashes, linewidth=series.width,
              alpha=0.6)  # fmt: skip
    for x, row in zip(xs, series.rows, strict=True):
        if row.ipc is not None:
            axes.errorbar(
                [x], [row.mean], yerr=[row.plus_minus or 0.0], color=style.colour,
                marker=style.marker, markersize=style.marker_size * sizes[row.ipc],
                markerfacecolor=series.face, capsize=2, elinewidth=0.9,
            )  # fmt: skip
    axes.plot([], [], color=style.colour, linestyle=series.dashes, marker=style.marker,
              markersize=style.marker_size, markerfacecolor=series.face,
              label=series.label)  # fmt: skip


def _finish(left: Axes, right: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter

    sized = [row for row in rows if row.ipc is not None]
    _scale(left, [_seconds(row) for row in sized], FuncFormatter(lambda x, _: f"{x:,.6g}"))
    _scale(right, [float(row.stored_bytes) for row in sized], EngFormatter(unit="B"))
    for axes in (left, right):
        draw_whole(axes, rows)
    right.sharey(left)
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


def _ipc_sizes(rows: Sequence[Row]) -> dict[int, float]:
    """Return how large the markers of each IPC are, relative to those of the legend."""
    ipcs = sorted({row.ipc for row in rows if row.ipc is not None})
    step = (_LARGEST - _SMALLEST) / max(1, len(ipcs) - 1)
    return {ipc: _SMALLEST + i * step if len(ipcs) > 1 else 1.0 for i, ipc in enumerate(ipcs)}
