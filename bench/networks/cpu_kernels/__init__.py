"""Kernels in C++ for what PyTorch computes slowly on a CPU, and how they take its place.

What others use is here; the modules of this package are its own business.
"""

from bench.networks.cpu_kernels.convolution import image_gradient
from bench.networks.cpu_kernels.library import (
    describe_kernels,
    kernel_remarks,
    kernels_are_expected,
    prepare_kernels,
)
from bench.networks.cpu_kernels.mode import (
    computing,
    fast_operations,
    idle_kernels,
    without_kernels,
)

__all__ = [
    "computing",
    "describe_kernels",
    "fast_operations",
    "idle_kernels",
    "image_gradient",
    "kernel_remarks",
    "kernels_are_expected",
    "prepare_kernels",
    "without_kernels",
]
