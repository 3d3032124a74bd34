"""DenseNet-121: the CIFAR port's number of parameters, torchvision's computation, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import nn
from torchvision.models import DenseNet

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)
BLOCKS = (6, 12, 24, 16)


@pytest.mark.parametrize(
    ("name", "spec", "parameters"),
    [
        # DenseNet121 of kuangliu/pytorch-cifar; and torchvision's 7,978,856 less its large stem
        # (7x7 to 3x3, no norm) and 990 of its 1000 classes.
        ("densenet121", RGB, 6_956_298),
        ("densenet121", RGB, 7_978_856 - 64 * 3 * (49 - 9) - 128 - 990 * 1025),
        ("densenet121", spec_of(1, 28), 6_956_298 - 2 * 64 * 9),
        ("densenet121(norm=instance)", RGB, 6_956_298),
    ],
)
def test_parameter_count(name: str, spec: DatasetSpec, parameters: int) -> None:
    with torch.device("meta"):
        assert count(network(name, spec)) == parameters


@pytest.mark.parametrize(
    "spec",
    [RGB, spec_of(1, 28), spec_of(1, 16), spec_of(3, 64, 40, classes=3), spec_of(1, 8)],
    ids=lambda s: "x".join(map(str, s.shape)),
)
def test_shapes(spec: DatasetSpec) -> None:
    net = network("densenet121(growth=4)", spec)
    x = images_for(spec, 2)
    assert net.embed(x).shape == (2, 128)
    assert net(x).shape == (2, spec.num_classes)


def test_computes_torchvisions_with_another_stem() -> None:
    net = network("densenet121(growth=4)", RGB).double()
    theirs = DenseNet(growth_rate=4, block_config=BLOCKS, num_init_features=8, num_classes=10)
    theirs.features.conv0 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(theirs.features, name, nn.Identity())
    theirs.double()
    with torch.no_grad():
        for own, other in zip(net.parameters(), theirs.parameters(), strict=True):
            own.add_(0.1 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0)))
            other.copy_(own)
    x = images_for(RGB, 4).double()
    torch.testing.assert_close(net(x), theirs(x))


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_initialisation_is_fan_out_normal(norm: str) -> None:
    net = network(f"densenet121(norm={norm},growth=8)", RGB)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels))
            spread = 5 * expected / math.sqrt(2 * module.weight.numel())
            assert abs(module.weight.std().item() - expected) < spread
            assert (module.bias is None) == (norm != "none")
            assert module.bias is None or not module.bias.any()
    assert not net.classifier.bias.any()


def test_too_small_is_refused() -> None:
    with pytest.raises(BenchError, match=r"densenet121 cannot take the 8x7 images.*at least 8"):
        network("densenet121(growth=4)", spec_of(1, 8, 7))
    with pytest.raises(BenchError, match=r"norm = 'instance'.*1x1"):
        network("densenet121(growth=4,norm=instance)", spec_of(1, 8))


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"densenet121(norm={norm})") == (norm != "batch")
