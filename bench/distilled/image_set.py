"""An image set: stored images, usually IPC per class, with hard or soft labels."""

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
from bench.distilled.labels import check_labels, hard_labels, label_bytes, training_labels
from bench.distilled.pixels import Pixels
from bench.support.untrusted import Limit

# Bytes that real images may take as floats; larger sets are normalised batch by batch. Small ones
# are normalised once, because every epoch shows them all.
FLOAT_BYTES = 256 << 20


@dataclass(frozen=True)
class FixedSource:
    """A source of the same images in every epoch.

    Attributes:
        images: float32 ``(N, C, H, W)``, normalised; or pixels that are normalised when picked.
        labels: int64 ``(N,)``, or float32 probabilities ``(N, num_classes)``.
        storage_bytes: bytes of the images and soft labels as stored, and of ZCA statistics.
    """

    images: Tensor | Pixels
    labels: Tensor
    storage_bytes: int

    @property
    def images_per_epoch(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def epoch(
        self,
        generator: torch.Generator,  # noqa: ARG002
        number: int = 0,  # noqa: ARG002
    ) -> tuple[Tensor | Pixels, Tensor]:
        """Return all images and labels, the same in every epoch."""
        return self.images, self.labels

    def distinct_images(self, epochs: int) -> int:
        """Return the number of images, however many epochs there are."""
        return len(self.labels) if epochs else 0


@dataclass
class ImageSet(DistilledSet):
    """Stored images with their labels.

    Attributes:
        images: ``(N, C, H, W)``: uint8 pixels, or float32 in normalised units (learned images),
            or float16 to save room.
        labels: int64 ``(N,)``, or soft labels, float32 ``(N, num_classes)``.
        label_kind: see :mod:`bench.distilled.labels`.
        temperature: at which soft labels are matched, or ``None`` for plain cross-entropy.
        learning_rate: the rate learned with the images, or ``None``.
        epochs: the number of epochs to train on the images, or ``None``.
        zca: the statistics that whiten the images; ``None`` for the spec's mean and std.

    Raises:
        ValueError: shapes, types, labels or values do not fit each other or ``spec``.
    """

    spec: DatasetSpec
    images: Tensor
    labels: Tensor
    provenance: dict[str, Any]
    learning_rate: float | None = None
    epochs: int | None = None
    zca: ZCA | None = None
    label_kind: str = "hard"
    temperature: float | None = None

    kind: ClassVar[str] = "image"
    modes: ClassVar[tuple[str, ...]] = ("stored",)

    def __post_init__(self) -> None:
        soft = self.label_kind != "hard"
        expected = (*self.labels.shape[:1], *self.spec.shape)
        if tuple(self.images.shape) != expected or self.labels.ndim != 1 + soft:
            raise ValueError(
                f"images {tuple(self.images.shape)} and labels {tuple(self.labels.shape)} do not "
                f"fit {self.spec.name}: expected (N, {self.spec.shape}) and "
                + (f"(N, {self.spec.num_classes})" if soft else f"(N,){self._on_soft_labels()}")
            )
        if self.images.dtype not in (torch.uint8, torch.float32, torch.float16):
            raise ValueError(f"images must be uint8 or float32, not {self.images.dtype}")
        check_labels(self.labels, self.label_kind, self.temperature, self.spec)
        if self.images.dtype != torch.uint8 and not bool(self.images.isfinite().all()):
            raise ValueError("images hold NaN or infinity")
        self._check_training()
        if self.zca is not None and self.zca.mean.numel() != self.spec.pixels:
            raise ValueError(
                f"ZCA statistics of {self.zca.mean.numel()} values do not fit {self.spec.name}, "
                f"whose images have {self.spec.pixels}"
            )

    def _on_soft_labels(self) -> str:
        """Return how labels are given that are as soft ones would be, if these are."""
        if tuple(self.labels.shape) != (*self.images.shape[:1], self.spec.num_classes):
            return ""
        return "; soft labels need label_kind='probabilities' or 'logits'"

    def _check_training(self) -> None:
        """Check the learning rate and the epochs, which may come from a file."""
        rate, epochs = self.learning_rate, self.epochs
        plain = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (plain and 0 < rate <= Limit.LEARNING_RATE):
            raise ValueError(f"learning_rate must be a positive number, not {rate!r:.50}")
        whole = isinstance(epochs, int) and not isinstance(epochs, bool)
        if epochs is not None and not (whole and 1 <= epochs <= Limit.EPOCHS):
            raise ValueError(
                f"epochs must be a whole number from 1 to {Limit.EPOCHS:,}, not {epochs!r:.50}"
            )

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of the images as stored: 1 (uint8), 2 (float16) or 4 per value.

        Soft labels and ZCA statistics are included, because the set cannot be used without them.
        """
        beside = label_bytes(self.labels, self.label_kind)
        return self.images.nbytes + beside + (self.zca.storage_bytes if self.zca is not None else 0)

    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> FixedSource:  # noqa: ARG002
        """Return all images; ``ipc`` must be the set's number of images per class, or ``None``.

        With soft labels an image need not belong to the class that it was made for, so that only
        the number of all images is checked.
        """
        self.check_mode(mode)
        counts = torch.bincount(hard_labels(self.labels), minlength=self.spec.num_classes)
        soft_and_whole = self.label_kind != "hard" and len(self.labels) == (ipc or 0) * len(counts)
        if ipc is not None and not soft_and_whole and not bool((counts == ipc).all()):
            actual = " to ".join(map(str, sorted({int(counts.min()), int(counts.max())})))
            raise ValueError(
                f"the set holds {actual} images per class, not IPC {ipc}; that of a method with "
                "own_size = True is evaluated as a whole, as `bench evaluate` does"
            )
        labels = training_labels(self.labels, self.label_kind, self.temperature)
        return FixedSource(self._shown(), labels, self.storage_bytes)

    def _shown(self) -> Tensor | Pixels:
        """Return the images in normalised units, or whitened."""
        if self.images.dtype != torch.uint8:
            return self.images.float()
        if self.zca is not None:
            return self.zca.whiten(self.images)
        if 4 * self.images.numel() > FLOAT_BYTES:
            return Pixels(self.images, self.spec)
        return normalise(self.images, self.spec)

    def preview(
        self,
        per_class: int,
        generator: torch.Generator,  # noqa: ARG002
        classes: int | None = None,
    ) -> Tensor:
        """Return the first images of each class as pixels in [0, 1].

        Every class shows as many images as the smallest class has.
        """
        labels = hard_labels(self.labels)
        rows = [self.images[labels == c][:per_class] for c in self.first_classes(classes)]
        fewest = min(map(len, rows))
        images = torch.stack([row[:fewest] for row in rows])
        if images.dtype == torch.uint8:
            return images.float() / 255
        flat = images.float().flatten(0, 1)
        if self.zca is None:
            return denormalise(flat, self.spec).view_as(images)
        try:
            return self.zca.unwhiten(flat).clamp(0, 1).view_as(images)
        except RuntimeError as error:  # a singular matrix; only a file can hold one
            raise ValueError(f"its ZCA statistics cannot be inverted: {error}") from error

    def tensors(self) -> dict[str, Tensor]:
        """Return the images and labels, and the ZCA statistics if there are any."""
        extra = {} if self.zca is None else self.zca.tensors()
        return {"images": self.images, "labels": self.labels, **extra}

    def config(self) -> dict[str, Any]:
        """Return the learning rate and the epochs, and how soft labels are to be read."""
        values = {"learning_rate": self.learning_rate, "epochs": self.epochs}
        if self.label_kind == "hard":
            return values
        return {**values, "label_kind": self.label_kind, "temperature": self.temperature}

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
