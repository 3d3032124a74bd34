"""The size of a network: its weights and its largest output, found without computing it."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import torch
from torch import nn

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network


@cache
def count_weights(arch: str, spec: DatasetSpec) -> int:
    """Return how many weights a network has, without making them."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(weight.numel() for weight in build_network(arch, spec).parameters())


@cache
def largest_output(arch: str, spec: DatasetSpec) -> int:
    """Return the most numbers that a layer gives for one image; 0 if that takes real images."""
    sizes = [0]

    def measure(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            sizes.append(output.numel())

    with (
        suppress(Exception),  # an operation that needs values, of a plugin for example
        torch.random.fork_rng(devices=[]),
        torch.device("meta"),
        torch.inference_mode(),
    ):
        network = build_network(arch, spec).eval()
        for module in network.modules():
            module.register_forward_hook(measure)
        network(torch.empty(1, *spec.shape))
    return max(sizes)
