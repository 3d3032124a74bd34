"""3x3 convolutions in fewer multiplications, on a CPU.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The products
are PyTorch's own batched matrix products; only the transforms around them are ours.

In float32 by F(4x4, 3x3): a quarter of the multiplications, and rounding errors of about 1e-5 of
the largest output, where a direct convolution's are 4e-7. In bfloat16 by F(2x2, 3x3): four ninths
of them, and 2.3 (outputs) to 2.9 times (gradients on weights) the rounding error of PyTorch's
bfloat16 convolution: 0.5 % in place of 0.2 %, root mean square. Weights, bias and their gradients
are float32 throughout.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.native.call import pointers, sizes


@dataclass(frozen=True)
class _Scheme:
    """How a dtype is done.

    Attributes:
        name: of the kernels.
        tile: side of a tile of outputs.
        most_waste: what tiles cover, as a multiple of the map, above which PyTorch is faster.
        least_channels, least_tiles: below which PyTorch is faster, too.
        at_once: tiles whose products are computed together; more leave the cache.
    """

    name: str
    tile: int
    most_waste: float
    least_channels: int
    least_tiles: int
    at_once: int

    @property
    def values(self) -> int:
        """Values that a transformed tile has."""
        return (self.tile + 2) ** 2

    def tiles(self, height: int, width: int) -> int:
        return -(-height // self.tile) * -(-width // self.tile)


# As measured on one core of a Zen 4.
_SCHEMES = {
    torch.float32: _Scheme("float32", 4, 1.6, least_channels=48, least_tiles=32, at_once=256),
    torch.bfloat16: _Scheme("bfloat16", 2, 1.2, least_channels=96, least_tiles=320, at_once=512),
}


def fits(x: Tensor, weight: Tensor, padding: Any, dtype: torch.dtype) -> bool:
    """Whether a convolution of stride 1 is faster this way.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(K, C, 3, 3)``, else the answer is no.
        padding: of height and width; a name such as ``same`` is left to PyTorch.
        dtype: that the maps will have.
    """
    if weight.shape[2:] != (3, 3) or padding != (1, 1) or x.dim() != 4:
        return False
    scheme = _SCHEMES[dtype]
    n, _, height, width = x.shape
    tiles = scheme.tiles(height, width)
    many = n * tiles >= scheme.least_tiles and min(weight.shape[:2]) >= scheme.least_channels
    return many and tiles * scheme.tile**2 <= scheme.most_waste * height * width


def convolve(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``F.conv2d(x, weight, bias, padding=1)``; twice differentiable and more.

    Args:
        kernels: the compiled library.
        x: float32 or bfloat16 ``(N, C, H, W)`` on the CPU; the result has its dtype.
        weight: float32 ``(K, C, 3, 3)``.
        bias: float32 ``(K,)``, or ``None``.
    """
    result: Tensor = _Convolution.apply(kernels, x, weight, bias)
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _product(kernels, x, _transformed(kernels, weight, x.dtype, turned=False), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, x, weight = inputs[:3]
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        _, on_x, on_weight, on_bias = ctx.needs_input_grad
        return (
            None,
            _InputGradient.apply(ctx.kernels, slope, weight) if on_x else None,
            _WeightGradient.apply(ctx.kernels, x, slope) if on_weight else None,
            slope.sum((0, 2, 3), dtype=torch.float32) if on_bias else None,
        )


class _InputGradient(torch.autograd.Function):
    """A convolution with the kernels turned by half a turn and their two channels swapped."""

    @staticmethod
    def forward(kernels: ctypes.CDLL, slope: Tensor, weight: Tensor) -> Tensor:
        return _product(
            kernels, slope, _transformed(kernels, weight, slope.dtype, turned=True), None
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, slope, weight = inputs
        ctx.save_for_backward(slope, weight)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        slope, weight = ctx.saved_tensors
        _, on_slope, on_weight = ctx.needs_input_grad
        return (
            None,
            _Convolution.apply(ctx.kernels, onto, weight, None) if on_slope else None,
            _WeightGradient.apply(ctx.kernels, onto, slope) if on_weight else None,
        )


class _WeightGradient(torch.autograd.Function):
    @staticmethod
    def forward(kernels: ctypes.CDLL, x: Tensor, slope: Tensor) -> Tensor:
        inputs, outputs = x.shape[1], slope.shape[1]
        scheme = _SCHEMES[x.dtype]
        products = x.new_zeros(scheme.values, inputs, outputs, dtype=torch.float32)
        for images in _parts(scheme, x):
            tiles = _spread(kernels, "input", x[images])
            products += torch.bmm(tiles.mT, _spread(kernels, "gradient", slope[images]))
        made = products.new_empty(outputs, inputs, 3, 3)
        _kernel(kernels, "weight_gradient", scheme)(
            *pointers(products, made), *sizes(outputs, inputs), torch.get_num_threads()
        )
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, x, slope = inputs
        ctx.save_for_backward(x, slope)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        _, on_x, on_slope = ctx.needs_input_grad
        return (
            None,
            _InputGradient.apply(ctx.kernels, slope, onto) if on_x else None,
            _Convolution.apply(ctx.kernels, x, onto, None) if on_slope else None,
        )


def _product(kernels: ctypes.CDLL, x: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with transformed kernels ``(values, C, K)``."""
    scheme = _SCHEMES[x.dtype]
    n, _, height, width = x.shape
    made = x.new_empty(n, matrices.shape[2], height, width)
    shift = None if bias is None else bias.contiguous()
    for images in _parts(scheme, x):
        products = torch.bmm(_spread(kernels, "input", x[images]), matrices)
        part = made[images]
        _kernel(kernels, "output", scheme)(
            *pointers(products, shift, part), *sizes(*part.shape), torch.get_num_threads()
        )
    return made


def _parts(scheme: _Scheme, x: Tensor) -> Iterator[slice]:
    """Divide images into runs whose tiles stay in the cache from transform to transform."""
    n, _, height, width = x.shape
    step = max(1, scheme.at_once // scheme.tiles(height, width))
    return (slice(start, start + step) for start in range(0, n, step))


def _spread(kernels: ctypes.CDLL, transform: str, x: Tensor) -> Tensor:
    """Transform maps ``(N, C, H, W)`` into tiles ``(values, N * tiles, C)``."""
    x = x.contiguous()
    scheme = _SCHEMES[x.dtype]
    n, channels, height, width = x.shape
    tiles = x.new_empty(scheme.values, n * scheme.tiles(height, width), channels)
    _kernel(kernels, transform, scheme)(
        *pointers(x, tiles), *sizes(*x.shape), torch.get_num_threads()
    )
    return tiles


def _transformed(kernels: ctypes.CDLL, weight: Tensor, dtype: torch.dtype, turned: bool) -> Tensor:
    """Transform kernels into ``(values, C, K)``; turned, into ``(values, K, C)``."""
    scheme = _SCHEMES[dtype]
    outputs, inputs = weight.shape[:2]
    rows, columns = (outputs, inputs) if turned else (inputs, outputs)
    matrices = weight.new_empty(scheme.values, rows, columns, dtype=dtype)
    weight = weight.contiguous()
    _kernel(kernels, "weight", scheme)(
        *pointers(weight, matrices), *sizes(outputs, inputs), int(turned), torch.get_num_threads()
    )
    return matrices


def _kernel(kernels: ctypes.CDLL, transform: str, scheme: _Scheme) -> Any:
    return getattr(kernels, f"winograd_{transform}_{scheme.name}")
