"""The vision transformer: ViT-Lite's number of parameters, PyTorch's encoder, refusals."""

from __future__ import annotations

import pytest
import torch
from network_tools import count, images_for, network, spec_of
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import is_per_sample
from bench.support.errors import BenchError

RGB = spec_of(3, 32)


@pytest.mark.parametrize(
    ("spec", "parameters"),
    [
        # vit_7_4_32 of SHI-Labs/Compact-Transformers; others differ by patches and classes.
        (RGB, 3_716_874),
        (spec_of(1, 28), 3_716_874 - 2 * 16 * 256 - (64 - 49) * 256),
        (spec_of(1, 16, classes=7), 3_716_874 - 2 * 16 * 256 - (64 - 16) * 256 - 3 * 257),
        (spec_of(3, 64, 40), 3_716_874 + (160 - 64) * 256),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, DatasetSpec) else str(v),
)
def test_parameter_count_and_shapes(spec: DatasetSpec, parameters: int) -> None:
    net = network("vit", spec)
    x = images_for(spec, 2)
    assert count(net) == parameters
    assert net.embed(x).shape == (2, 256)
    assert net(x).shape == (2, spec.num_classes)
    assert is_per_sample("vit")


def pytorchs(block: nn.Module, width: int, heads: int) -> nn.TransformerEncoderLayer:
    """PyTorch's pre-norm encoder layer with a block's weights."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    (norm1, attention), (norm2, first, _, second) = block.attention, block.perceptron
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(attention.project_in.weight)
        layer.self_attn.in_proj_bias.zero_()
    layer.self_attn.out_proj.load_state_dict(attention.project_out.state_dict())
    for theirs, ours in (
        (layer.norm1, norm1), (layer.norm2, norm2), (layer.linear1, first), (layer.linear2, second)
    ):  # fmt: skip
        theirs.load_state_dict(ours.state_dict())
    return layer


def patches_by_hand(x: Tensor, side: int) -> Tensor:
    rows = [
        x[:, :, i : i + side, j : j + side].flatten(1)
        for i in range(0, x.shape[2], side)
        for j in range(0, x.shape[3], side)
    ]
    return torch.stack(rows, dim=1)


def test_computes_what_the_paper_says() -> None:
    spec = spec_of(3, 8, 12)
    net = network("vit(width=16,heads=2,depth=3)", spec).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    tokens, *blocks, norm, _ = net.features
    x = images_for(spec, 3).double()
    y = patches_by_hand(x, 4) @ tokens.embed.weight.flatten(1).T + tokens.embed.bias
    y = torch.cat([tokens.first.expand(3, 1, 16), y], dim=1) + tokens.position
    for block in blocks:
        y = pytorchs(block, 16, 2)(y)
    torch.testing.assert_close(net.embed(x), norm(y)[:, 0])


def test_initialisation() -> None:
    net = network("vit", RGB)
    tokens = net.features[0]
    assert not tokens.first.any()
    assert tokens.position.std().item() == pytest.approx(0.2, rel=0.05)
    assert tokens.embed.weight.std().item() == pytest.approx((2 / 48) ** 0.5, rel=0.05)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("vit", spec_of(1, 30), "30x30 images.*patches of 4x4 do not tile"),
        ("vit", spec_of(1, 3), "3x3 images.*patches of 4x4 do not tile"),
        ("vit(patch=8)", spec_of(1, 28), "patches of 8x8 do not tile"),
        ("vit(heads=3)", RGB, r"vit\(width=256,heads=3\): heads must divide"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, spec: DatasetSpec, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        network(name, spec)
