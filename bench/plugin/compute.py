"""For plugins that compute more than a loss: passes, functional networks, seeds, fast kernels."""

from bench.augment.dsa import Draw, parse_strategy
from bench.distillation import passes
from bench.networks.architecture import build_network, parse_architecture
from bench.networks.functional import FunctionalNetwork
from bench.networks.fused_operations import average_pool2, norm_relu_pool
from bench.support.seeds import global_seed

__all__ = [
    "Draw",
    "FunctionalNetwork",
    "average_pool2",
    "build_network",
    "global_seed",
    "norm_relu_pool",
    "parse_architecture",
    "parse_strategy",
    "passes",
]
