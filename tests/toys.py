"""A plugin file for tests: methods that fail on purpose, and one that counts its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.datasets.zca import ZCA
from bench.plugin import (
    DistilledSet,
    ImageSet,
    Method,
    Profile,
    SelectionMethod,
    Task,
    param,
    register,
)


@register("method")
class ToyFirst(SelectionMethod):
    """The first images of each class."""

    name = "toy-first"
    uses_arch = False

    def select(self) -> Tensor:
        return torch.cat([index[: self.ipc] for index in self.ctx.real.class_indices])

    def images_as_they_are(self) -> ImageSet:
        made = super().result()
        assert isinstance(made, ImageSet)
        return made


@register("method")
class ToyWhitened(ToyFirst):
    """The first images of each class, whitened."""

    name = "toy-whitened"

    def result(self) -> DistilledSet:
        made = self.images_as_they_are()
        zca = ZCA.fit(self.ctx.real.images, 0.1)
        return ImageSet(made.spec, zca.whiten(made.images), made.labels, {}, zca=zca)


@register("method")
class ToyOwnPace(ToyFirst):
    """The first images of each class, to be trained on at a rate and for epochs of their own."""

    name = "toy-own-pace"

    def result(self) -> DistilledSet:
        made = self.images_as_they_are()
        return ImageSet(made.spec, made.images, made.labels, {}, learning_rate=0.125, epochs=3)


@register("method")
class ToyFlips(ToyFirst):
    """The first images of each class, which claim that they may be flipped."""

    name = "toy-flips"

    def result(self) -> DistilledSet:
        made = self.images_as_they_are()
        return ImageSet(replace(made.spec, flip=True), made.images, made.labels, {})


@register("method")
class ToyFails(ToyFirst):
    """Raises for odd IPC."""

    name = "toy-fails"

    def select(self) -> Tensor:
        if self.ipc % 2:
            raise RuntimeError("the toy broke")
        return super().select()


@register("method")
class ToySkips(ToyFirst):
    """Declines IPC 1."""

    name = "toy-skips"

    @classmethod
    def skip(cls, task: Task) -> str | None:
        return "needs at least two images per class" if task.ipc == 1 else None


@register("method")
class ToyDrift(Method):
    """Adds noise to images step by step; diverges where told to."""

    name = "toy-drift"
    uses_arch = False

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(4, help="steps", min=1)
        nan_at: int = param(-1, help="step whose loss is NaN")

    profiles = {"smoke": Profile({"iterations": 2}, "half the steps")}
    state = ("images",)

    def setup(self) -> None:
        real = self.ctx.real
        first = torch.cat([index[: self.ipc] for index in real.class_indices])
        self.images, self.labels = real.gather(first), real.labels[first]

    def step(self, i: int) -> Mapping[str, Tensor]:
        noise = torch.randn(self.images.shape, generator=self.ctx.generator("noise"))
        self.images = self.images + 0.01 * noise
        bad = i == self.params.nan_at
        return {"loss": torch.tensor(float("nan") if bad else 1.0)}

    def result(self) -> ImageSet:
        return ImageSet(self.spec, self.images, self.labels, {})
