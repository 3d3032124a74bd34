"""What plugin authors import: the base classes, and the names that most plugins need.

What fewer plugins need lies in modules beside this one: :mod:`bench.plugin.compute` for methods and
networks that compute more than a loss, :mod:`bench.plugin.sets` for distilled sets that are no
plain images, :mod:`bench.plugin.datasets` for real data, :mod:`bench.plugin.tracking` for trackers.
"""

from typing import Any

from bench.augment.dsa import DSA
from bench.datasets.source import DatasetSource
from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context
from bench.distillation.learned_images import LearnedImages, init_param
from bench.distillation.method import (
    Method,
    Paper,
    Prerequisite,
    Scalars,
    Task,
)
from bench.distillation.profiles import Profile
from bench.distillation.running_network import RunningNetwork
from bench.distillation.selection import SelectionMethod
from bench.distilled.base import DistilledSet
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet
from bench.networks.architecture import Architecture
from bench.registry.params import by_dataset, by_ipc, by_task, nested, param
from bench.registry.plugin_files import register
from bench.support.errors import BenchError

__all__ = [
    "DSA",
    "Architecture",
    "BenchError",
    "Context",
    "DatasetSource",
    "DatasetSpec",
    "DistilledSet",
    "ImageGenerator",
    "ImageSet",
    "LearnedImages",
    "Method",
    "Paper",
    "Prerequisite",
    "Profile",
    "RunningNetwork",
    "Scalars",
    "SelectionMethod",
    "Task",
    "by_dataset",
    "by_ipc",
    "by_task",
    "init_param",
    "nested",
    "param",
    "register",
]


def __getattr__(name: str) -> Any:
    """Say where a name is that this module had earlier."""
    from bench.plugin import compute, datasets, sets, tracking

    for module in (compute, datasets, sets, tracking):
        if name in module.__all__:
            raise ImportError(f"'{name}' is in {module.__name__}: from {module.__name__} import it")
    raise AttributeError(f"module 'bench.plugin' has no attribute '{name}'")
