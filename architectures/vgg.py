"""VGG-11 for small images: eight 3x3 convolutions, five poolings, one linear classifier.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015 (configuration A), in the small form of the field's evaluation pool: Zhao et al., "Dataset
Condensation with Gradient Matching", ICLR 2021 (``networks.py`` of their released code; its
VGG11BN is ``norm=batch``). 9,231,114 parameters for 32x32 RGB images of 10 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from architectures.layers import NORMS, make_norm
from architectures.network import Network, check_side, first_padding
from bench.plugin import Architecture, DatasetSpec, param

# The convolutions between two poolings: their channels, in multiples of the first.
_STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))
_FULL_SIDE = 2 ** len(_STAGES)


@dataclass(frozen=True)
class VGGParams:
    """What can be set of a VGG."""

    width: int = param(
        64, help="channels of the first stage; the last has 8 times as many", min=1, max=1024
    )
    norm: str = param("instance", help="normalisation after each convolution", choices=NORMS)


class VGG(Architecture):
    """The field's VGG-11 for 32x32, with instance normalisation."""

    name = "vgg"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"vgg11": {}}
    Params = VGGParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: VGGParams) -> Network:
        """Return a network with PyTorch's default initialisation, as the field uses.

        Images of 28x28 are padded to 32x32 within the first convolution. With a side of 16 to 31
        pixels, the first pooling is left out: there are no five halvings to be had, and from the
        second stage on 16x16 then goes the way of 32x32.

        Raises:
            BenchError: if a side is under 16 pixels, or the norm cannot be had.
        """
        check_side("vgg11", spec, _FULL_SIDE // 2)
        size, padding = first_padding(spec, 1)
        unpooled = 0 if min(size) < _FULL_SIDE else None
        layers: list[nn.Module] = []
        channels = spec.channels
        for stage, multiples in enumerate(_STAGES):
            for width in (m * params.width for m in multiples):
                layers.append(nn.Conv2d(channels, width, 3, padding=padding))
                if params.norm != "none":
                    layers.append(make_norm(params.norm, width, size))
                layers.append(nn.ReLU(inplace=True))
                channels, padding = width, 1
            if stage != unpooled:
                layers.append(nn.MaxPool2d(2))
                size = size[0] // 2, size[1] // 2
        return Network(nn.Sequential(*layers), channels * size[0] * size[1], spec.num_classes)

    @classmethod
    def per_sample(cls, params: VGGParams) -> bool:
        """True unless the norm is ``batch``."""
        return params.norm != "batch"
