"""ResNet-10, 18, 34 and 50 for small images, and their average-pooling variants.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with a stem that keeps the
size of small images. The ``_ap`` variants replace every strided convolution by one of stride 1 and
2x2 average pooling, as in Kim et al., "Dataset Condensation via Efficient Synthetic-Data
Parameterization", ICML 2022. (Zhao et al., "Dataset Condensation with Gradient Matching", ICLR
2021, had them first; their classifier sees the last maps whole, 4x4, where this one sees the mean
of each: 11,250,762 parameters for their ``ResNet18_AP``, 11,173,962 here.) ``resnet18``
with its defaults has 11,173,962 parameters for RGB images of 10 classes, ``resnet34`` 21,282,122
and ``resnet50`` 23,520,842.

The released code of IDC and DiM starts from 32 channels on CIFAR: there, it is ``width=32``. DiM's
has the stem of ImageNet for all other datasets, whatever their size: ``stem=large``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from architectures.layers import AvgPool2, Size, make_norm
from architectures.network import GlobalAverage, Network, draw_he
from architectures.resnet_blocks import (
    DEPTHS,
    BasicBlock,
    Bottleneck,
    ResNetParams,
    conv,
    halved,
)
from bench.plugin import Architecture, DatasetSpec

# By depth: the block, and how many of it each stage has.
_LAYOUT: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(Architecture):
    """ResNet-10, 18, 34 and 50; with ``_ap``, average pooling instead of strides."""

    name = "resnet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        f"resnet{depth}{suffix}": {"depth": depth, "average_pool": suffix == "_ap"}
        for depth in DEPTHS
        for suffix in ("", "_ap")
    }
    Params = ResNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: ResNetParams) -> Network:
        """Return a stem, four stages of residual blocks, the mean of each map and a classifier.

        The stem of images up to 64 pixels keeps their size (3x3, stride 1); up to 128 it halves,
        above that it quarters, as in the field's code, unless ``stem`` names another.
        Stages two to four halve. Convolutions are drawn as in He et al. (fan-out), and have biases
        only where there is no norm; norms start as the identity; the classifier has PyTorch's
        default initialisation. An embedding has
        ``8 * width`` numbers, with bottlenecks ``32 * width``.

        Raises:
            BenchError: if halving leaves nothing of images that small, or the norm cannot be had.
        """
        layers, size = _stem(spec, params)
        channels, (block, stages) = params.width, _LAYOUT[params.depth]
        for stage, blocks in enumerate(stages):
            for i in range(blocks):
                shrink, width = stage > 0 and i == 0, params.width * 2**stage
                layers.append(block(channels, width, size, shrink, params))
                size = halved(size, params) if shrink else size
                channels = width * block.expansion
        network = Network(nn.Sequential(*layers, GlobalAverage()), channels, spec.num_classes)
        draw_he(network.features, "fan_out")
        return network

    @classmethod
    def per_sample(cls, params: ResNetParams) -> bool:
        """True unless the norm is ``batch``, which is the default."""
        return params.norm != "batch"


def _stem(spec: DatasetSpec, params: ResNetParams) -> tuple[list[nn.Module], Size]:
    size, pool = (spec.height, spec.width), params.average_pool
    stem = _auto_stem(max(size)) if params.stem == "auto" else params.stem
    stride = 2 if stem == "large" and not pool else 1
    size = halved(size, params) if stride == 2 else size
    layers = [
        conv(spec.channels, params.width, 7 if stem == "large" else 3, stride, params),
        make_norm(params.norm, params.width, size),
        nn.ReLU(inplace=True),
    ]
    for _ in range((stem != "small") + (stem == "large" and pool)):
        layers.append(AvgPool2() if pool else nn.MaxPool2d(3, 2, padding=1))
        size = halved(size, params)
    return layers, size


def _auto_stem(side: int) -> str:
    """Return the stem that the field uses for images whose longer side has so many pixels."""
    if side > 128:
        return "large"
    return "mid" if side > 64 else "small"
