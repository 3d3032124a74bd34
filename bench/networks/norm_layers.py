"""What a network normalises its activations over, found in its layers without making weights."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network


@cache
def norm_of(arch: str, spec: DatasetSpec) -> str:
    """Return the kind of a network's normalisation layers.

    Args:
        arch: a name, as :func:`bench.networks.architecture.build_network` takes it.
        spec: the dataset.

    Returns:
        ``batch``, ``instance``, ``group``, ``layer``, several of them joined by ``+``, or ``no``.

    Raises:
        BenchError: there is no such network, or it cannot take images of that size.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        kinds = {_kind(module) for module in build_network(arch, spec).modules()}
    return "+".join(sorted(kinds - {""})) or "no"


def _kind(module: nn.Module) -> str:
    match module:
        case _BatchNorm():
            return "batch"
        case _InstanceNorm():
            return "instance"
        case nn.GroupNorm() if module.num_groups == module.num_channels:
            return "instance"  # the field's habit
        case nn.GroupNorm():
            return "layer" if module.num_groups == 1 else "group"
        case nn.LayerNorm():
            return "layer"
    return ""
