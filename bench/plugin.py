"""The one module that plugin authors import."""

from bench.augment.dsa import DSA, Draw, parse_strategy
from bench.datasets.real_set import RealSet, denormalise, normalise
from bench.datasets.source import Arrays, DatasetSource, Progress
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distillation.context import Context, Start
from bench.distillation.method import (
    Method,
    Paper,
    Prerequisite,
    Profile,
    SelectionMethod,
    Task,
)
from bench.distilled.base import DistilledSet, TrainingSource
from bench.distilled.factored_set import FactoredSet, decode_parts, part_size
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet
from bench.networks.architecture import (
    Architecture,
    build_network,
    is_per_sample,
    parse_architecture,
)
from bench.networks.cpu_kernels import computing, image_gradient
from bench.networks.functional import FunctionalNetwork
from bench.networks.fused_operations import average_pool2, norm_relu_pool
from bench.registry.params import by_ipc, by_task, param
from bench.registry.plugin_files import register
from bench.support.errors import BenchError
from bench.support.seeds import global_seed

__all__ = [
    "DSA",
    "ZCA",
    "Architecture",
    "Arrays",
    "BenchError",
    "Context",
    "DatasetSource",
    "DatasetSpec",
    "DistilledSet",
    "Draw",
    "FactoredSet",
    "FunctionalNetwork",
    "GeneratorSet",
    "ImageGenerator",
    "ImageSet",
    "Method",
    "Paper",
    "Prerequisite",
    "Profile",
    "Progress",
    "RealSet",
    "SelectionMethod",
    "Start",
    "Task",
    "TrainingSource",
    "average_pool2",
    "build_network",
    "by_ipc",
    "by_task",
    "computing",
    "decode_parts",
    "denormalise",
    "global_seed",
    "image_gradient",
    "is_per_sample",
    "norm_relu_pool",
    "normalise",
    "param",
    "parse_architecture",
    "parse_strategy",
    "part_size",
    "register",
]
