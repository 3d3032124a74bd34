"""The interface of distilled sets: their description, their bytes, and their training epochs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.pixels import Pixels
from bench.support.errors import BenchError
from bench.support.seeds import distillation_seed, make_generator


class TrainingSource(Protocol):
    """The images on which a network is trained, one epoch at a time."""

    @property
    def images_per_epoch(self) -> int:
        """Return the number of images in one epoch."""

    @property
    def storage_bytes(self) -> int:
        """Return the bytes that must be stored to train this way; hard labels do not count."""

    def epoch(self, generator: torch.Generator, number: int = 0) -> tuple[Tensor | Pixels, Tensor]:
        """Return the images and labels of one epoch, class by class, not shuffled.

        Args:
            generator: on the set's device, one for each network; used only if the source draws
                new images.
            number: of the epoch, from 0; used only if the images depend on those that earlier
                epochs showed.

        Returns:
            Images, of which a slice or an index picks float32 ``(n, C, H, W)`` in normalised units,
            and labels: int64 ``(N,)`` or float32 probabilities ``(N, num_classes)``.
        """

    def distinct_images(self, epochs: int) -> int:
        """Return how many different images ``epochs`` epochs show, before augmentation."""


class DistilledSet(ABC):
    """The result of a distillation, on a device: it can be saved, shown and trained on.

    Attributes:
        kind: the name written into the file header.
        modes: the modes in which it can be evaluated; the first is the default.
        spec: class count, image shape, normalisation.
        provenance: the method, parameters and dataset it comes from (plain JSON values).
        learning_rate: the rate that was learned with the set, or ``None``; a protocol uses it
            instead of its own.
        epochs: the number of epochs to train on the set, or ``None`` for the protocol's.
        zca: the statistics with which its images were whitened; test images are whitened with
            them too. ``None`` for the spec's mean and std.
        label_kind: ``hard``, or how soft labels are given; see :mod:`bench.distilled.labels`.
        temperature: at which soft labels are matched; ``None`` for plain cross-entropy.
    """

    kind: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]

    spec: DatasetSpec
    provenance: dict[str, Any]
    learning_rate: float | None = None
    epochs: int | None = None
    zca: ZCA | None = None
    label_kind: str = "hard"
    temperature: float | None = None

    @property
    def random_seed(self) -> int:
        """Return the seed of the distillation, from which frozen images are drawn.

        It is what the provenance says, or follows from the cell there; 0 if neither is known. A
        file can claim anything, so values of other types are ignored.
        """
        seed, cell = self.provenance.get("random_seed"), self.provenance.get("cell")
        if type(seed) is int and 0 <= seed < 2**63:
            return seed
        if not isinstance(cell, Mapping):
            return 0
        method, dataset, ipc, arch, index = (
            cell.get(name) for name in ("method", "dataset", "ipc", "arch", "seed")
        )
        if not (isinstance(method, str) and isinstance(dataset, str) and isinstance(index, int)):
            return 0
        if not isinstance(ipc, int | None) or not isinstance(arch, str | None):
            return 0
        return distillation_seed(method, dataset, ipc, arch, index)

    @property
    @abstractmethod
    def storage_bytes(self) -> int:
        """Return the bytes of the set: pixels or weights, soft labels and ZCA statistics."""

    @abstractmethod
    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> TrainingSource:
        """Return the source of a network's training epochs.

        Args:
            mode: one of ``modes``.
            ipc: images per class; ``None`` only for a set that is evaluated as a whole.
            generator: on the set's device; used if images must be drawn once (``frozen``).

        Raises:
            ValueError: the set cannot be evaluated in that mode or at that IPC.
        """

    @abstractmethod
    def preview(
        self, per_class: int, generator: torch.Generator, classes: int | None = None
    ) -> Tensor:
        """Return float32 images in [0, 1], ``(num_classes, up to per_class, C, H, W)``.

        Args:
            per_class: the number of images of each class, if the set has as many.
            generator: on the set's device; used only if the set draws new images.
            classes: the number of classes, from the first; ``None`` for all.

        Raises:
            ValueError: the stored values cannot be turned into pixels.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to save, by name."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return the plain JSON values that rebuild the set, together with the tensors."""

    @classmethod
    @abstractmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Rebuild a set from the results of :meth:`tensors` and :meth:`config`.

        Raises:
            ValueError: the parts do not fit together.
        """

    def dataset(
        self, *, ipc: int | None = None, mode: str | None = None, seed: int = 0
    ) -> Dataset[Any]:
        """Return the set as a PyTorch dataset, for a training loop of one's own.

        Args:
            ipc: images per class; a generator needs it, a stored set is used whole by default.
            mode: one of :attr:`modes`; default: the first.
            seed: from which a generator draws.

        Returns:
            Pairs of an image, float32 ``(C, H, W)`` in normalised units, and its label: a 0-d
            int64 tensor, or float32 probabilities ``(num_classes,)``. An iterable dataset that
            draws new images in every epoch for ``stream``, else a map-style one.

        Raises:
            BenchError: the set has no such mode, or not that IPC.
        """
        from bench.distilled.torch_dataset import DrawnImages, StoredImages

        mode = self.modes[0] if mode is None else mode
        device = next(iter(self.tensors().values())).device
        try:
            source = self.source(mode, ipc, make_generator(seed, device))
        except ValueError as error:
            raise BenchError(str(error)) from error
        if mode == "stream":
            return DrawnImages(source, device, seed)
        return StoredImages(source, device)

    def first_classes(self, limit: int | None) -> range:
        """Return the labels of the first ``limit`` classes, or of all."""
        count = self.spec.num_classes
        return range(count if limit is None else min(limit, count))

    def check_made_for(self, spec: DatasetSpec) -> None:
        """Raise ``ValueError`` unless the set was made from the dataset of ``spec``.

        Networks are built from the number of classes and the size of images, and a file can claim
        any. Notes and class names are allowed to differ.
        """
        for name in ("num_classes", "channels", "height", "width", "mean", "std", "flip"):
            ours, theirs = getattr(self.spec, name), getattr(spec, name)
            if ours != theirs:
                raise ValueError(
                    f"the set was not made from {spec.name}: its {name} is {ours}, not {theirs}"
                )

    def check_mode(self, mode: str) -> None:
        """Raise ``ValueError`` unless this kind of set can be evaluated in ``mode``."""
        if mode not in self.modes:
            raise ValueError(f"mode '{mode}' is not one of {', '.join(self.modes)}")
