"""AlexNet for small images: five convolutions, three of them pooled, and one linear classifier.

Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, in the
small form of the field's evaluation pool: Zhao et al., "Dataset Condensation with Gradient
Matching", ICLR 2021 (``networks.py`` of their released code; its AlexNetBN is ``norm=batch``).
1,872,202 parameters for 32x32 RGB images of 10 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from architectures.layers import NORMS, make_norm
from architectures.network import Network, check_side, first_padding
from bench.plugin import Architecture, DatasetSpec, param

# Channels, kernel, and whether pooling follows.
_LAYERS = ((128, 5, True), (192, 5, True), (256, 3, False), (192, 3, False), (192, 3, True))
_LEAST_SIDE = 8


@dataclass(frozen=True)
class AlexNetParams:
    """What can be set of AlexNet."""

    norm: str = param("none", help="normalisation after each convolution", choices=NORMS)


class AlexNet(Architecture):
    """The field's AlexNet for 32x32: five convolutions and one linear layer."""

    name = "alexnet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"alexnet": {}}
    Params = AlexNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: AlexNetParams) -> Network:
        """Return a network with PyTorch's default initialisation, as the field uses.

        Images of 28x28 are padded to 32x32 within the first convolution.

        Raises:
            BenchError: if a side is under 8 pixels, which three poolings would use up.
        """
        check_side("alexnet", spec, _LEAST_SIDE)
        size, first = first_padding(spec, 2)
        layers: list[nn.Module] = []
        channels = spec.channels
        for width, kernel, pool in _LAYERS:
            padding = kernel // 2 if layers else first
            layers.append(nn.Conv2d(channels, width, kernel, padding=padding))
            if params.norm != "none":
                layers.append(make_norm(params.norm, width, size))
            layers.append(nn.ReLU(inplace=True))
            if pool:
                layers.append(nn.MaxPool2d(2))
                size = size[0] // 2, size[1] // 2
            channels = width
        return Network(nn.Sequential(*layers), channels * size[0] * size[1], spec.num_classes)

    @classmethod
    def per_sample(cls, params: AlexNetParams) -> bool:
        """True unless the norm is ``batch``."""
        return params.norm != "batch"
