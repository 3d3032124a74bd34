"""The DSA operations that move no pixel: brightness, saturation, contrast and cutout.

Kornia's own classes of these names clamp to [0, 1], but normalised images have values outside.
"""

from __future__ import annotations

import torch
from kornia.augmentation import IntensityAugmentationBase2D
from torch import Tensor

from bench.augment.base import Operation, Params, integers, per_image, uniform

CUTOUT_RATIO = 0.5


class Brightness(Operation, IntensityAugmentationBase2D):
    """Add ``brightness``, uniform in [-0.5, 0.5), to every value of an image."""

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``brightness``, float32 ``(rows,)``."""
        return {"brightness": uniform(rows, -0.5, 0.5, generator)}

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return ``x + brightness``."""
        return images + per_image(params["brightness"], images)


class Saturation(Operation, IntensityAugmentationBase2D):
    """Scale each pixel's distance to its mean over channels by ``saturation`` in [0, 2)."""

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``saturation``, float32 ``(rows,)``."""
        return {"saturation": uniform(rows, 0.0, 2.0, generator)}

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return ``(x - m) * saturation + m``, ``m`` the mean over channels; grey is unchanged."""
        if images.shape[1] == 1:
            return images
        return _spread(images, images.mean(1, keepdim=True), params["saturation"])


class Contrast(Operation, IntensityAugmentationBase2D):
    """Scale each value's distance to its image's mean by ``contrast`` in [0.5, 1.5)."""

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``contrast``, float32 ``(rows,)``."""
        return {"contrast": uniform(rows, 0.5, 1.5, generator)}

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return ``(x - m) * contrast + m``, ``m`` the mean over channels and pixels."""
        return _spread(images, images.mean((1, 2, 3), keepdim=True), params["contrast"])


class Cutout(Operation, IntensityAugmentationBase2D):
    """Set a rectangle of half the height and half the width to zero, the mean colour.

    Its centre is uniform over the image: over the corners between pixels, border included, if the
    side is even, and over the pixels if it is odd. So up to three quarters of the rectangle can lie
    outside the image.
    """

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:
        """Draw ``cutout_row`` and ``cutout_column``, the centre: int64 ``(rows,)``."""
        last = [size - _cutout_side(size) % 2 for size in shape[1:]]
        return {
            "cutout_row": integers(rows, 0, last[0], generator),
            "cutout_column": integers(rows, 0, last[1], generator),
        }

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return the images with ``side`` rows and columns from ``centre - side // 2`` zeroed."""
        inside_rows = _inside(params["cutout_row"], images.shape[2])
        inside_columns = _inside(params["cutout_column"], images.shape[3])
        cut = inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)
        return images * (~cut).to(images.dtype).unsqueeze(1)


def _spread(images: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """Return ``(images - mean) * factor + mean`` in as few passes over the images as possible."""
    factor = per_image(factor, images)
    return (images * factor).add_(mean * (1 - factor))


def _cutout_side(size: int) -> int:
    """Return the side of the rectangle along a side of ``size`` pixels, rounded half up."""
    return int(size * CUTOUT_RATIO + 0.5)


def _inside(centre: Tensor, size: int) -> Tensor:
    """Return whether each of ``size`` positions lies in the interval: bool ``(rows, size)``."""
    side = _cutout_side(size)
    start = (centre - side // 2).view(-1, 1)
    position = torch.arange(size, device=centre.device)
    return (position >= start) & (position < start + side)
