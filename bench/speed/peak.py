"""What a device can do at most: the best of a large matrix product and a large convolution."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.grid.rehearsal import wait_for
from bench.networks.precision import float32_mode

_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
# Side of the square matrices; images, channels and side of the maps. Large enough that more of it
# is no faster, on two cores and on a large GPU.
MATRIX_SIDES = {"cpu": 3072, "cuda": 8192}
CONVOLUTIONS = {"cpu": ((16, 128, 32), (64, 256, 16)), "cuda": ((512, 256, 32), (256, 512, 32))}


@dataclass(frozen=True)
class Peak:
    """The fastest of several operations.

    Attributes:
        flops_per_second: floating-point operations in a second, a multiply-add being two.
        operation: which was the fastest.
        all: every operation's, by name.
    """

    flops_per_second: float
    operation: str
    all: dict[str, float]


@torch.no_grad()
def measure_peak(device: torch.device, precision: str, seconds: float) -> Peak:
    """Measure the best that ``device`` does.

    Args:
        device: where.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
        seconds: how long each operation is repeated; its fastest repetition counts.
    """
    found: dict[str, float] = {}
    with float32_mode(device, precision):
        for name, flops, operation in _operations(device, _DTYPES[precision]):
            found[name] = flops / _fastest(operation, device, seconds)
    best = max(found, key=lambda name: found[name])
    return Peak(found[best], best, found)


def _operations(
    device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, float, Callable[[], Tensor]]]:
    """Yield name, operations per call and the call."""
    kind = "cuda" if device.type == "cuda" else "cpu"
    n = MATRIX_SIDES[kind]
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    yield f"product {n}x{n}", 2.0 * n**3, lambda: a @ b
    for layout in (torch.contiguous_format, torch.channels_last):
        for images, channels, side in CONVOLUTIONS[kind]:
            x = torch.randn(images, channels, side, side, device=device).to(dtype)
            w = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
            x, w = x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)
            label = " channels-last" if layout == torch.channels_last else ""
            yield (
                f"convolution {images}x{channels}x{side}x{side}{label}",
                2.0 * images * side**2 * channels**2 * 9,
                lambda x=x, w=w: F.conv2d(x, w, padding=1),  # type: ignore[misc]
            )


def _fastest(operation: Callable[[], Tensor], device: torch.device, seconds: float) -> float:
    """Return the seconds of the fastest of some calls."""
    operation()
    best, until = float("inf"), time.perf_counter() + seconds
    while True:
        wait_for(device)
        started = time.perf_counter()
        operation()
        wait_for(device)
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() >= until:
            return best
