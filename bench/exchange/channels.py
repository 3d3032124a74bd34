"""The order of the axes and of the colours of foreign images."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.spec import DatasetSpec
from bench.exchange.given import BGR, ORDERS, RGB
from bench.support.errors import BenchError, unknown_message


def channels_first(
    images: Tensor, spec: DatasetSpec, place: str, colours: str | None = None
) -> tuple[Tensor, str]:
    """Return images as ``(N, C, H, W)``, red first, and the order in which the source has them.

    Args:
        images: ``(N, C, H, W)``, ``(N, H, W, C)``, or ``(N, H, W)`` of a grey dataset; any numeric
            dtype. What is no byte is returned as float.
        spec: the dataset that has the shape.
        place: the source, for messages.
        colours: the order of its colours, one of :data:`bench.exchange.given.ORDERS`; ``None`` for
            red first.

    Raises:
        BenchError: the shape is none of these, or they have no colours.
    """
    channels, height, width = spec.shape
    orders: dict[tuple[int, ...], str] = {
        (channels, height, width): "first (N, C, H, W)",
        (height, width, channels): "last (N, H, W, C)",
    }
    if channels == 1:
        orders[height, width] = "none (N, H, W)"
    order = orders.get(tuple(images.shape[1:]))
    if images.is_complex():
        raise BenchError(f"'{place}' has images of complex numbers: expected real ones")
    if order is None:
        raise BenchError(
            f"'{place}' has images {tuple(images.shape)}: those of {spec.name} are "
            f"(N, {channels}, {height}, {width})"
        )
    _check_colours(colours, spec)
    if order.startswith("last"):
        images = images.permute(0, 3, 1, 2)
    elif order.startswith("none"):
        images = images.unsqueeze(1)
    if channels == 3:
        order += f", {(colours or RGB).upper()}"
    if colours == BGR:
        images = images.flip(1)
    return images if images.dtype == torch.float64 else images.float(), order


def _check_colours(colours: str | None, spec: DatasetSpec) -> None:
    if colours is not None and colours not in ORDERS:
        raise BenchError(unknown_message("channels", colours, ORDERS))
    if colours is not None and spec.channels != 3:
        raise BenchError(
            f"--channels is for images of 3 channels, those of {spec.name} have {spec.channels}"
        )
