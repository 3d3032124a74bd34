"""The kernels give PyTorch's numbers, to rounding, whatever the shapes and derivatives."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from bench.networks.cpu_kernels import ordinary, shallow
from bench.networks.cpu_kernels.block import block
from bench.networks.cpu_kernels.convolution import Maps, convolve, image_gradient
from bench.networks.cpu_kernels.library import library
from bench.networks.cpu_kernels.mode import fast_operations
from bench.networks.cpu_kernels.ordinary import Ordinary
from bench.networks.cpu_kernels.shallow import Shallow
from bench.networks.cpu_kernels.winograd import Winograd, fits
from bench.networks.fused_operations import average_pool2, norm_relu_pool

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]

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


def gap(ours: Tensor, exact: Tensor, summed: Tensor | None = None) -> float:
    """The largest difference as a part of the largest value, or of the largest one summed.

    Args:
        ours: what is checked.
        exact: what it should be.
        summed: the sums of magnitudes behind ``exact``. Rounding follows these where terms of both
            signs cancel, by chance almost to nothing.
    """
    largest = (exact if summed is None else summed).detach().abs().max()
    return float((ours.double() - exact).detach().abs().max() / largest)


# What outputs and gradients may be off by, as a part of the largest sum of magnitudes.
LIMITS = {torch.float32: 2e-5, torch.bfloat16: 0.02}
dtypes = st.sampled_from(list(LIMITS))


def drawn(
    dtype: torch.dtype, x: tuple[int, ...], weight: tuple[int, ...], biased: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return images of a dtype and shape, kernels of a shape, and maybe a bias."""
    images = normal(*x).detach().to(dtype).requires_grad_()
    return images, normal(*weight), normal(weight[0], seed=2) if biased else None


def check_convolution(
    ours: Convolution, padding: tuple[int, int], x: Tensor, weight: Tensor, bias: Tensor | None,
    threads: int, stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1),
) -> None:  # fmt: skip
    """Compare a convolution and its gradients with float64."""
    inputs = [t for t in (x, weight, bias) if t is not None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = ours(x, weight, bias)
        slope = normal(*y.shape, seed=1).detach().to(y.dtype)
        gradients = torch.autograd.grad(y, inputs, slope)
    finally:
        torch.set_num_threads(before)
    assert [t.dtype for t in (y, *gradients)] == [x.dtype, *(t.dtype for t in inputs)]

    def exactly(*values: Tensor) -> tuple[Tensor, ...]:
        wide = [t.detach().double().requires_grad_() for t in values[:-1]]
        exact = F.conv2d(wide[0], wide[1], wide[2] if bias is not None else None, *geometry)
        return exact, *torch.autograd.grad(exact, wide, values[-1].double())

    geometry = (stride, padding, dilation)
    expected, summed = exactly(*inputs, slope), exactly(*(t.abs() for t in (*inputs, slope)))
    for mine, theirs, most in zip((y, *gradients), expected, summed, strict=True):
        assert gap(mine, theirs, most) < LIMITS[x.dtype]


@settings(max_examples=40, deadline=None)
@given(
    dtype=dtypes, n=st.integers(1, 5), inputs=st.integers(1, 37), outputs=st.integers(1, 37),
    height=st.integers(1, 13), width=st.integers(1, 13), threads=st.integers(1, 3),
    biased=st.booleans(),
)  # fmt: skip
def test_winograd_is_a_convolution_for_any_shape(
    dtype: torch.dtype, n: int, inputs: int, outputs: int, height: int, width: int, threads: int,
    biased: bool,
) -> None:  # fmt: skip
    found = library().kernels
    assert found is not None
    made = drawn(dtype, (n, inputs, height, width), (outputs, inputs, 3, 3), biased)
    check_convolution(partial(convolve, Winograd(found)), (1, 1), *made, threads)


def test_winograd_divides_images_into_parts(kernels: ctypes.CDLL) -> None:
    for dtype in LIMITS:  # 64 tiles of 2x2 an image, 16 of 4x4: three parts each, the last smaller
        made = drawn(dtype, (40 if dtype == torch.float32 else 20, 3, 16, 16), (4, 3, 3, 3), True)
        check_convolution(partial(convolve, Winograd(kernels)), (1, 1), *made, 1)


@settings(max_examples=40, deadline=None)
@given(
    dtype=dtypes, n=st.integers(1, 5), inputs=st.integers(1, 4), outputs=st.integers(1, 9),
    height=st.integers(1, 9), width=st.integers(1, 9), kernel=st.tuples(*[st.integers(1, 4)] * 2),
    padding=st.tuples(*[st.integers(2, 5)] * 2), threads=st.integers(1, 3), biased=st.booleans(),
)  # fmt: skip
def test_shallow_is_a_convolution_for_any_shape(
    dtype: torch.dtype, n: int, inputs: int, outputs: int, height: int, width: int,
    kernel: tuple[int, int], padding: tuple[int, int], threads: int, biased: bool,
) -> None:  # fmt: skip
    found = library().kernels
    assert found is not None
    made = drawn(dtype, (n, inputs, height, width), (outputs, inputs, *kernel), biased)
    check_convolution(partial(convolve, Shallow(found, padding)), padding, *made, threads)


@settings(max_examples=40, deadline=None)
@given(
    dtype=dtypes, n=st.integers(1, 5), inputs=st.integers(1, 9), outputs=st.integers(1, 9),
    height=st.integers(5, 9), width=st.integers(5, 9), kernel=st.tuples(*[st.integers(1, 3)] * 2),
    stride=st.tuples(*[st.integers(1, 3)] * 2), padding=st.tuples(*[st.integers(0, 2)] * 2),
    dilation=st.tuples(*[st.integers(1, 2)] * 2), biased=st.booleans(),
)  # fmt: skip
def test_ordinary_is_a_convolution_for_any_shape(
    dtype: torch.dtype, n: int, inputs: int, outputs: int, height: int, width: int,
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int], biased: bool,
) -> None:  # fmt: skip
    made = drawn(dtype, (n, inputs, height, width), (outputs, inputs, *kernel), biased)
    ours = partial(convolve, Ordinary(stride, padding, dilation))
    check_convolution(ours, padding, *made, 1, stride=stride, dilation=dilation)


MAPS: dict[str, Callable[[ctypes.CDLL], Maps]] = {
    "winograd": Winograd,
    "shallow": lambda kernels: Shallow(kernels, (1, 1)),
    "ordinary": lambda _: Ordinary((1, 1), (1, 1), (1, 1)),
}


class Counting:
    """Maps that count what is asked of them."""

    def __init__(self, maps: Maps) -> None:
        self._maps, self.asked = maps, Counter[str]()

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        self.asked[name] += 1
        found: Callable[..., Tensor] = getattr(self._maps, name)
        return found


def test_nothing_is_computed_that_is_not_needed() -> None:
    maps = Counting(Ordinary((1, 1), (1, 1), (1, 1)))
    weight, bias = normal(4, 2, 3, 3), normal(4)
    x = normal(2, 2, 6, 6)
    torch.autograd.grad(convolve(maps, x.detach(), weight, bias).sum(), (weight, bias))
    assert maps.asked == {"outputs": 1, "on_weight": 1}
    maps.asked.clear()
    torch.autograd.grad(convolve(maps, x, weight.detach(), bias).sum(), (x, bias))
    assert maps.asked == {"outputs": 1, "on_input": 1}
    assert not convolve(maps, x.detach(), weight.detach(), None).requires_grad


def test_gradients_on_images_leave_out_weights() -> None:
    maps = Counting(Ordinary((1, 1), (1, 1), (1, 1)))
    x, weight, bias = normal(2, 2, 6, 6), normal(4, 2, 3, 3), normal(4)

    def penalty(on: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        y = convolve(maps, x, weight, bias).tanh().sum()
        size = on(y, x, create_graph=True).square().sum()
        return on(size, x), torch.autograd.grad(penalty_of(on), weight)[0]

    def penalty_of(on: Callable[..., Tensor]) -> Tensor:
        y = convolve(maps, x, weight, bias).tanh().sum()
        return on(y, x, create_graph=True).square().sum()

    expected = penalty(lambda *args, **more: torch.autograd.grad(*args, **more)[0])
    everything = Counter(maps.asked)
    maps.asked.clear()
    found = penalty(image_gradient)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    # Of the six times that PyTorch has a gradient on weights computed, two are asked for.
    assert (everything["on_weight"], maps.asked["on_weight"]) == (6, 2)
    assert everything["on_input"] == maps.asked["on_input"]


def test_an_error_within_a_gradient_does_not_leave_weights_out_for_good() -> None:
    weight = normal(4, 2, 3, 3)
    with pytest.raises(RuntimeError, match="does not require grad"):
        image_gradient(torch.zeros(()), normal(1))
    y = convolve(Ordinary((1, 1), (1, 1), (1, 1)), normal(2, 2, 6, 6), weight, None)
    assert torch.autograd.grad(y.sum(), weight)[0].any()


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("name", MAPS)
def test_convolutions_differentiate_twice(
    kernels: ctypes.CDLL, name: str, dtype: torch.dtype
) -> None:
    def curvature(
        convolution: Callable[[Tensor, Tensor], Tensor], x: Tensor, w: Tensor
    ) -> tuple[Tensor, ...]:
        y = convolution(x, w).tanh()  # a second derivative on every side
        first = torch.autograd.grad(y.square().sum(), (x, w), create_graph=True)
        return torch.autograd.grad(torch.stack([g.pow(3).sum() for g in first]).sum(), (x, w))

    x = normal(2, 17, 8, 8).detach().to(dtype).requires_grad_()
    w = (normal(18, 17, 3, 3, seed=1) / 20).detach().requires_grad_()
    maps = MAPS[name](kernels)
    ours = curvature(lambda x, w: convolve(maps, x, w, None), x, w)
    wide = [t.detach().double().requires_grad_() for t in (x, w)]
    exact = curvature(lambda x, w: F.conv2d(x, w, padding=1), *wide)
    for mine, theirs in zip(ours, exact, strict=True):
        assert gap(mine, theirs) < 5 * LIMITS[dtype]


def test_winograd_takes_what_it_can_do_and_saves_time_on() -> None:
    weight = torch.zeros(96, 96, 3, 3)
    maps = torch.zeros(16, 96, 16, 16)
    for dtype in LIMITS:
        assert fits(maps, weight, (1, 1), dtype)
        assert not fits(maps, weight, (0, 0), dtype)
        assert not fits(maps, torch.zeros(96, 96, 5, 5), (1, 1), dtype)
        assert not fits(maps[:, :3], weight[:, :3], (1, 1), dtype)
        assert not fits(maps[:, :, :5, :5], weight, (1, 1), dtype), "tiles that are mostly padding"
        assert not fits(maps[:1, :, :4, :4], weight, (1, 1), dtype), "too few tiles for a product"
    assert fits(maps[:, :, :7, :7], weight, (1, 1), torch.float32)
    assert not fits(maps[:, :, :7, :7], weight, (1, 1), torch.bfloat16), "PyTorch is faster"


def test_shallow_takes_what_it_saves_time_on() -> None:
    weight = torch.zeros(128, 3, 3, 3)
    assert shallow.fits(weight)
    assert not shallow.fits(weight[:32]), "few outputs"
    assert not shallow.fits(torch.zeros(128, 4, 3, 3)), "many values an output sees"


def test_small_convolutions_stay_with_pytorch() -> None:
    maps, weight = torch.zeros(32, 32, 16, 16), torch.zeros(32, 32, 3, 3)
    assert ordinary.fits(maps, weight, (1, 1))
    assert not ordinary.fits(maps, weight, (2, 2))
    assert not ordinary.fits(maps[:16], weight, (1, 1))


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
    for name, maps in MAPS.items():
        seen = convolve(maps(kernels), x, normal(16, 16, 3, 3).detach(), None)
        assert not seen.isfinite().all(), name


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
