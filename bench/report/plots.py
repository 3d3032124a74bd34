"""The plots by name."""

from bench.report.accuracy import plot_accuracy
from bench.report.cost import plot_cost
from bench.report.cross_arch import plot_cross_arch
from bench.report.gallery import plot_gallery

PLOTS = {
    "accuracy": plot_accuracy,
    "cost": plot_cost,
    "gallery": plot_gallery,
    "cross-arch": plot_cross_arch,
}

__all__ = ["PLOTS", "plot_accuracy", "plot_cost", "plot_cross_arch", "plot_gallery"]
