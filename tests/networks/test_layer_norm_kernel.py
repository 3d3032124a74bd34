"""Layer normalisation over whole maps has PyTorch's numbers, and its second derivative too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.cpu_kernels import computing, describe_kernels, image_gradient

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    describe_kernels() != "native", reason=f"no compiled kernels: {describe_kernels()}"
)
# Of the largest value of a result.
LIMITS = {"fp32": 1e-5, "bf16": 0.05}
ImageGradient = Callable[[Tensor, Tensor], Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(*shape: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return images that are not standardised, weights, biases and a slope on the outputs."""
    images = (3 * normal(*shape) - 1).to(dtype)
    weights = 1 + 0.5 * normal(*shape[1:], seed=1), normal(*shape[1:], seed=2)
    slope = normal(*shape, seed=3).to(dtype)
    return [each.requires_grad_() for each in (images, *weights, slope)]


def without_weights(total: Tensor, images: Tensor) -> Tensor:
    return image_gradient(total, images, create_graph=True)


def with_weights(total: Tensor, images: Tensor) -> Tensor:
    return torch.autograd.grad(total, images, create_graph=True)[0]


def derivatives(gradient: ImageGradient, *given: Tensor) -> list[Tensor]:
    """Return outputs, a gradient on images, and the gradients of a function of it on all inputs."""
    images, weight, bias, slope = given
    y = F.layer_norm(images, weight.shape, weight, bias)
    first = gradient((y * slope).sum(), images)
    onto = normal(*first.shape, seed=4).to(first.dtype)
    return [y, first, *torch.autograd.grad((first * onto).sum(), (images, weight, slope))]


def assert_near(ours: list[Tensor], exact: list[Tensor], limit: float) -> None:
    for mine, right in zip(ours, exact, strict=True):
        assert float((mine.double() - right).detach().abs().max()) <= limit * float(
            right.detach().abs().max()
        )


@settings(max_examples=30, deadline=None)
@given(
    precision=st.sampled_from(list(LIMITS)), n=st.integers(1, 5), channels=st.integers(1, 40),
    height=st.integers(2, 9), width=st.integers(2, 9), threads=st.integers(1, 3),
    gradient=st.sampled_from([without_weights, with_weights]),
)  # fmt: skip
def test_all_derivatives_are_those_of_float64(
    precision: str, n: int, channels: int, height: int, width: int, threads: int,
    gradient: ImageGradient,
) -> None:  # fmt: skip
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    made = inputs(n, channels, height, width, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with computing(CPU, precision):
            ours = derivatives(gradient, *made)
    finally:
        torch.set_num_threads(before)
    exact = derivatives(gradient, *[t.detach().double().requires_grad_() for t in made])
    assert [each.dtype for each in ours] == [dtype, dtype, dtype, torch.float32, dtype]
    assert_near(ours, exact, LIMITS[precision])


def test_threads_change_no_bit() -> None:
    """Rows of several runs, the last of them shorter."""
    made, before, found = inputs(5, 9, 16, 17), torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with computing(CPU, "fp32"):
            found.append(derivatives(without_weights, *made))
    torch.set_num_threads(before)
    for more in found[1:]:
        assert all(map(torch.equal, found[0], more))


def test_other_layouts_and_frozen_weights() -> None:
    images, weight, bias, slope = inputs(3, 4, 6, 5)
    last = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert not last.is_contiguous()
    with computing(CPU, "fp32"):
        usual = derivatives(without_weights, images, weight, bias, slope)
        other = derivatives(without_weights, last, weight, bias, slope)
        assert_near(other, [each.double() for each in usual], 1e-5)
        y = F.layer_norm(images, weight.shape, weight.detach(), bias.detach())
        first = with_weights((y * slope).sum(), images)
        (on_images,) = torch.autograd.grad(first.square().sum(), images)
    assert on_images.isfinite().all()


def test_which_normalisations_the_kernel_takes() -> None:
    images = normal(3, 4, 6, 5)
    layers = {
        "whole": nn.LayerNorm([4, 6, 5]),
        "rows": nn.LayerNorm([6, 5]),
        "plain": nn.LayerNorm([4, 6, 5], elementwise_affine=False),
        "tokens": nn.LayerNorm(5),
        "unbiased": nn.LayerNorm([4, 6, 5], bias=False),
    }
    with computing(CPU, "fp32"):
        taken = {name: type(layer(images).grad_fn).__name__ for name, layer in layers.items()}
        double = layers["whole"].double()(images.double()).grad_fn
    assert taken == {
        "whole": "_NormBackward", "rows": "NativeLayerNormBackward0", "plain": "NoneType",
        "tokens": "NativeLayerNormBackward0", "unbiased": "NativeLayerNormBackward0",
    }  # fmt: skip
    assert type(double).__name__ == "NativeLayerNormBackward0"


def test_a_value_that_is_not_finite_stays_in_its_image() -> None:
    images, weight, bias, slope = inputs(2, 3, 4, 4)
    with torch.no_grad():
        images[1, 2, 3, 3] = float("nan")
    with computing(CPU, "fp32"):
        _, _, on_images, on_weight, on_slope = derivatives(
            without_weights, images, weight, bias, slope
        )
    assert on_weight.isnan().all()
    for each in (on_images, on_slope):
        assert each[0].isfinite().all()
        assert each[1].isnan().all()


def test_a_third_derivative_is_refused() -> None:
    images, weight, bias, slope = inputs(2, 3, 4, 4)
    with computing(CPU, "fp32"):
        y = F.layer_norm(images, weight.shape, weight, bias)
        first = image_gradient((y * slope).sum(), images, create_graph=True)
        second = torch.autograd.grad(first.square().sum(), slope, create_graph=True)[0]
        with pytest.raises(RuntimeError, match="once_differentiable"):
            second.sum().backward()
