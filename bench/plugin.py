"""The one module that plugin authors import."""

from bench.augment.dsa import DSA, Draw, parse_strategy
from bench.datasets.real_set import RealSet, denormalise, normalise
from bench.datasets.source import Arrays, DatasetSource, Progress
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distillation import passes
from bench.distillation.context import Context, Start
from bench.distillation.learned_images import LearnedImages, init_param
from bench.distillation.method import (
    Method,
    Paper,
    Prerequisite,
    Profile,
    Scalars,
    SelectionMethod,
    Task,
)
from bench.distillation.running_network import RunningNetwork
from bench.distilled.base import DistilledSet, TrainingSource
from bench.distilled.factored_set import FactoredSet, decode_parts, part_size
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet
from bench.networks.architecture import (
    Architecture,
    build_network,
    parse_architecture,
)
from bench.networks.functional import FunctionalNetwork
from bench.networks.fused_operations import average_pool2, norm_relu_pool
from bench.registry.params import by_ipc, by_task, nested, param
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
    "LearnedImages",
    "Method",
    "Paper",
    "Prerequisite",
    "Profile",
    "Progress",
    "RealSet",
    "RunningNetwork",
    "Scalars",
    "SelectionMethod",
    "Start",
    "Task",
    "TrainingSource",
    "average_pool2",
    "build_network",
    "by_ipc",
    "by_task",
    "decode_parts",
    "denormalise",
    "global_seed",
    "init_param",
    "nested",
    "norm_relu_pool",
    "normalise",
    "param",
    "parse_architecture",
    "parse_strategy",
    "part_size",
    "passes",
    "register",
]
