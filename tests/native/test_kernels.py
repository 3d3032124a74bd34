"""The kernels give PyTorch's numbers, to rounding, whatever the shapes and derivatives."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from bench.fused import average_pool2, norm_relu_pool
from bench.native.block import block
from bench.native.build import library
from bench.native.mode import fast_operations
from bench.native.winograd import convolve, fits

pytestmark = pytest.mark.skipif(
    library().kernels is None, reason=f"no compiled kernels: {library().reason}"
)


@pytest.fixture
def kernels() -> ctypes.CDLL:
    found = library().kernels
    assert found is not None
    return found


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def gap(ours: Tensor, exact: Tensor) -> float:
    """The largest difference as a part of the largest value."""
    return float((ours.double() - exact).detach().abs().max() / exact.detach().abs().max())


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 5), inputs=st.integers(1, 37), outputs=st.integers(1, 37),
    height=st.integers(1, 13), width=st.integers(1, 13), threads=st.integers(1, 3),
)  # fmt: skip
def test_winograd_is_a_convolution_for_any_shape(
    n: int, inputs: int, outputs: int, height: int, width: int, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, weight, bias = normal(n, inputs, height, width), normal(outputs, inputs, 3, 3), normal(1)
        bias = bias.expand(outputs)
        found = library().kernels
        assert found is not None
        ours = convolve(found, x, weight, bias)
        slope = normal(*ours.shape, seed=1).detach()
        gradients = torch.autograd.grad(ours, (x, weight), slope)
    finally:
        torch.set_num_threads(before)
    wide = [t.detach().double().requires_grad_() for t in (x, weight)]
    exact = F.conv2d(wide[0], wide[1], bias.double(), padding=1)
    expected = torch.autograd.grad(exact, wide, slope.double())
    for mine, theirs in zip((ours, *gradients), (exact, *expected), strict=True):
        assert gap(mine, theirs) < 2e-5


def test_winograd_differentiates_twice(kernels: ctypes.CDLL) -> None:
    def curvature(
        convolution: Callable[[Tensor, Tensor], Tensor], x: Tensor, w: Tensor
    ) -> tuple[Tensor, ...]:
        y = convolution(x, w).tanh()  # a second derivative on every side
        first = torch.autograd.grad(y.square().sum(), (x, w), create_graph=True)
        return torch.autograd.grad(torch.stack([g.pow(3).sum() for g in first]).sum(), (x, w))

    x, w = normal(2, 17, 8, 8), (normal(18, 17, 3, 3, seed=1) / 20).detach().requires_grad_()
    ours = curvature(lambda x, w: convolve(kernels, x, w, None), x, w)
    wide = [t.detach().double().requires_grad_() for t in (x, w)]
    exact = curvature(lambda x, w: F.conv2d(x, w, padding=1), *wide)
    for mine, theirs in zip(ours, exact, strict=True):
        assert gap(mine, theirs) < 1e-4


def test_winograd_takes_what_it_can_do_and_saves_time_on() -> None:
    weight = torch.zeros(64, 64, 3, 3)
    maps = torch.zeros(16, 64, 16, 16)
    assert fits(maps, weight, (1, 1))
    assert not fits(maps, weight, (0, 0))
    assert not fits(maps, torch.zeros(64, 64, 5, 5), (1, 1))
    assert not fits(torch.zeros(16, 3, 16, 16), torch.zeros(64, 3, 3, 3), (1, 1))
    assert not fits(torch.zeros(16, 64, 5, 5), weight, (1, 1)), "tiles of which most are padding"
    assert not fits(torch.zeros(2, 64, 4, 4), weight, (1, 1)), "too few tiles for a matrix product"


def plain(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.avg_pool2d(F.relu(F.group_norm(x, x.shape[1], weight, bias, eps)), 2)


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 4), channels=st.integers(1, 9), height=st.integers(1, 9),
    width=st.integers(1, 17), threads=st.integers(1, 3),
)  # fmt: skip
def test_block_is_norm_relu_and_pooling(
    n: int, channels: int, height: int, width: int, threads: int
) -> None:
    found = library().kernels
    assert found is not None
    inputs = [
        normal(n, channels, 2 * height, 2 * width),
        normal(channels),
        normal(channels, seed=2),
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = block(found, inputs[0], inputs[1], inputs[2], 1e-5)
        slope = normal(*ours.shape, seed=1).detach()
        gradients = torch.autograd.grad(ours, inputs, slope)
    finally:
        torch.set_num_threads(before)
    wide = [t.detach().double().requires_grad_() for t in inputs]
    exact = plain(wide[0], wide[1], wide[2], 1e-5)
    expected = torch.autograd.grad(exact, wide, slope.double())
    for mine, theirs in zip((ours, *gradients), (exact, *expected), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-4)


def test_block_in_bf16_rounds_only_what_goes_in_and_out(kernels: ctypes.CDLL) -> None:
    x = normal(2, 5, 8, 8).detach().bfloat16().requires_grad_()
    weight, bias = normal(5, seed=1), normal(5, seed=2)
    y = block(kernels, x, weight, bias, 1e-5)
    slope = normal(*y.shape, seed=3).detach().bfloat16()
    gradients = torch.autograd.grad(y, (x, weight, bias), slope)
    wide = [t.detach().float().requires_grad_() for t in (x, weight, bias)]
    exact = plain(wide[0], wide[1], wide[2], 1e-5)
    expected = torch.autograd.grad(exact, wide, slope.float())
    assert y.dtype == gradients[0].dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, rtol=2**-8, atol=1e-6)
    torch.testing.assert_close(gradients[0].float(), expected[0], rtol=2**-8, atol=1e-5)
    torch.testing.assert_close(gradients[1:], expected[1:], rtol=1e-5, atol=1e-5)


def test_block_differentiates_twice(kernels: ctypes.CDLL) -> None:
    def curvature(operation: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        y = operation(*inputs, 1e-5)
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(torch.stack([g.pow(3).sum() for g in first]).sum(), inputs)

    inputs = [normal(2, 3, 4, 4), normal(3, seed=1), normal(3, seed=2)]
    ours = curvature(lambda *args: block(kernels, *args), *inputs)
    exact = curvature(plain, *[t.detach().double().requires_grad_() for t in inputs])
    for mine, theirs in zip(ours, exact, strict=True):
        assert gap(mine, theirs) < 1e-4


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(kernels: ctypes.CDLL, bad: float) -> None:
    x = normal(1, 16, 8, 8).detach()
    x[0, 3, 2, 2] = bad
    pooled = block(kernels, x, torch.ones(16), torch.zeros(16), 1e-5)
    assert pooled[0, 3].isnan().any()
    assert pooled[0, 4].isfinite().all()
    assert not convolve(kernels, x, normal(16, 16, 3, 3).detach(), None).isfinite().all()


def test_plain_operations_are_what_they_say() -> None:
    inputs = normal(2, 3, 6, 8), normal(3, seed=1), normal(3, seed=2)
    torch.testing.assert_close(norm_relu_pool(*inputs), plain(*inputs, 1e-5))
    odd = normal(2, 3, 5, 7)
    torch.testing.assert_close(average_pool2(odd), F.avg_pool2d(odd, 2))


def test_a_second_derivative_within_the_block_ends(kernels: ctypes.CDLL) -> None:
    inputs = normal(2, 3, 4, 4), normal(3, seed=1), normal(3, seed=2)
    with fast_operations(torch.device("cpu")):
        y = norm_relu_pool(*inputs)
        (first,) = torch.autograd.grad(y.square().sum(), inputs[0], create_graph=True)
        assert torch.autograd.grad(first.square().sum(), inputs[0])[0].isfinite().all()
