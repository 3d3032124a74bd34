"""LeNet-5 with ReLU and max pooling.

LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, in the form of the
field's evaluation pool: Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021
(``networks.py`` of their released code). 62,006 parameters for 32x32 RGB images of 10 classes,
61,706 for 28x28 grey ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from architectures.network import Network, check_side
from bench.plugin import Architecture, DatasetSpec

_LEAST_SIDE = 12
_WIDTHS = (120, 84)


class LeNet(Architecture):
    """LeNet-5: two convolutions and three linear layers."""

    name = "lenet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lenet": {}}

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> Network:  # noqa: ARG003
        """Return a network with PyTorch's default initialisation, as the field uses.

        Raises:
            BenchError: if a side is under 12 pixels, of which two poolings would leave nothing.
        """
        return Network(_features(spec), _WIDTHS[-1], spec.num_classes)

    @classmethod
    def per_sample(cls, params: Any) -> bool:  # noqa: ARG003
        """Always true: nothing is normalised."""
        return True


def _features(spec: DatasetSpec) -> nn.Module:
    """Images under 32 pixels keep their size in the first convolution, as 28x28 in the paper."""
    check_side("lenet", spec, _LEAST_SIDE)
    padding = 2 if min(spec.height, spec.width) < 32 else 0
    height, width = ((side + 2 * padding - 4) // 2 for side in (spec.height, spec.width))
    maps = (height - 4) // 2 * ((width - 4) // 2)
    first, second = _WIDTHS
    return nn.Sequential(
        nn.Conv2d(spec.channels, 6, 5, padding=padding),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * maps, first),
        nn.ReLU(inplace=True),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
    )
