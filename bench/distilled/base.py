"""What every distilled set can do: say what it is, count its bytes, and feed a training run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA


class TrainingSource(Protocol):
    """What an evaluation network is trained on, one epoch at a time."""

    @property
    def images_per_epoch(self) -> int:
        """Images that one epoch holds."""

    @property
    def storage_bytes(self) -> int:
        """Bytes that must be kept to train this way (as of the set; labels apart)."""

    def epoch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the images and labels of one epoch, class by class, not shuffled.

        Args:
            generator: on the set's device; drawn from only if the source makes images on the fly.

        Returns:
            float32 ``(N, C, H, W)`` in normalised units, and int64 labels ``(N,)``.
        """

    def distinct_images(self, epochs: int) -> int:
        """Count the different images that a run of ``epochs`` shows (before augmentation)."""


class DistilledSet(ABC):
    """The outcome of a distillation, on a device, ready to be saved, shown and trained on.

    Attributes:
        kind: the name written into the file header.
        modes: the ways it can be judged; the first is the default.
        spec: class count, image shape, normalisation.
        provenance: who made it, from what (plain JSON values).
        learning_rate: learned with the set, or ``None``; a protocol uses it instead of its own.
        epochs: how many epochs the set asks to be trained for, or ``None``.
        zca: the statistics that its images were whitened with; test images are whitened with them
            too. ``None`` for the spec's mean and std.
    """

    kind: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]

    spec: DatasetSpec
    provenance: dict[str, Any]
    learning_rate: float | None = None
    epochs: int | None = None
    zca: ZCA | None = None

    @property
    @abstractmethod
    def storage_bytes(self) -> int:
        """Bytes of the artefact (pixels or weights, ZCA statistics; labels apart)."""

    @abstractmethod
    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> TrainingSource:
        """Return what a network is trained on.

        Args:
            mode: one of ``modes``.
            ipc: images per class; ``None`` only for a set that is judged whole.
            generator: on the set's device; used if images must be drawn once (``frozen``).

        Raises:
            ValueError: if the set cannot serve that mode or IPC.
        """

    @abstractmethod
    def preview(
        self, per_class: int, generator: torch.Generator, classes: int | None = None
    ) -> Tensor:
        """Return float32 images in [0, 1], ``(num_classes, up to per_class, C, H, W)``.

        Args:
            per_class: how many of each class, if there are as many.
            generator: on the set's device; drawn from only if the source makes images on the fly.
            classes: only the first so many; ``None`` for all.

        Raises:
            ValueError: if what is stored cannot be turned into pixels.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return what the file stores, by name."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return plain JSON values that, with the tensors, rebuild the set."""

    @classmethod
    @abstractmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Rebuild a set from what :meth:`tensors` and :meth:`config` gave.

        Raises:
            ValueError: if the parts do not fit together.
        """

    def first_classes(self, limit: int | None) -> range:
        """Return the labels of the first ``limit`` classes, or of all."""
        count = self.spec.num_classes
        return range(count if limit is None else min(limit, count))

    def check_made_for(self, spec: DatasetSpec) -> None:
        """Raise ``ValueError`` unless the set was made from the dataset of ``spec``.

        A file may claim any number of classes and any size of image, from which networks are
        built; notes and class names may differ.
        """
        for name in ("num_classes", "channels", "height", "width", "mean", "std", "flip"):
            ours, theirs = getattr(self.spec, name), getattr(spec, name)
            if ours != theirs:
                raise ValueError(
                    f"the set was not made from {spec.name}: its {name} is {ours}, not {theirs}"
                )

    def check_mode(self, mode: str) -> None:
        """Raise ``ValueError`` unless this kind of set can be judged in ``mode``."""
        if mode not in self.modes:
            raise ValueError(f"mode '{mode}' is not one of {', '.join(self.modes)}")
