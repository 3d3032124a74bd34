"""Plots of results: against budgets and over architectures, ranks, and distilled images."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.ledger.rows import Evaluation
from bench.report.plots.accuracy import plot_accuracy
from bench.report.plots.budget import plot_budget
from bench.report.plots.cost import plot_cost
from bench.report.plots.cross_arch import plot_cross_arch
from bench.report.plots.gallery import plot_gallery
from bench.report.plots.learning import plot_learning
from bench.report.plots.options import PlotOptions
from bench.report.plots.pareto import plot_pareto
from bench.report.plots.rank import plot_rank

PLOTS: dict[str, Callable[[Sequence[Evaluation], Path, PlotOptions], list[Path]]] = {
    "accuracy": plot_accuracy,
    "cost": plot_cost,
    "budget": plot_budget,
    "pareto": plot_pareto,
    "rank": plot_rank,
    "learning": plot_learning,
    "gallery": plot_gallery,
    "cross-arch": plot_cross_arch,
}

__all__ = [
    "PLOTS", "PlotOptions", "plot_accuracy", "plot_budget", "plot_cost", "plot_cross_arch",
    "plot_gallery", "plot_learning", "plot_pareto", "plot_rank",
]  # fmt: skip
