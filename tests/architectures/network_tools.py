"""What the tests of architectures share: specs, images and networks from a seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network
from bench.support.seeds import global_seed, make_generator


def spec_of(channels: int, height: int, width: int | None = None, classes: int = 10) -> DatasetSpec:
    half = (0.5,) * channels
    return DatasetSpec(
        "made-up", classes, channels, height, width or height, half, half, flip=False
    )


def images_for(spec: DatasetSpec, n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *spec.shape, generator=make_generator(seed))


def network(name: str, spec: DatasetSpec, seed: int = 0) -> Any:
    """Return the network; typed loosely, because tests reach into it."""
    with global_seed(seed):
        return build_network(name, spec)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
