"""Plots: accuracy, cost, distilled images, and accuracy over architectures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.ledger.rows import Evaluation
from bench.report.plots.accuracy import plot_accuracy
from bench.report.plots.cost import plot_cost
from bench.report.plots.cross_arch import plot_cross_arch
from bench.report.plots.gallery import plot_gallery
from bench.report.plots.options import PlotOptions

PLOTS: dict[str, Callable[[Sequence[Evaluation], Path, PlotOptions], list[Path]]] = {
    "accuracy": plot_accuracy,
    "cost": plot_cost,
    "gallery": plot_gallery,
    "cross-arch": plot_cross_arch,
}

__all__ = [
    "PLOTS", "PlotOptions", "plot_accuracy", "plot_cost", "plot_cross_arch", "plot_gallery",
]  # fmt: skip
