"""The norm layers of a network are found in its layers, whatever it is called."""

from __future__ import annotations

import pytest
import torch

from bench.datasets.spec import DatasetSpec
from bench.networks.norm_layers import norm_of
from bench.support.errors import BenchError

SPEC = DatasetSpec("any", 10, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, flip=False)


@pytest.mark.parametrize(
    ("arch", "norm"),
    [
        ("convnet3", "instance"),
        ("convnet3(norm=batch)", "batch"),
        ("convnet3(norm=group)", "group"),
        ("convnet3(norm=layer)", "layer"),
        ("convnet3(norm=none)", "no"),
        ("resnet18", "batch"),
        ("resnet18(norm=instance)", "instance"),
        ("vgg11", "instance"),
        ("mlp", "no"),
        ("vit", "layer"),
    ],
)
def test_kinds(arch: str, norm: str) -> None:
    assert norm_of(arch, SPEC) == norm


@pytest.mark.parametrize(
    ("arch", "norm"),
    [("timm:resnet18", "batch"), ("timm:vit_tiny_patch16_224(resize=64)", "layer")],
)
def test_networks_of_timm(arch: str, norm: str) -> None:
    pytest.importorskip("timm")
    assert norm_of(arch, SPEC) == norm


def test_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    norm_of("convnet2(width=8)", SPEC)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_cannot_be() -> None:
    with pytest.raises(BenchError, match="cannot take the 4x4 images"):
        norm_of("convnet3", DatasetSpec("s", 2, 3, 4, 4, (0.5,) * 3, (0.5,) * 3, flip=False))
