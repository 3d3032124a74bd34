"""An image set: IPC stored images per class with hard labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bench.datasets.real_set import denormalise, normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet

# What a set asks of its training is believed up to here: a file must not ask for ever.
_MOST_EPOCHS = 100_000
_LARGEST_RATE = 1e9


@dataclass(frozen=True)
class FixedSource:
    """The same images every epoch.

    Attributes:
        images: float32 ``(N, C, H, W)``, normalised.
        labels: int64 ``(N,)``.
        storage_bytes: of the images as stored, and of their ZCA statistics.
    """

    images: Tensor
    labels: Tensor
    storage_bytes: int

    @property
    def images_per_epoch(self) -> int:
        """All of them."""
        return len(self.labels)

    def epoch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return everything; draws nothing."""
        return self.images, self.labels

    def distinct_images(self, epochs: int) -> int:
        """Count the images; more epochs show no new ones."""
        return len(self.labels) if epochs else 0


@dataclass
class ImageSet(DistilledSet):
    """Stored images with hard labels.

    Attributes:
        images: ``(N, C, H, W)``: uint8 pixels, or float32 in normalised units (learned images).
        labels: int64 ``(N,)``.
        zca: statistics by which the images are normalised, in place of the spec's mean and std.

    Raises:
        ValueError: if shapes, types, labels or values do not fit each other or ``spec``.
    """

    spec: DatasetSpec
    images: Tensor
    labels: Tensor
    provenance: dict[str, Any]
    learning_rate: float | None = None
    epochs: int | None = None
    zca: ZCA | None = None

    kind: ClassVar[str] = "image"
    modes: ClassVar[tuple[str, ...]] = ("stored",)

    def __post_init__(self) -> None:
        expected = (self.labels.numel(), *self.spec.shape)
        if tuple(self.images.shape) != expected or self.labels.ndim != 1:
            raise ValueError(
                f"images {tuple(self.images.shape)} and labels {tuple(self.labels.shape)} do not "
                f"fit {self.spec.name}: expected (N, {self.spec.shape}) and (N,)"
            )
        if self.images.dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"images must be uint8 or float32, not {self.images.dtype}")
        if self.labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64, not {self.labels.dtype}")
        if not bool(((self.labels >= 0) & (self.labels < self.spec.num_classes)).all()):
            raise ValueError(f"labels must lie in 0..{self.spec.num_classes - 1}")
        if self.images.dtype == torch.float32 and not bool(self.images.isfinite().all()):
            raise ValueError("images hold NaN or infinity")
        self._check_training()
        if self.zca is not None and self.zca.mean.numel() != self.spec.pixels:
            raise ValueError(
                f"ZCA statistics of {self.zca.mean.numel()} values do not fit {self.spec.name}, "
                f"whose images have {self.spec.pixels}"
            )

    def _check_training(self) -> None:
        rate, epochs = self.learning_rate, self.epochs
        plain = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (plain and 0 < rate <= _LARGEST_RATE):
            raise ValueError(f"learning_rate must be a positive number, not {rate!r:.50}")
        whole = isinstance(epochs, int) and not isinstance(epochs, bool)
        if epochs is not None and not (whole and 1 <= epochs <= _MOST_EPOCHS):
            raise ValueError(
                f"epochs must be a whole number from 1 to {_MOST_EPOCHS:,}, not {epochs!r:.50}"
            )

    @property
    def storage_bytes(self) -> int:
        """Bytes of the images as stored: 1 per value for real pixels, 4 for learned ones.

        ZCA statistics count too: without them the images are of no use.
        """
        return self.images.nbytes + (self.zca.storage_bytes if self.zca is not None else 0)

    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> FixedSource:  # noqa: ARG002
        """Return all images; ``ipc`` must be the one that the set was made for (or ``None``)."""
        self.check_mode(mode)
        counts = torch.bincount(self.labels, minlength=self.spec.num_classes)
        if ipc is not None and not bool((counts == ipc).all()):
            found = " to ".join(map(str, sorted({int(counts.min()), int(counts.max())})))
            raise ValueError(f"the set holds {found} images per class, not IPC {ipc}")
        images = self.images
        if images.dtype == torch.uint8:
            images = normalise(images, self.spec) if self.zca is None else self.zca.whiten(images)
        return FixedSource(images, self.labels, self.storage_bytes)

    def preview(
        self,
        per_class: int,
        generator: torch.Generator,  # noqa: ARG002
        classes: int | None = None,
    ) -> Tensor:
        """Return the first images of each class as [0, 1] pixels."""
        rows = [self.images[self.labels == c][:per_class] for c in self.first_classes(classes)]
        fewest = min(map(len, rows))
        images = torch.stack([row[:fewest] for row in rows])
        if images.dtype == torch.uint8:
            return images.float() / 255
        flat = images.flatten(0, 1)
        if self.zca is None:
            return denormalise(flat, self.spec).view_as(images)
        try:
            return self.zca.unwhiten(flat).clamp(0, 1).view_as(images)
        except RuntimeError as error:  # statistics of a file, which no dataset has
            raise ValueError(f"ZCA statistics that cannot be undone: {error}") from error

    def tensors(self) -> dict[str, Tensor]:
        """Return the images and labels, and the ZCA statistics if there are any."""
        extra = {} if self.zca is None else self.zca.tensors()
        return {"images": self.images, "labels": self.labels, **extra}

    def config(self) -> dict[str, Any]:
        """Return what the set learned or asks for besides pixels."""
        return {"learning_rate": self.learning_rate, "epochs": self.epochs}

    @classmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Rebuild from a file's parts."""
        zca = ZCA.from_tensors(tensors)
        if set(tensors) - set(zca.tensors() if zca is not None else ()) != {"images", "labels"}:
            raise ValueError(f"an image set holds images and labels, not {sorted(tensors)}")
        return cls(spec, tensors["images"], tensors["labels"], provenance, **config, zca=zca)
