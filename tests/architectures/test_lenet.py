"""LeNet: the field's numbers of parameters, shapes, padding of small images, refusals."""

from __future__ import annotations

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError


def expected_count(channels: int, maps: int, classes: int) -> int:
    convolutions = (25 * channels + 1) * 6 + (25 * 6 + 1) * 16
    return convolutions + (16 * maps + 1) * 120 + 121 * 84 + 85 * classes


@pytest.mark.parametrize(
    ("spec", "parameters"),
    [
        # The two that networks.py of VICO-UoE/DatasetCondensation knows.
        (spec_of(3, 32), 62_006),
        (spec_of(1, 28), 61_706),
        (spec_of(1, 16, classes=7), expected_count(1, 2 * 2, 7)),
        (spec_of(3, 64, 40), expected_count(3, 13 * 7, 10)),
        (spec_of(1, 12), expected_count(1, 1, 10)),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)
def test_parameter_count_and_shapes(spec: DatasetSpec, parameters: int) -> None:
    net = network("lenet", spec)
    x = images_for(spec, 2)
    assert count(net) == parameters
    assert net.embed(x).shape == (2, 84)
    assert net(x).shape == (2, spec.num_classes)
    assert is_per_sample("lenet")


@pytest.mark.parametrize(("side", "padding"), [(28, 2), (16, 2), (32, 0), (40, 0)])
def test_computes_what_it_says(side: int, padding: int) -> None:
    spec = spec_of(1, side)
    net = network("lenet", spec).double()
    x = images_for(spec, 3).double()
    weights = list(net.parameters())
    y = F.max_pool2d(F.relu(F.conv2d(x, *weights[0:2], padding=padding)), 2)
    y = F.max_pool2d(F.relu(F.conv2d(y, *weights[2:4])), 2).flatten(1)
    y = F.relu(F.linear(F.relu(F.linear(y, *weights[4:6])), *weights[6:8]))
    torch.testing.assert_close(net.embed(x), y)
    torch.testing.assert_close(net(x), F.linear(y, *weights[8:]))


def test_too_small_is_refused() -> None:
    with pytest.raises(BenchError, match=r"lenet cannot take the 28x11 images.*at least 12"):
        network("lenet", spec_of(1, 28, 11))
