"""The perceptron: the field's numbers of parameters, its computation, any size of image."""

from __future__ import annotations

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample


@pytest.mark.parametrize(
    ("name", "spec", "parameters"),
    [
        # The two that networks.py of VICO-UoE/DatasetCondensation knows.
        ("mlp", spec_of(3, 32), 411_146),
        ("mlp", spec_of(1, 28), 118_282),
        ("mlp", spec_of(1, 16, classes=7), (256 + 1) * 128 + 129 * 128 + 129 * 7),
        ("mlp(width=5)", spec_of(3, 4, 2), (24 + 1) * 5 + 6 * 5 + 6 * 10),
    ],
)
def test_parameter_count(name: str, spec: DatasetSpec, parameters: int) -> None:
    assert count(network(name, spec)) == parameters


def test_three_layers_with_relu_between() -> None:
    spec = spec_of(3, 8, classes=4)
    net = network("mlp(width=6)", spec)
    x = images_for(spec, 5)
    (w1, b1), (w2, b2) = ((net.features[i].weight, net.features[i].bias) for i in (1, 3))
    hidden = F.relu(F.relu(x.flatten(1) @ w1.T + b1) @ w2.T + b2)
    torch.testing.assert_close(net.embed(x), hidden)
    torch.testing.assert_close(net(x), hidden @ net.classifier.weight.T + net.classifier.bias)
    assert is_per_sample("mlp")
