"""The field's perceptron: three linear layers, and no notion of a neighbouring pixel.

As in the evaluation pool of Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021
(``networks.py`` of their released code). ``mlp`` with its defaults has 411,146 parameters for
32x32 RGB images of 10 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from architectures.network import Network
from bench.plugin import Architecture, DatasetSpec, param


@dataclass(frozen=True)
class MLPParams:
    """What can be set of the perceptron."""

    width: int = param(128, help="units of each hidden layer", min=1, max=65536)


class MLP(Architecture):
    """Three linear layers with 128 hidden units, for images of any size."""

    name = "mlp"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"mlp": {}}
    Params = MLPParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: MLPParams) -> Network:
        """Return a network with PyTorch's default initialisation, as the field uses."""
        pixels = spec.channels * spec.height * spec.width
        features = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, params.width),
            nn.ReLU(inplace=True),
            nn.Linear(params.width, params.width),
            nn.ReLU(inplace=True),
        )
        return Network(features, params.width, spec.num_classes)

    @classmethod
    def per_sample(cls, params: MLPParams) -> bool:  # noqa: ARG003
        """Always true: nothing is normalised."""
        return True
