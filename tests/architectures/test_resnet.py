"""ResNet: the standard numbers of parameters, shapes, stems, initialisation and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import nn

from bench.architecture import is_per_sample
from bench.datasets.spec import DatasetSpec
from bench.errors import BenchError

RGB = spec_of(3, 32)
NAMES = ["resnet10", "resnet18", "resnet10_ap", "resnet18_ap"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_173_962),
        ("resnet18_ap", 11_173_962),
        ("resnet10", 4_903_242),
        ("resnet18(width=32)", 2_797_610),
    ],
)
def test_parameter_count(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count(network(name, RGB)) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "spec",
    [RGB, spec_of(1, 28), spec_of(1, 16), spec_of(3, 65, 40, classes=3)],
    ids=lambda s: "x".join(map(str, s.shape)),
)
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_shapes(name: str, spec: DatasetSpec, norm: str) -> None:
    net = network(f"{name}(width=2,norm={norm})", spec)
    x = images_for(spec, 2)
    assert net.embed(x).shape == (2, 16)
    assert net(x).shape == (2, spec.num_classes)


@pytest.mark.parametrize(
    ("side", "plain", "pooled"), [(64, 64, 64), (128, 64, 64), (132, 33, 33), (66, 33, 33)]
)
def test_stem_shrinks_large_images_only(side: int, plain: int, pooled: int) -> None:
    for name, expected in (("resnet10", plain), ("resnet10_ap", pooled)):
        net = network(f"{name}(width=1)", spec_of(1, side))
        first = next(i for i, m in enumerate(net.features) if hasattr(m, "conv1"))
        stem = net.features[:first]
        assert stem(torch.zeros(2, 1, side, side)).shape[2:] == (expected, expected)


def test_ap_has_no_stride() -> None:
    strides = {
        name: {m.stride for m in network(f"{name}(width=1)", RGB).modules()
               if isinstance(m, nn.Conv2d)}
        for name in NAMES
    }  # fmt: skip
    assert strides["resnet18_ap"] == strides["resnet10_ap"] == {(1, 1)}
    assert strides["resnet18"] == strides["resnet10"] == {(1, 1), (2, 2)}


def test_ap_block_pools_after_the_first_activation() -> None:
    net = network("resnet10_ap(width=2)", RGB).eval()
    block = net.features[4]
    x = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    inner = nn.functional.avg_pool2d(block.norm1(block.conv1(x)).relu(), 2)
    _, conv, norm = block.shortcut
    # The field's order: convolution, then pooling, then norm.
    shortcut = norm(nn.functional.avg_pool2d(conv(x), 2))
    expected = (block.norm2(block.conv2(inner)) + shortcut).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_initialisation_is_fan_out_normal(norm: str) -> None:
    net = network(f"resnet10(norm={norm},width=16)", RGB)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            k, out = module.kernel_size[0], module.out_channels
            expected = math.sqrt(2 / (k * k * out))
            spread = 5 * expected / math.sqrt(2 * module.weight.numel())
            assert abs(module.weight.std().item() - expected) < spread
            assert (module.bias is None) == (norm != "none")
            assert module.bias is None or not module.bias.any()


def test_too_small_is_refused() -> None:
    with pytest.raises(BenchError, match="resnet18_ap cannot take"):
        network("resnet18_ap(width=1)", spec_of(1, 7))
    network("resnet18_ap(width=1)", spec_of(1, 8))
    with pytest.raises(BenchError, match=r"norm = 'instance'.*1x1"):
        network("resnet18(width=1,norm=instance)", spec_of(1, 8))
    network("resnet18(width=1,norm=instance)", spec_of(1, 9))


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"resnet18(norm={norm})") == (norm != "batch")
    assert not is_per_sample("resnet10_ap")
