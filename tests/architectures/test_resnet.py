"""ResNet: the standard numbers of parameters, shapes, stems, initialisation and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torchvision
from network_tools import count, images_for, network, spec_of
from torch import nn

from architectures.layers import AvgPool2
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)
NAMES = [f"resnet{depth}{suffix}" for depth in (10, 18, 34, 50) for suffix in ("", "_ap")]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_173_962),
        ("resnet18_ap", 11_173_962),
        ("resnet10", 4_903_242),
        ("resnet18(width=32)", 2_797_610),
        # kuangliu/pytorch-cifar and VICO-UoE/DatasetCondensation; and torchvision's number less
        # its large stem (7x7 to 3x3) and 990 of its 1000 classes.
        ("resnet34", 21_282_122),
        ("resnet34_ap", 21_797_672 - 64 * 3 * (49 - 9) - 990 * 513),
        ("resnet50", 23_520_842),
        ("resnet50_ap", 25_557_032 - 64 * 3 * (49 - 9) - 990 * 2049),
        ("resnet50(norm=instance)", 23_520_842),
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
    assert net.embed(x).shape == (2, 64 if "50" in name else 16)
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


@pytest.mark.parametrize(
    ("stem", "plain", "pooled"), [("small", 32, 32), ("mid", 16, 16), ("large", 8, 8)]
)
def test_a_stem_can_be_chosen(stem: str, plain: int, pooled: int) -> None:
    """DiM's released ResNets take images of 32 pixels with the stem for those of 224."""
    for name, side in (("resnet10", plain), ("resnet10_ap", pooled)):
        net = network(f"{name}(width=1,stem={stem})", RGB)
        first = next(i for i, m in enumerate(net.features) if hasattr(m, "conv1"))
        assert net.features[:first](torch.zeros(2, 3, 32, 32)).shape[2:] == (side, side)
        kernel = next(m.kernel_size for m in net.modules() if isinstance(m, nn.Conv2d))
        assert kernel == ((7, 7) if stem == "large" else (3, 3))
    with pytest.raises(BenchError, match="stem"):
        network("resnet10(stem=huge)", RGB)


def test_ap_has_no_stride() -> None:
    strides = {
        name: {m.stride for m in network(f"{name}(width=1)", RGB).modules()
               if isinstance(m, nn.Conv2d)}
        for name in NAMES
    }  # fmt: skip
    for name, found in strides.items():
        assert found == ({(1, 1)} if name.endswith("_ap") else {(1, 1), (2, 2)}), name


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


def test_ap_bottleneck_pools_after_the_second_activation() -> None:
    net = network("resnet50_ap(width=2)", RGB).eval()
    block = next(m for m in net.features if isinstance(getattr(m, "pool", None), AvgPool2))
    x = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    inner = block.norm1(block.conv1(x)).relu()
    inner = nn.functional.avg_pool2d(block.norm2(block.conv2(inner)).relu(), 2)
    _, conv, norm = block.shortcut
    shortcut = norm(nn.functional.avg_pool2d(conv(x), 2))
    expected = (block.norm3(block.conv3(inner)) + shortcut).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("resnet34", torchvision.models.resnet34), ("resnet50", torchvision.models.resnet50)],
)
def test_computes_torchvisions_with_another_stem(name: str, theirs: Any) -> None:
    spec = spec_of(3, 16)
    net, other = network(name, spec), theirs(num_classes=10)
    other.conv1, other.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    with torch.no_grad():
        for own, copy in zip(net.parameters(), other.parameters(), strict=True):
            copy.copy_(own)
    x = images_for(spec, 4)
    torch.testing.assert_close(net(x), other(x), rtol=1e-4, atol=1e-4)


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
