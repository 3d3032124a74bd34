"""A split of a real dataset as uint8 on the device, gathered and normalised there in batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA


def normalise(images: Tensor, spec: DatasetSpec) -> Tensor:
    """Map pixels to normalised units.

    Args:
        images: ``(N, C, H, W)``, uint8 in 0..255 or float in [0, 1].
        spec: the dataset whose mean and std are used.

    Returns:
        float32 ``(N, C, H, W)``.
    """
    mean, std = _moments(spec, images.device)
    if images.dtype == torch.uint8:
        return images.to(torch.float32).sub_(mean * 255).div_(std * 255)
    return (images - mean) / std


def denormalise(images: Tensor, spec: DatasetSpec) -> Tensor:
    """Map normalised float images ``(N, C, H, W)`` back to [0, 1], clamped."""
    mean, std = _moments(spec, images.device)
    return (images * std + mean).clamp(0, 1)


@lru_cache(maxsize=64)
def _moments(spec: DatasetSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and std, float32 ``(1, C, 1, 1)``.

    They are cached because copying them to a GPU for every batch would make the host wait for it.
    """
    # The first caller may be in inference mode; its tensors could not be used for training.
    with torch.inference_mode(False):
        mean, std = (
            torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (spec.mean, spec.std)
        )
    return mean, std


@dataclass(frozen=True)
class RealSet:
    """One split of a real dataset, resident on a device.

    Attributes:
        spec: the dataset.
        images: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``.
        sha256: of the dataset's content, see :mod:`bench.datasets.content`; in hex.
        zca: the statistics that whiten the images; ``None`` for the spec's mean and std.
    """

    spec: DatasetSpec
    images: Tensor
    labels: Tensor
    sha256: str
    zca: ZCA | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Return the device of the pixels."""
        return self.images.device

    @cached_property
    def class_indices(self) -> list[Tensor]:
        """Return the indices of each class's images: int64, ascending, by label."""
        return [torch.nonzero(self.labels == c).flatten() for c in range(self.spec.num_classes)]

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images per class."""
        return tuple(len(indices) for indices in self.class_indices)

    def gather(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``, normalised: float32 ``(len(indices), C, H, W)``."""
        images = self.images[indices]
        return normalise(images, self.spec) if self.zca is None else self.zca.whiten(images)

    def whitened(self, zca: ZCA | None) -> RealSet:
        """Return the same split, whitened by ``zca``; normalised by mean and std for ``None``."""
        return replace(self, zca=zca)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` indices uniformly with replacement: int64 ``(n,)``."""
        return torch.randint(len(self), (n,), generator=generator, device=self.device)

    def sample_class(self, label: int, n: int, generator: torch.Generator) -> Tensor:
        """Draw up to ``n`` distinct indices of one class, uniformly, in random order: int64.

        A class of fewer images gives all of them.
        """
        pool = self.class_indices[label]
        order = torch.randperm(len(pool), generator=generator, device=self.device)
        return pool[order[:n]]
