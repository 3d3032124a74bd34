"""The cost plot: accuracy against the time to distil and against the bytes to store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import BYTES, TIME
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cost_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    return quantity_figure(rows, options, (TIME, BYTES), draw_joined)
