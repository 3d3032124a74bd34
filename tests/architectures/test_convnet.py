"""ConvNet: the field's numbers of parameters, shapes, padding and refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import Tensor, nn
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)
Map = Callable[[Tensor], Tensor]


def test_convnet3_is_the_fields() -> None:
    assert count(network("convnet3", RGB)) == 320_010


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # convolutions + norms + classifier, by hand
        ("convnet1(width=8)", (27 * 8 + 8) + 16 + (8 * 16 * 16 * 10 + 10)),
        ("convnet2(width=8)", (27 * 8 + 8) + (72 * 8 + 8) + 32 + (8 * 8 * 8 * 10 + 10)),
        ("convnet1(width=8,norm=none)", (27 * 8 + 8) + (8 * 16 * 16 * 10 + 10)),
        ("convnet1(width=8,norm=batch)", (27 * 8 + 8) + 16 + (8 * 16 * 16 * 10 + 10)),
        ("convnet1(width=8,norm=group)", (27 * 8 + 8) + 16 + (8 * 16 * 16 * 10 + 10)),
        ("convnet1(width=8,norm=layer)", 224 + 2 * 8 * 32 * 32 + (8 * 16 * 16 * 10 + 10)),
        ("convnet2(width=8,pooling=none)", 224 + 584 + 32 + (8 * 32 * 32 * 10 + 10)),
        ("convnet2(width=8,pooling=max,activation=swish)", 224 + 584 + 32 + 8 * 64 * 10 + 10),
    ],
)
def test_parameter_count(name: str, expected: int) -> None:
    assert count(network(name, RGB)) == expected


@pytest.mark.parametrize(
    ("spec", "features"),
    [
        (RGB, 4 * 4),
        (spec_of(1, 28), 4 * 4),
        (spec_of(3, 28), 4 * 4),
        (spec_of(1, 16), 2 * 2),
        (spec_of(1, 8), 1),
        (spec_of(3, 30), 3 * 3),
        (spec_of(3, 64, 32, classes=7), 8 * 4),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)
def test_shapes(spec: DatasetSpec, features: int) -> None:
    net = network("convnet3(width=4)", spec)
    x = images_for(spec, 2)
    assert net.embed(x).shape == (2, 4 * features)
    assert net(x).shape == (2, spec.num_classes)


def test_28_pixels_are_padded_to_32() -> None:
    small, large = spec_of(1, 28), spec_of(1, 32)
    net, wide = network("convnet3(width=8)", small), network("convnet3(width=8)", large)
    wide.load_state_dict(net.state_dict())
    x = images_for(small, 3)
    torch.testing.assert_close(net(x), wide(F.pad(x, (2, 2, 2, 2))))


def test_other_sizes_are_not_padded() -> None:
    for side in (16, 27, 29, 32):
        first = network("convnet1(width=4)", spec_of(1, side)).features[0]
        assert first.padding == (1, 1)


@pytest.mark.parametrize(
    ("name", "side", "least"), [("convnet3", 7, 8), ("convnet6", 32, 64), ("convnet2", 3, 4)]
)
def test_too_small_is_refused(name: str, side: int, least: int) -> None:
    with pytest.raises(BenchError, match=f"{name} .*{side}x{side}.* at least {least}"):
        network(f"{name}(width=4)", spec_of(1, side))
    network(f"{name}(width=4)", spec_of(1, least))
    network(f"{name}(width=4,pooling=none)", spec_of(1, side))


def test_group_norm_wants_four_groups() -> None:
    with pytest.raises(BenchError, match=r"6 channels.*multiple of 4"):
        network("convnet1(width=6,norm=group)", RGB)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", F.relu),
        ("leakyrelu", lambda x: F.leaky_relu(x, 0.01)),
        ("sigmoid", torch.sigmoid),
        ("swish", lambda x: x * torch.sigmoid(x)),
    ],
)
@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("avg", lambda x: F.avg_pool2d(x, 2)),
        ("max", lambda x: F.max_pool2d(x, 2)),
        ("none", lambda x: x),
    ],
)
def test_block_computes_what_it_says(
    activation: str, function: Map, pooling: str, pool: Map
) -> None:
    spec = spec_of(3, 8)
    net = network(f"convnet1(width=4,activation={activation},pooling={pooling})", spec)
    conv, norm = net.features[0], net.features[1]
    x = images_for(spec, 2)
    y = F.instance_norm(F.conv2d(x, conv.weight, conv.bias, padding=1))
    y = pool(function(y * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)))
    torch.testing.assert_close(net.embed(x), y.flatten(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"convnet3(norm={norm})") == (norm != "batch")
    has_batch_norm = any(
        isinstance(m, nn.BatchNorm2d)
        for m in network(f"convnet2(width=4,norm={norm})", RGB).modules()
    )
    assert has_batch_norm == (norm == "batch")
