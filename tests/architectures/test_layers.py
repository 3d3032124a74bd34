"""The shared layers compute what their definitions say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import AvgPool2, Blocks, make_norm
from bench.support.errors import BenchError
from bench.support.seeds import make_generator


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=make_generator(sum(shape))) * 3 + 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 9), st.integers(2, 9))
def test_avg_pool_is_pytorchs(n: int, channels: int, height: int, width: int) -> None:
    ours = maps(n, channels, height, width).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    pooled, expected = AvgPool2()(ours), F.avg_pool2d(theirs, 2)
    torch.testing.assert_close(pooled, expected)
    weights = maps(*expected.shape)
    (pooled * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward"])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_joined_layers_honour_hooks(k: int, kind: str) -> None:
    blocks, x = Blocks(make_norm("instance", 4, (4, 4)), nn.ReLU(), AvgPool2()), maps(2, 4, 4, 4)
    plain, seen = blocks(x), list[int]()
    getattr(blocks[k], f"register_{kind}_hook")(lambda *_: seen.append(k))
    hooked = blocks(x.requires_grad_())
    hooked.sum().backward()
    assert seen == [k]
    torch.testing.assert_close(hooked, plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_avg_pool_keeps_the_type(dtype: torch.dtype) -> None:
    x = maps(2, 3, 4, 6).to(dtype)
    torch.testing.assert_close(AvgPool2()(x), F.avg_pool2d(x, 2))


def test_avg_pool_takes_any_memory_order() -> None:
    x = maps(2, 3, 4, 6).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(AvgPool2()(x), F.avg_pool2d(x, 2))


@pytest.mark.parametrize(
    ("kind", "over"), [("instance", (2, 3)), ("layer", (1, 2, 3)), ("batch", (0, 2, 3))]
)
def test_norm_takes_statistics_over_the_right_axes(kind: str, over: tuple[int, ...]) -> None:
    x = maps(4, 8, 5, 6)
    y = make_norm(kind, 8, (5, 6))(x)
    expected = (x - x.mean(over, keepdim=True)) / x.std(over, keepdim=True, correction=0)
    torch.testing.assert_close(y, expected, rtol=1e-3, atol=1e-4)


def test_group_norm_has_four_groups() -> None:
    x = maps(4, 8, 5, 6)
    grouped = x.view(4, 4, -1)
    expected = (grouped - grouped.mean(2, True)) / grouped.std(2, correction=0, keepdim=True)
    torch.testing.assert_close(
        make_norm("group", 8, (5, 6))(x), expected.view_as(x), rtol=1e-3, atol=1e-4
    )


def test_none_is_the_identity() -> None:
    x = maps(2, 4, 3, 3)
    assert make_norm("none", 4, (3, 3))(x) is x


@pytest.mark.parametrize(("kind", "channels"), [("instance", 8), ("group", 4), ("layer", 1)])
def test_norm_of_single_values_is_refused(kind: str, channels: int) -> None:
    with pytest.raises(BenchError, match=f"'{kind}'.*1x1"):
        make_norm(kind, channels, (1, 1))
