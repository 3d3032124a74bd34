"""AlexNet: the field's numbers of parameters, shapes, padding, norms, refusals."""

from __future__ import annotations

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)
# Kernel, channels in, channels out.
CONVOLUTIONS = ((5, 128, 192), (3, 192, 256), (3, 256, 192), (3, 192, 192))


def expected_count(channels: int, maps: int, norm: int = 0) -> int:
    inner = sum((k * k * i + 1) * o for k, i, o in CONVOLUTIONS)
    return (25 * channels + 1) * 128 + inner + norm * 2 * 960 + (192 * maps + 1) * 10


@pytest.mark.parametrize(
    ("name", "spec", "parameters"),
    [
        # Those that networks.py of VICO-UoE/DatasetCondensation knows; the third is its AlexNetBN.
        ("alexnet", RGB, 1_872_202),
        ("alexnet", spec_of(1, 28), 1_865_802),
        ("alexnet(norm=batch)", RGB, 1_874_122),
        ("alexnet(norm=instance)", RGB, expected_count(3, 16, norm=1)),
        ("alexnet", spec_of(1, 16), expected_count(1, 4)),
        ("alexnet", spec_of(3, 64, 36), expected_count(3, 8 * 4)),
        ("alexnet", spec_of(1, 8), expected_count(1, 1)),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)
def test_parameter_count_and_shapes(name: str, spec: DatasetSpec, parameters: int) -> None:
    net = network(name, spec)
    x = images_for(spec, 2)
    assert count(net) == parameters
    assert net.embed(x).shape == (2, net.classifier.in_features)
    assert net(x).shape == (2, 10)


@pytest.mark.parametrize(("side", "padding"), [(28, 4), (16, 2), (32, 2)])
def test_computes_what_it_says(side: int, padding: int) -> None:
    spec = spec_of(1, side)
    net = network("alexnet", spec).double()
    x = images_for(spec, 2).double()
    weights = list(net.parameters())
    y = F.max_pool2d(F.relu(F.conv2d(x, *weights[0:2], padding=padding)), 2)
    y = F.max_pool2d(F.relu(F.conv2d(y, *weights[2:4], padding=2)), 2)
    for i in (4, 6, 8):
        y = F.relu(F.conv2d(y, *weights[i : i + 2], padding=1))
    torch.testing.assert_close(net.embed(x), F.max_pool2d(y, 2).flatten(1))


def test_too_small_is_refused() -> None:
    with pytest.raises(BenchError, match=r"alexnet cannot take the 7x9 images.*at least 8"):
        network("alexnet", spec_of(1, 7, 9))


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"alexnet(norm={norm})") == (norm != "batch")
