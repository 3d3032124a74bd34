"""VGG-11: the field's numbers of parameters, torchvision's computation, sizes, refusals."""

from __future__ import annotations

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)


@pytest.mark.parametrize(
    ("name", "spec", "parameters"),
    [
        # The first two are known to networks.py of VICO-UoE/DatasetCondensation, whatever the norm.
        ("vgg11", RGB, 9_231_114),
        ("vgg11", spec_of(1, 28), 9_229_962),
        ("vgg11(norm=batch)", RGB, 9_231_114),
        ("vgg11(norm=none)", RGB, 9_231_114 - 2 * 2752),
        ("vgg11", spec_of(1, 16), 9_229_962),
        ("vgg11", spec_of(3, 64), 9_231_114 + 3 * 512 * 10),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)
def test_parameter_count(name: str, spec: DatasetSpec, parameters: int) -> None:
    with torch.device("meta"):
        assert count(network(name, spec)) == parameters


@pytest.mark.parametrize(
    ("spec", "features"),
    [(RGB, 1), (spec_of(1, 28), 1), (spec_of(1, 16), 1), (spec_of(3, 31), 1),
     (spec_of(3, 64, 40, classes=3), 2), (spec_of(1, 16, 48), 3)],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)  # fmt: skip
def test_shapes(spec: DatasetSpec, features: int) -> None:
    net = network("vgg11(width=2)", spec)
    x = images_for(spec, 2)
    assert net.embed(x).shape == (2, 16 * features)
    assert net(x).shape == (2, spec.num_classes)


def torchvisions(net: nn.Module) -> nn.Sequential:
    """Torchvision's configuration A with our weights."""
    theirs = make_layers(cfgs["A"], batch_norm=True)
    with torch.no_grad():
        for own, other in zip(net.features.parameters(), theirs.parameters(), strict=True):
            other.copy_(own)
    return theirs


def test_features_are_torchvisions() -> None:
    net = network("vgg11(norm=batch)", RGB)
    x = images_for(RGB, 2)
    torch.testing.assert_close(net.embed(x), torchvisions(net)(x).flatten(1))


def test_16_pixels_go_without_the_first_pooling() -> None:
    spec = spec_of(3, 16)
    net = network("vgg11(norm=batch)", spec)
    theirs = torchvisions(net)
    first = next(i for i, m in enumerate(theirs) if isinstance(m, nn.MaxPool2d))
    theirs[first] = nn.Identity()
    x = images_for(spec, 2)
    torch.testing.assert_close(net.embed(x), theirs(x).flatten(1))


def test_28_pixels_are_padded_to_32() -> None:
    small = spec_of(3, 28)
    net, wide = network("vgg11(width=4)", small), network("vgg11(width=4)", RGB)
    wide.load_state_dict(net.state_dict())
    x = images_for(small, 3)
    torch.testing.assert_close(net(x), wide(nn.functional.pad(x, (2, 2, 2, 2))))


def test_too_small_is_refused() -> None:
    with pytest.raises(BenchError, match=r"vgg11 cannot take the 15x32 images.*at least 16"):
        network("vgg11(width=2)", spec_of(1, 15, 32))


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "layer", "none"])
def test_per_sample_is_false_for_batch_norm_only(norm: str) -> None:
    assert is_per_sample(f"vgg11(norm={norm})") == (norm != "batch")
