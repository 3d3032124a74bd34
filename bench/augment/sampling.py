"""Bilinear sampling of images, with the same bits in every run where that is asked for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return the images at the positions of a grid, interpolated; zero outside.

    On a GPU PyTorch adds the gradient of ``grid_sample`` up in an order that changes from run to
    run, also if it was told to be deterministic (``bench run --deterministic``). Then the four
    neighbours are gathered instead, whose gradient has an order.

    Args:
        images: float ``(N, C, H, W)``.
        grid: positions, x before y, float ``(N, H', W', 2)``; -1 and 1 are the image's edges.

    Returns:
        ``(N, C, H', W')``.
    """
    if images.is_cuda and torch.are_deterministic_algorithms_enabled():
        return gathered(images, grid)
    return F.grid_sample(images, grid, align_corners=False)


def gathered(images: Tensor, grid: Tensor) -> Tensor:
    """Return what :func:`sample` does, as a weighted sum of four gathers."""
    height, width = images.shape[2:]
    x, y = (
        ((positions + 1) * size - 1) / 2
        for positions, size in zip(grid.unbind(3), (width, height), strict=True)
    )
    left, top = x.floor(), y.floor()
    pixels, total = images.flatten(2), images.new_zeros(())
    for column, across in ((left, left + 1 - x), (left + 1, x - left)):
        for row, down in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            index = place.long().flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
            part = pixels.gather(2, index).view(*images.shape[:2], *x.shape[1:])
            total = total + part * (across * down * inside).unsqueeze(1)
    return total
