"""Wide ResNets: the paper's numbers of parameters, its block, its initialisation, sizes."""

from __future__ import annotations

import math

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import nn
from torch.nn import functional as F

from architectures.wide_resnet import WideResNet, WideResNetParams
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)


def expected_count(depth: int, widen: int) -> int:
    """Count as the paper's table 1 lays the network out; batch norms have 2 each."""
    total, before = 27 * 16, 16
    for width in (16 * widen, 32 * widen, 64 * widen):
        for _ in range((depth - 4) // 6):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
            total += before * width if before != width else 0
            before = width
    return total + 2 * before + (before + 1) * 10


@pytest.mark.parametrize(
    ("depth", "widen", "parameters", "millions"),
    # The paper's tables: 0.6, 2.2, 11.0 and 36.5 million; the exact ones with its own code.
    [(16, 2, 691_674, 0.7), (40, 1, 563_930, 0.6), (40, 2, 2_243_546, 2.2),
     (16, 8, 10_961_370, 11.0), (28, 10, 36_479_194, 36.5)],
)  # fmt: skip
def test_parameter_count(depth: int, widen: int, parameters: int, millions: float) -> None:
    with torch.device("meta"):
        net = WideResNet.build(RGB, WideResNetParams(depth=depth, widen=widen, norm="batch"))
    assert count(net) == expected_count(depth, widen) == parameters
    assert round(parameters / 1e6, 1) == millions


@pytest.mark.parametrize(
    "spec",
    [RGB, spec_of(1, 28), spec_of(1, 16), spec_of(3, 65, 40, classes=3)],
    ids=lambda s: "x".join(map(str, s.shape)),
)
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_shapes(spec: DatasetSpec, norm: str) -> None:
    net = network(f"wrn16-2(norm={norm})", spec)
    x = images_for(spec, 2)
    assert net.embed(x).shape == (2, 128)
    assert net(x).shape == (2, spec.num_classes)


def normalised(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    return F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True))


def test_computes_what_the_paper_says() -> None:
    net = network("wrn16-2", RGB).double().train()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    x = images_for(RGB, 3).double()
    stem, *blocks = list(net.features)[:-3]
    y = F.conv2d(x, stem.weight, padding=1)
    assert len(blocks) == 6
    for i, block in enumerate(blocks):
        stride = 2 if i in (2, 4) else 1
        active = normalised(y, block.norm1)
        inner = F.conv2d(active, block.conv1.weight, stride=stride, padding=1)
        inner = F.conv2d(normalised(inner, block.norm2), block.conv2.weight, padding=1)
        changes = i % 2 == 0
        y = inner + (F.conv2d(active, block.project.weight, stride=stride) if changes else y)
    expected = normalised(y, net.features[-3]).mean((2, 3))
    torch.testing.assert_close(net.embed(x), expected)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_initialisation_is_fan_in_normal(norm: str) -> None:
    net = network(f"wrn16-2(norm={norm})", RGB)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.kernel_size[0] ** 2 * module.in_channels))
            spread = 5 * expected / math.sqrt(2 * module.weight.numel())
            assert abs(module.weight.std().item() - expected) < spread
            assert (module.bias is None) == (norm != "none")
            assert module.bias is None or not module.bias.any()
    assert not net.classifier.bias.any()


def test_norm_of_single_values_is_refused() -> None:
    with pytest.raises(BenchError, match=r"norm = 'instance'.*1x1"):
        network("wrn16-2(norm=instance)", spec_of(1, 4))


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"wrn16-2(norm={norm})") == (norm != "batch")
