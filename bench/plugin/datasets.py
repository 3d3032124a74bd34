"""For plugins that bring a dataset, or handle pixels of real images themselves."""

from bench.datasets.real_set import RealSet, denormalise, normalise
from bench.datasets.source import Arrays, Progress
from bench.datasets.zca import ZCA

__all__ = ["ZCA", "Arrays", "Progress", "RealSet", "denormalise", "normalise"]
