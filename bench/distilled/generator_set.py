"""A generator set: the weights of a network that draws training images, at any IPC.

What IPC means for a generator is disputed, so it is evaluated in two modes. ``stream``: every
epoch draws IPC new images per class. ``frozen``: IPC images per class are drawn once, and training
uses them as an image set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bench.datasets.real_set import denormalise, normalise
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet, TrainingSource
from bench.distilled.generator_file import build_generator
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet

# Images per forward pass: few enough for a CPU's cache, many enough to keep a GPU busy.
_CHUNK = {"cpu": 32, "cuda": 1024}


@dataclass
class GeneratorSet(DistilledSet):
    """A trained image generator.

    Attributes:
        factory: the name under which it is registered.
        network: the generator, in ``eval()`` mode.

    Raises:
        ValueError: a weight is NaN or infinite.
    """

    spec: DatasetSpec
    factory: str
    network: ImageGenerator
    provenance: dict[str, Any]

    kind: ClassVar[str] = "generator"
    modes: ClassVar[tuple[str, ...]] = ("stream", "frozen")

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)
        for name, tensor in self.tensors().items():
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"generator weights '{name}' hold NaN or infinity")

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return next(self.network.parameters()).device

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of all weights and buffers."""
        return sum(t.numel() * t.element_size() for t in self.tensors().values())

    @torch.no_grad()
    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one image per label: float32 ``(N, C, H, W)``, in normalised units."""
        size = _CHUNK.get(labels.device.type, 256)
        parts = [self.network.sample(chunk, generator) for chunk in torch.split(labels, size)]
        return normalise((torch.cat(parts) + 1) / 2, self.spec)

    def balanced_labels(self, ipc: int) -> Tensor:
        """Return each class ``ipc`` times, in order: int64 ``(num_classes * ipc,)``."""
        return torch.arange(self.spec.num_classes, device=self.device).repeat_interleave(ipc)

    def source(self, mode: str, ipc: int | None, generator: torch.Generator) -> TrainingSource:
        """Return a stream of new images (``stream``), or images drawn once (``frozen``)."""
        self.check_mode(mode)
        if ipc is None:
            raise ValueError("a generator set has no images of its own: name an IPC")
        if mode == "stream":
            return StreamSource(self, ipc)
        return self.freeze(ipc, generator).source("stored", ipc, generator)

    def freeze(self, ipc: int, generator: torch.Generator) -> ImageSet:
        """Draw ``ipc`` images per class and return them as a set of uint8 pixels."""
        labels = self.balanced_labels(ipc)
        pixels = denormalise(self.draw(labels, generator), self.spec).mul(255).round()
        return ImageSet(self.spec, pixels.to(torch.uint8), labels, dict(self.provenance))

    def preview(
        self, per_class: int, generator: torch.Generator, classes: int | None = None
    ) -> Tensor:
        """Draw images and return them as pixels in [0, 1]."""
        shown = self.first_classes(classes)
        labels = self.balanced_labels(per_class)[: len(shown) * per_class]
        with torch.no_grad():
            images = (self.network.sample(labels, generator) + 1) / 2
        return images.clamp(0, 1).view(len(shown), per_class, *self.spec.shape)

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's weights and buffers."""
        return dict(self.network.state_dict())

    def config(self) -> dict[str, Any]:
        """Return the factory's name and its arguments."""
        return {"factory": self.factory, "arguments": dict(self.network.config)}

    @classmethod
    def from_parts(
        cls,
        spec: DatasetSpec,
        tensors: Mapping[str, Tensor],
        config: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> Self:
        """Build the network by its registered factory and load the weights."""
        factory = str(config["factory"])
        network = build_generator(factory, spec, config["arguments"], tensors)
        device = next(iter(tensors.values())).device
        return cls(spec, factory, network.to(device), provenance)


@dataclass(frozen=True)
class StreamSource:
    """A source that draws IPC new images per class in every epoch."""

    set: GeneratorSet
    ipc: int

    @property
    def images_per_epoch(self) -> int:
        """Return IPC times the number of classes."""
        return self.ipc * self.set.spec.num_classes

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of the generator's weights."""
        return self.set.storage_bytes

    def epoch(self, generator: torch.Generator, number: int = 0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Draw the images of one epoch."""
        labels = self.set.balanced_labels(self.ipc)
        return self.set.draw(labels, generator), labels

    def distinct_images(self, epochs: int) -> int:
        """Return the number of images drawn, all of which are different."""
        return epochs * self.images_per_epoch
