"""A real-stream set: the real training images, of which every epoch shows IPC others per class.

It is the reference of every generator that is evaluated as a stream: real images at the same
budget of distinct images and training steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet, TrainingSource
from bench.distilled.image_set import ImageSet
from bench.support.seeds import derive_seed, make_generator


@dataclass
class RealStreamSet(DistilledSet):
    """All real training images, as a set that draws.

    Attributes:
        images: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``; every class has an image.

    Raises:
        ValueError: shapes, types or labels do not fit each other or ``spec``, or a class is empty.
    """

    spec: DatasetSpec
    images: Tensor
    labels: Tensor
    provenance: dict[str, Any]

    kind: ClassVar[str] = "real-stream"
    modes: ClassVar[tuple[str, ...]] = ("stream",)

    def __post_init__(self) -> None:
        self._stored = ImageSet(self.spec, self.images, self.labels, {})
        if self.images.dtype != torch.uint8:
            raise ValueError(f"real images must be uint8, not {self.images.dtype}")
        counts = torch.bincount(self.labels, minlength=self.spec.num_classes)
        if not bool((counts > 0).all()):
            raise ValueError(f"class {int(counts.argmin())} has no real image to draw")

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of all real images: every one of them may be drawn."""
        return self._stored.storage_bytes

    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> TrainingSource:  # noqa: ARG002
        """Return a stream of real images; ``generator`` is not used."""
        self.check_mode(mode)
        if ipc is None:
            raise ValueError("a real-stream set draws images: name an IPC")
        return RealStreamSource(self, ipc)

    def preview(
        self, per_class: int, generator: torch.Generator, classes: int | None = None
    ) -> Tensor:
        """Return the first images of each class as pixels in [0, 1]."""
        return self._stored.preview(per_class, generator, classes)

    def tensors(self) -> dict[str, Tensor]:
        """Return the images and labels."""
        return {"images": self.images, "labels": self.labels}

    def config(self) -> dict[str, Any]:
        """Return nothing: the tensors are all there is."""
        return {}

    @classmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Rebuild from a file's parts."""
        if config or set(tensors) != {"images", "labels"}:
            raise ValueError(f"a real-stream set holds images and labels, not {sorted(tensors)}")
        return cls(spec, tensors["images"], tensors["labels"], provenance)


@dataclass(frozen=True)
class RealStreamSource:
    """A source that draws IPC real images per class in every epoch, without replacement.

    Each class is shown in a random order, from which an epoch takes the next IPC images; when all
    were shown, another order begins. The orders follow from the seed with which the network's
    generator was made, and the place in them from the number of the epoch. So the source has no
    state: a network that is resumed goes on with the same images, and networks do not share them.
    """

    set: RealStreamSet
    ipc: int
    _pools: list[Tensor] = field(init=False, repr=False)
    _orders: dict[tuple[int, int], tuple[int, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        labels, classes = self.set.labels, range(self.set.spec.num_classes)
        pools = [torch.nonzero(labels == c).flatten() for c in classes]
        object.__setattr__(self, "_pools", pools)

    @property
    def images_per_epoch(self) -> int:
        """Return IPC times the number of classes."""
        return self.ipc * len(self._pools)

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of all real images."""
        return self.set.storage_bytes

    def epoch(self, generator: torch.Generator, number: int = 0) -> tuple[Tensor, Tensor]:
        """Return the images of an epoch; the generator stays where it is."""
        seed, device = generator.initial_seed(), self.set.images.device
        chosen = torch.cat([self._chosen(c, seed, number) for c in range(len(self._pools))])
        labels = torch.arange(len(self._pools), device=device).repeat_interleave(self.ipc)
        return normalise(self.set.images[chosen], self.set.spec), labels

    def distinct_images(self, epochs: int) -> int:
        """Return the number of real images shown: all of a class at most."""
        return sum(min(len(pool), epochs * self.ipc) for pool in self._pools)

    def _chosen(self, label: int, seed: int, number: int) -> Tensor:
        """Return the indices of an epoch's images of one class: int64 ``(ipc,)``."""
        size, parts = len(self._pools[label]), []
        place, end = number * self.ipc, (number + 1) * self.ipc
        while place < end:
            turn, first = divmod(place, size)
            part = self._order(label, seed, turn)[first : first + end - place]
            parts.append(part)
            place += len(part)
        return torch.cat(parts)

    def _order(self, label: int, seed: int, turn: int) -> Tensor:
        """Return a class's images in the order of one turn; the last order is kept.

        Networks in other threads have other seeds, so that none changes another's entry.
        """
        last, order = self._orders.get((seed, label), (-1, self._pools[label]))
        if last != turn:
            pool = self._pools[label]
            draws = make_generator(derive_seed(seed, "real-stream", label, turn), pool.device)
            order = pool[torch.randperm(len(pool), generator=draws, device=pool.device)]
            self._orders[seed, label] = turn, order
        return order
