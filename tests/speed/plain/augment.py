"""DSA as its released code has it: ``grid_sample`` and index arithmetic, a function an operation.

B. Zhao and H. Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", 2021; the
structure is that of VICO-UoE/DatasetCondensation, utils.py. As there, scale and rotate fill their
matrices image by image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Parameters = dict[str, Tensor]
# Operations in order with their parameters, one row per image, or one row for all of them.
Drawn = list[tuple[str, Parameters]]

_CUTOUT, _CROP, _SCALE, _DEGREES = 0.5, 0.125, 1.2, 15.0
OPERATIONS = {
    "color": ("brightness", "saturation", "contrast"),
    "crop": ("crop",),
    "cutout": ("cutout",),
    "flip": ("flip",),
    "scale": ("scale",),
    "rotate": ("rotate",),
}


class PlainDSA:
    """Draws and applies augmentations of normalised images.

    Args:
        strategy: names of :data:`OPERATIONS`.
        generator: draws; on the images' device.
        every: apply all of the strategy, not one of it per call.
    """

    def __init__(
        self, strategy: Sequence[str], generator: torch.Generator, *, every: bool = False
    ) -> None:
        self.strategy, self.generator, self.every = tuple(strategy), generator, every

    def draw(self, n: int, size: int = 32) -> Drawn:
        """Draw ``n`` rows of parameters for square images of ``size`` pixels a side."""
        names = self.strategy
        if not self.every:
            device = self.generator.device
            which = torch.randint(len(names), (1,), generator=self.generator, device=device)
            names = (names[int(which.item())],)
        return [(step, self._parameters(step, n, size)) for p in names for step in OPERATIONS[p]]

    def __call__(self, images: Tensor) -> Tensor:
        """Draw for every image and apply."""
        return apply(images, self.draw(len(images), images.shape[2]))

    def _parameters(self, step: str, n: int, size: int) -> Parameters:
        if step == "crop":
            reach = int(size * _CROP + 0.5)
            names = ("crop_row", "crop_column")
            return {name: self._integers(n, -reach, reach) for name in names}
        if step == "cutout":
            last = size - int(size * _CUTOUT + 0.5) % 2
            names = ("cutout_row", "cutout_column")
            return {name: self._integers(n, 0, last) for name in names}
        if step == "flip":
            return {"flip": self._uniform(n, 0, 1) < 0.5}
        if step == "scale":
            return {name: self._uniform(n, 1 / _SCALE, _SCALE) for name in ("scale_x", "scale_y")}
        if step == "rotate":
            return {"degrees": self._uniform(n, -_DEGREES, _DEGREES)}
        low, high = {"brightness": (-0.5, 0.5), "saturation": (0, 2), "contrast": (0.5, 1.5)}[step]
        return {step: self._uniform(n, low, high)}

    def _uniform(self, n: int, low: float, high: float) -> Tensor:
        drawn = torch.rand(n, generator=self.generator, device=self.generator.device)
        return drawn * (high - low) + low

    def _integers(self, n: int, low: int, high: int) -> Tensor:
        device = self.generator.device
        return torch.randint(low, high + 1, (n,), generator=self.generator, device=device)


def apply(images: Tensor, drawn: Drawn) -> Tensor:
    """Apply drawn operations to ``(N, C, H, W)``; a single row of parameters serves all images."""
    for step, parameters in drawn:
        rows = {name: value.expand(len(images)) for name, value in parameters.items()}
        images = _APPLY[step](images, **rows)
    return images.contiguous()


def _brightness(x: Tensor, brightness: Tensor) -> Tensor:
    return x + brightness.view(-1, 1, 1, 1)


def _saturation(x: Tensor, saturation: Tensor) -> Tensor:
    mean = x.mean(dim=1, keepdim=True)
    return (x - mean) * saturation.view(-1, 1, 1, 1) + mean


def _contrast(x: Tensor, contrast: Tensor) -> Tensor:
    mean = x.mean(dim=[1, 2, 3], keepdim=True)
    return (x - mean) * contrast.view(-1, 1, 1, 1) + mean


def _flip(x: Tensor, flip: Tensor) -> Tensor:
    return torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)


def _scale(x: Tensor, scale_x: Tensor, scale_y: Tensor) -> Tensor:
    return _sample(x, [[[scale_x[i], 0, 0], [0, scale_y[i], 0]] for i in range(len(x))])


def _rotate(x: Tensor, degrees: Tensor) -> Tensor:
    a = degrees / 180 * math.pi
    theta = [
        [[torch.cos(a[i]), torch.sin(-a[i]), 0], [torch.sin(a[i]), torch.cos(a[i]), 0]]
        for i in range(len(x))
    ]
    return _sample(x, theta)


def _sample(x: Tensor, theta: list[list[list[object]]]) -> Tensor:
    grid = F.affine_grid(torch.tensor(theta, dtype=torch.float), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid.to(x.device), align_corners=False)


def _crop(x: Tensor, crop_row: Tensor, crop_column: Tensor) -> Tensor:
    n, _, height, width = x.shape
    image, row, column = _positions(n, height, width, x.device)
    row = torch.clamp(row + crop_row.view(-1, 1, 1) + 1, 0, height + 1)
    column = torch.clamp(column + crop_column.view(-1, 1, 1) + 1, 0, width + 1)
    padded = F.pad(x, [1, 1, 1, 1, 0, 0, 0, 0]).permute(0, 2, 3, 1).contiguous()
    return padded[image, row, column].permute(0, 3, 1, 2)


def _cutout(x: Tensor, cutout_row: Tensor, cutout_column: Tensor) -> Tensor:
    n, _, height, width = x.shape
    rows, columns = int(height * _CUTOUT + 0.5), int(width * _CUTOUT + 0.5)
    image, row, column = _positions(n, rows, columns, x.device)
    row = torch.clamp(row + cutout_row.view(-1, 1, 1) - rows // 2, 0, height - 1)
    column = torch.clamp(column + cutout_column.view(-1, 1, 1) - columns // 2, 0, width - 1)
    mask = torch.ones(n, height, width, dtype=x.dtype, device=x.device)
    mask[image, row, column] = 0
    return x * mask.unsqueeze(1)


def _positions(n: int, rows: int, columns: int, device: torch.device) -> Sequence[Tensor]:
    ranges = (torch.arange(size, device=device) for size in (n, rows, columns))
    return torch.meshgrid(*ranges, indexing="ij")


_APPLY: dict[str, Callable[..., Tensor]] = {
    "brightness": _brightness,
    "saturation": _saturation,
    "contrast": _contrast,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _scale,
    "rotate": _rotate,
}
