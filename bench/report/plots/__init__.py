"""Plots of results: against budgets and over architectures, ranks, and distilled images.

Each function of :data:`PLOTS` takes the successful evaluations of a store, a folder that is made if
absent, and the user's options (:class:`PlotOptions`), which it can do without. It writes
``KIND.png``, ``.svg`` and ``.pdf`` and returns the files. All raise BenchError if there is nothing
to draw, or the size that the user chose leaves no room for the panels.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.report.plots.accuracy import accuracy_figure
from bench.report.plots.budget import budget_figure
from bench.report.plots.cost import cost_figure
from bench.report.plots.cross_arch import cross_arch_figure
from bench.report.plots.gallery import plot_gallery
from bench.report.plots.learning import plot_learning
from bench.report.plots.options import PlotOptions
from bench.report.plots.pareto import pareto_figure
from bench.report.plots.rank import plot_rank
from bench.report.plots.style import MakeFigure, draw_results

__all__ = ["PLOTS", "PUBLISHED", "PlotOptions"]

_FIGURES: dict[str, MakeFigure] = {
    "accuracy": accuracy_figure,
    "cost": cost_figure,
    "budget": budget_figure,
    "pareto": pareto_figure,
    "cross-arch": cross_arch_figure,
}
PLOTS: dict[str, Callable[..., list[Path]]] = {
    **{kind: partial(draw_results, kind, make) for kind, make in _FIGURES.items()},
    "learning": plot_learning,
    "rank": plot_rank,
    "gallery": plot_gallery,
}
# Those with an axis of accuracy, which can draw published numbers too.
PUBLISHED = ("accuracy", "cost", "budget", "pareto", "learning")
