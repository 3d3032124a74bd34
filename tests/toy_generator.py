"""A generator small enough to reason about: a class's grey level, plus noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_generator import ImageGenerator

SPEC = DatasetSpec("tiny", 3, 1, 4, 5, (0.5,), (0.25,), flip=False)


class ToyGenerator(ImageGenerator):
    """Draws ``level[class] + noise * normal``, clipped to [-1, 1].

    Args:
        spec: the images' shape and classes.
        noise: standard deviation.
        width: entries of a weight that does nothing.
    """

    def __init__(self, spec: DatasetSpec, noise: float = 0.1, width: int = 2) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"noise": noise, "width": width}
        self.shape = spec.shape
        self.level = nn.Parameter(torch.linspace(-0.5, 0.5, spec.num_classes))
        self.idle = nn.Parameter(torch.randn(width))
        self.register_buffer("count", torch.tensor(7))
        self.drawn: list[int] = []

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        assert not self.training
        self.drawn.append(len(labels))
        shape = (len(labels), *self.shape)
        noise = torch.randn(shape, generator=generator, device=labels.device)
        levels = self.level[labels].view(-1, 1, 1, 1)
        return (levels + self.config["noise"] * noise).clamp(-1, 1)


class Tied(ToyGenerator):
    """A generator two of whose weights are one."""

    def __init__(self, spec: DatasetSpec, **config: Any) -> None:
        super().__init__(spec, **config)
        self.again = self.level


def toy_set(spec: DatasetSpec = SPEC, **config: Any) -> GeneratorSet:
    """Return a generator set of a toy."""
    return GeneratorSet(spec, "test-toy", ToyGenerator(spec, **config), {"made": "by hand"})
