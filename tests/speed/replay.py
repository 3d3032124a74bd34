"""This package's own draws, in the form that the plain loops take."""

from __future__ import annotations

import torch
from plain.augment import Drawn
from torch.utils.data import Sampler

from bench.augment.dsa import Draw
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.support.seeds import derive_seed, make_generator


def small_real_set(classes: int = 3, per_class: int = 30) -> RealSet:
    """Return noise with a brightness and a colour for each class, 32x32."""
    spec = DatasetSpec("small", classes, 3, 32, 32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), flip=True)
    draws = make_generator(1)
    labels = torch.arange(classes).repeat(per_class)
    colours = torch.randint(0, 156, (classes, 3, 1, 1), generator=draws)
    noise = torch.randint(0, 100, (len(labels), *spec.shape), generator=draws)
    return RealSet(spec, (colours[labels] + noise).to(torch.uint8), labels, "1" * 64)


def plain_draw(draw: Draw) -> Drawn:
    """Return the parameters of a draw by the plain operations' names."""
    return [(type(module).__name__.lower(), params) for module, params in draw.steps]


class EpochOrders(Sampler[int]):
    """The orders in which the engine shows images to the network of ``seed``."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.draws = count, make_generator(derive_seed(seed, "order"))

    def __iter__(self):
        return iter(torch.randperm(self.count, generator=self.draws).tolist())

    def __len__(self) -> int:
        return self.count
