"""Real images that are normalised batch by batch, so that a large set is not copied as floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec


@dataclass(frozen=True)
class Pixels:
    """Images that look like a float tensor to a training loop, which only picks batches.

    Attributes:
        stored: uint8 ``(N, C, H, W)``.
        spec: the dataset whose mean and std normalise them.
    """

    stored: Tensor
    spec: DatasetSpec

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.stored)

    def __getitem__(self, index: Any) -> Tensor:
        """Return a batch: float32 ``(len(index), C, H, W)`` in normalised units.

        Args:
            index: a slice or an int64 tensor of positions.
        """
        return normalise(self.stored[index], self.spec)
