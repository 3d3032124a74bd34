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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.networks.cpu_kernels.library import pointers, sizes


@dataclass(frozen=True)
class _Scheme:
    """The variant of the algorithm for a dtype.

    Attributes:
        name: of the kernels.
        tile: side of a tile of outputs.
        most_waste: what tiles cover, as a multiple of the map, above which PyTorch is faster.
        least_channels, least_tiles: below which PyTorch is faster, too.
        at_once: tiles a thread whose products are computed together; more leave the cache.
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


def fits(x: Tensor, weight: Tensor, padding: tuple[int, int], dtype: torch.dtype) -> bool:
    """Return whether a convolution of stride 1 is faster this way.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(K, C, 3, 3)``, else the answer is no.
        padding: of height and width.
        dtype: that the maps will have.
    """
    if weight.shape[2:] != (3, 3) or padding != (1, 1):
        return False
    scheme = _SCHEMES[dtype]
    n, _, height, width = x.shape
    tiles = scheme.tiles(height, width)
    many = n * tiles >= scheme.least_tiles and min(weight.shape[:2]) >= scheme.least_channels
    return many and tiles * scheme.tile**2 <= scheme.most_waste * height * width


@dataclass(frozen=True)
class Winograd:
    """Convolutions with 3x3 kernels, stride 1 and padding 1.

    Attributes:
        kernels: the compiled library.
    """

    kernels: ctypes.CDLL

    def outputs(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        return self._product(x, self._matrices(weight, x.dtype, turned=False), bias)

    def on_input(self, slope: Tensor, weight: Tensor, _: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`.

        A convolution with the kernels turned by half a turn and their two channels swapped.
        """
        return self._product(slope, self._matrices(weight, slope.dtype, turned=True), None)

    def on_weight(self, x: Tensor, slope: Tensor, shape: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        scheme, (outputs, inputs) = _SCHEMES[x.dtype], shape[:2]
        products = x.new_zeros(scheme.values, inputs, outputs, dtype=torch.float32)
        for images in _parts(scheme, x):
            tiles = self._spread("input", x[images])
            products += torch.bmm(tiles.mT, self._spread("gradient", slope[images]))
        made = products.new_empty(shape)
        self._call("weight_gradient", scheme, products, made, of=(outputs, inputs))
        return made

    def _product(self, x: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with transformed kernels ``(values, C, K)``."""
        scheme = _SCHEMES[x.dtype]
        n, _, height, width = x.shape
        made = x.new_empty(n, matrices.shape[2], height, width)
        shift = None if bias is None else bias.contiguous()
        for images in _parts(scheme, x):
            products = torch.bmm(self._spread("input", x[images]), matrices)
            part = made[images]
            self._call("output", scheme, products, shift, part, of=part.shape)
        return made

    def _spread(self, transform: str, x: Tensor) -> Tensor:
        """Transform maps ``(N, C, H, W)`` into tiles ``(values, N * tiles, C)``."""
        x, scheme = x.contiguous(), _SCHEMES[x.dtype]
        n, channels, height, width = x.shape
        tiles = x.new_empty(scheme.values, n * scheme.tiles(height, width), channels)
        self._call(transform, scheme, x, tiles, of=x.shape)
        return tiles

    def _matrices(self, weight: Tensor, dtype: torch.dtype, *, turned: bool) -> Tensor:
        """Transform kernels into ``(values, C, K)``; turned, into ``(values, K, C)``."""
        weight, scheme, (outputs, inputs) = weight.contiguous(), _SCHEMES[dtype], weight.shape[:2]
        rows, columns = (outputs, inputs) if turned else (inputs, outputs)
        made = weight.new_empty(scheme.values, rows, columns, dtype=dtype)
        name = "turned_weight" if turned else "weight"
        self._call(name, scheme, weight, made, of=(outputs, inputs))
        return made

    def _call(
        self, transform: str, scheme: _Scheme, *tensors: Tensor | None, of: Sequence[int]
    ) -> None:
        kernel = getattr(self.kernels, f"winograd_{transform}_{scheme.name}")
        kernel(*pointers(*tensors), *sizes(*of), torch.get_num_threads())


def _parts(scheme: _Scheme, x: Tensor) -> Iterator[slice]:
    """Divide images into runs whose tiles stay in the cache from transform to transform."""
    n, _, height, width = x.shape
    at_once = scheme.at_once * torch.get_num_threads()
    step = max(1, at_once // scheme.tiles(height, width))
    return (slice(start, start + step) for start in range(0, n, step))
