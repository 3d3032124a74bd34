"""The budget plot: accuracy at equal IPC, training steps, distinct images and stored bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import BYTES, IMAGES, IPC, TRAINING_STEPS
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def budget_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`."""
    return quantity_figure(rows, options, (IPC, TRAINING_STEPS, IMAGES, BYTES), draw_joined)
