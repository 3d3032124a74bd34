"""A factored set: each stored image is a grid of smaller images, which are enlarged when used.

J.-H. Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022
("uniform multi-formation"). IPC counts stored images: each gives ``factor ** 2`` training images
without storing more bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.image_set import FixedSource, ImageSet
from bench.support.untrusted import check_fits_memory

# The value that completes the last row and column of parts if the factor does not divide the size.
_GREY = 0.5


def part_size(height: int, width: int, factor: int) -> tuple[int, int]:
    """Return the height and width of the parts of a stored image, rounded up."""
    return -(-height // factor), -(-width // factor)


def decode_parts(images: Tensor, factor: int) -> Tensor:
    """Cut each image into ``factor`` by ``factor`` parts and enlarge each to the image's size.

    Bilinear, as :func:`torch.nn.functional.interpolate` with ``align_corners=False``, but computed
    by matrix products, whose gradients are the same bits in every run, also on a GPU.

    Args:
        images: float ``(N, C, H, W)``, in [0, 1] units.
        factor: the number of parts along each side; 1 returns the images unchanged.

    Returns:
        ``(N * factor ** 2, C, H, W)``, differentiable: the parts of each image, row by row.
    """
    if factor == 1:
        return images
    count, channels, height, width = images.shape
    tall, wide = part_size(height, width, factor)
    missing = (0, wide * factor - width, 0, tall * factor - height)
    grid = F.pad(images, missing, value=_GREY).view(count, channels, factor, tall, factor, wide)
    parts = grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, tall, wide)
    return _enlarging(tall, height, images).T @ parts @ _enlarging(wide, width, images)


def _enlarging(size: int, target: int, like: Tensor) -> Tensor:
    """Return the weights of linear interpolation: ``(size, target)``, columns sum to 1."""
    one_hot = torch.eye(size, dtype=like.dtype, device=like.device).unsqueeze(0)
    return F.interpolate(one_hot, size=target, mode="linear", align_corners=False)[0]


@dataclass
class FactoredSet(DistilledSet):
    """Stored grids of parts, with hard labels.

    Attributes:
        images: ``(N, C, H, W)``, pixels, not normalised: float32 in [0, 1] units, where learned
            values can lie outside, or float16 or uint8 to save room.
        labels: int64 ``(N,)``.
        factor: the number of parts along each side of an image.

    Raises:
        ValueError: shapes, types, labels or values do not fit each other or ``spec``.
    """

    spec: DatasetSpec
    images: Tensor
    labels: Tensor
    factor: int
    provenance: dict[str, Any]

    kind: ClassVar[str] = "factored"
    modes: ClassVar[tuple[str, ...]] = ("stored",)

    def __post_init__(self) -> None:
        whole = isinstance(self.factor, int) and not isinstance(self.factor, bool)
        limit = min(self.spec.height, self.spec.width)
        if not (whole and 1 <= self.factor <= limit):
            raise ValueError(
                f"factor must be a whole number in 1..{limit}, not {self.factor!r:.50}"
            )
        if self.images.dtype not in (torch.uint8, torch.float32, torch.float16):
            raise ValueError(
                "images of a factored set must be float32, float16 or uint8, not "
                f"{self.images.dtype}"
            )
        self._stored()

    @property
    def pixels(self) -> Tensor:
        """Return the grids in [0, 1] units: float32 ``(N, C, H, W)``."""
        return self.images / 255 if self.images.dtype == torch.uint8 else self.images.float()

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of the grids; the decoded images are not stored."""
        return self._stored().storage_bytes

    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> FixedSource:
        """Return the decoded images; ``ipc`` must be the number of stored images per class."""
        labels = self._stored().source(mode, ipc, generator).labels
        decoded = normalise(decode_parts(self.pixels, self.factor), self.spec)
        return FixedSource(
            decoded, labels.repeat_interleave(self.factor**2, dim=0), self.storage_bytes
        )

    def preview(
        self, per_class: int, generator: torch.Generator, classes: int | None = None
    ) -> Tensor:
        """Return the first grids of each class as stored, which shows every learned pixel."""
        pixels = normalise(self.pixels, self.spec)
        return replace(self._stored(), images=pixels).preview(per_class, generator, classes)

    def tensors(self) -> dict[str, Tensor]:
        """Return the grids and labels."""
        return {"images": self.images, "labels": self.labels}

    def config(self) -> dict[str, Any]:
        """Return the factor."""
        return {"factor": self.factor}

    @classmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Rebuild from a file's parts."""
        if set(tensors) != {"images", "labels"}:
            raise ValueError(f"a factored set holds images and labels, not {sorted(tensors)}")
        factored = cls(spec, tensors["images"], tensors["labels"], config["factor"], provenance)
        # A small file with a large factor would otherwise fill the memory when it is used.
        check_fits_memory(4 * factored.images.numel() * factored.factor**2)
        return factored

    def _stored(self) -> ImageSet:
        """Return the grids, not normalised, as an image set, which checks them and counts bytes."""
        return ImageSet(self.spec, self.images, self.labels, {})
