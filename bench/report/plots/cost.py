"""The cost plot: accuracy against the time to distil and against the bytes to store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation
from bench.report.aggregate import Row
from bench.report.plots.against import draw_joined, quantity_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.quantities import BYTES, TIME
from bench.report.plots.style import draw_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    return quantity_figure(rows, options, (TIME, BYTES), draw_joined)
