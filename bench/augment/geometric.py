"""The DSA operations that move pixels: crop, flip, scale and rotate.

Each is an affine map from output to input positions, in the normalised coordinates of
:func:`torch.nn.functional.affine_grid` (``align_corners=False``: -1 and 1 are the image's edges).
Pixels from outside the image are zero, the mean colour of a normalised image.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from torch import Tensor
from torch.nn import functional as F

from bench.augment.base import Operation, Params, integers, uniform
from bench.augment.sampling import sample

CROP_RATIO = 0.125
FLIP_PROBABILITY = 0.5
SCALE_RATIO = 1.2
ROTATE_DEGREES = 15.0


class AffineOperation(Operation, GeometricAugmentationBase2D):
    """The base of operations that move pixels; it samples bilinearly.

    A subclass overrides :meth:`augment` where an exact transform exists. Images of less than single
    precision are sampled in float32 and rounded once.
    """

    # Kornia then computes ``transform_matrix`` only when it is read, not in every call.
    _compute_matrix_lazily = True

    @abstractmethod
    def theta(self, params: Params, height: int, width: int) -> Tensor:
        """Return the map from output to input positions: float ``(rows, 2, 3)``."""

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Sample the images where :meth:`theta` points."""
        n, _, height, width = images.shape
        exact = images.float() if images.element_size() < 4 else images
        grid = _grid(self.theta(params, height, width).to(exact.dtype), height, width)
        return sample(exact, grid.expand(n, -1, -1, -1)).to(images.dtype)

    def compute_transformation(
        self,
        input: Tensor,
        params: Params,
        flags: dict[str, Any],  # noqa: ARG002
    ) -> Tensor:
        """Return Kornia's matrix: input to output pixels, ``(N, 3, 3)``."""
        n, _, height, width = input.shape
        theta = self.theta(params, height, width).to(input.dtype)
        linear, shift = theta[:, :, :2], theta[:, :, 2:]
        size = theta.new_tensor([width, height])
        # Pixel p lies at (2 p + 1) / size - 1 in normalised coordinates.
        linear = linear * size.view(2, 1) / size
        centre = ((size - 1) / 2).view(2, 1)
        shift = shift * size.view(2, 1) / 2 + centre - linear @ centre
        inverse = torch.linalg.inv_ex(linear).inverse
        top = torch.cat([inverse, -inverse @ shift], 2)
        bottom = theta.new_tensor([0.0, 0.0, 1.0]).expand(len(theta), 1, 3)
        return torch.cat([top, bottom], 1).expand(n, 3, 3)


class Crop(AffineOperation):
    """Translate by whole pixels, independently along each axis, up to an eighth of the size.

    The same as padding and cropping, as in the paper: pixels that leave the frame are lost, and
    zeros enter.
    """

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:
        """Draw ``crop_row`` and ``crop_column``: int64 ``(rows,)``, pixels."""
        down, across = _reach(shape[1]), _reach(shape[2])
        return {
            "crop_row": integers(rows, -down, down, generator),
            "crop_column": integers(rows, -across, across, generator),
        }

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return ``x[i + crop_row, j + crop_column]``, zero outside; exact, one gather."""
        n, channels, height, width = images.shape
        down, across = _reach(height), _reach(width)
        padded = F.pad(images, (across, across, down, down))
        pitch = width + 2 * across
        start = (params["crop_row"] + down) * pitch + params["crop_column"] + across
        row = torch.arange(height, device=images.device).view(-1, 1)
        window = (row * pitch + torch.arange(width, device=images.device)).flatten()
        index = (start.view(-1, 1, 1) + window).expand(n, channels, -1)
        return padded.flatten(2).gather(2, index).view_as(images)

    def theta(self, params: Params, height: int, width: int) -> Tensor:
        """Return a pure translation."""
        row, column = params["crop_row"].float(), params["crop_column"].float()
        one, zero = torch.ones_like(row), torch.zeros_like(row)
        return _rows(one, zero, column * (2 / width), zero, one, row * (2 / height))


class Flip(AffineOperation):
    """Mirror the image left to right with probability one half."""

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``flip``: bool ``(rows,)``."""
        return {"flip": uniform(rows, 0.0, 1.0, generator) < FLIP_PROBABILITY}

    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return each image mirrored where ``flip`` is true; exact."""
        return torch.where(params["flip"].view(-1, 1, 1, 1), images.flip(3), images)

    def theta(self, params: Params, height: int, width: int) -> Tensor:  # noqa: ARG002
        """Return x negated where ``flip`` is true."""
        sign = 1.0 - 2.0 * params["flip"].float()
        zero = torch.zeros_like(sign)
        return _rows(sign, zero, zero, zero, torch.ones_like(sign), zero)


class Scale(AffineOperation):
    """Scale about the centre, each axis by its own factor in [1/1.2, 1.2).

    A factor above 1 shrinks the image: it multiplies the output position to give the input
    position. The two factors are drawn independently, also when a batch shares them.
    """

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``scale_x`` and ``scale_y``: float32 ``(rows,)``."""
        return {
            "scale_x": uniform(rows, 1 / SCALE_RATIO, SCALE_RATIO, generator),
            "scale_y": uniform(rows, 1 / SCALE_RATIO, SCALE_RATIO, generator),
        }

    def theta(self, params: Params, height: int, width: int) -> Tensor:  # noqa: ARG002
        """Return ``diag(scale_x, scale_y)``."""
        zero = torch.zeros_like(params["scale_x"])
        return _rows(params["scale_x"], zero, zero, zero, params["scale_y"], zero)


class Rotate(AffineOperation):
    """Rotate about the centre by up to 15 degrees in either direction.

    A positive angle rotates the displayed image anticlockwise. The rotation is one of normalised
    coordinates, as in the authors' code, so an image that is not square is sheared slightly.
    """

    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:  # noqa: ARG002
        """Draw ``degrees``: float32 ``(rows,)``."""
        return {"degrees": uniform(rows, -ROTATE_DEGREES, ROTATE_DEGREES, generator)}

    def theta(self, params: Params, height: int, width: int) -> Tensor:  # noqa: ARG002
        """Return the rotation matrix."""
        angle = torch.deg2rad(params["degrees"])
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return _rows(cos, -sin, zero, sin, cos, zero)


def _reach(size: int) -> int:
    """Return the largest translation along a side of ``size`` pixels, rounded half up."""
    return int(size * CROP_RATIO + 0.5)


def _rows(*entries: Tensor) -> Tensor:
    """Stack six ``(rows,)`` entries, row by row, into ``(rows, 2, 3)``."""
    return torch.stack(entries, 1).view(-1, 2, 3)


def _grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Return ``affine_grid`` of ``theta``: ``(rows, H, W, 2)``.

    The parts of rows and columns are added by broadcasting, with x and y in separate planes. On a
    CPU this is about twenty times as fast as the matrix product of ``affine_grid``.
    """
    x_column, y_column, shift = theta.unsqueeze(-1).unbind(2)
    across = x_column * _centres(width, theta) + shift
    down = y_column * _centres(height, theta)
    return (across.unsqueeze(2) + down.unsqueeze(3)).permute(0, 2, 3, 1)


def _centres(size: int, like: Tensor) -> Tensor:
    """Return the normalised positions of ``size`` pixel centres."""
    return (2 * torch.arange(size, device=like.device, dtype=like.dtype) + 1) / size - 1
