"""How the hostile plugin files make methods of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.plugin import ImageSet, SelectionMethod, register


def first_images(method: SelectionMethod) -> Tensor:
    return torch.cat([index[: method.ipc] for index in method.ctx.real.class_indices])


def behaviour(act: Callable[[Any], object]) -> Callable[[Any], object]:
    """Register a method that acts so when it is set up."""

    class Hostile(SelectionMethod):
        """Does what its name says, then selects the first images."""

        name = f"hostile-{act.__name__.replace('_', '-')}"
        uses_arch = False

        def select(self) -> Tensor:
            act(self)
            return first_images(self)

    register("method")(Hostile)
    return act


def result_of(make: Callable[[Any, ImageSet], object]) -> Callable[[Any, ImageSet], object]:
    """Register a method that returns what the function makes of the first images."""

    class Hostile(SelectionMethod):
        """Returns what it should not."""

        name = f"hostile-{make.__name__.replace('_', '-')}"
        uses_arch = False

        def select(self) -> Tensor:
            return first_images(self)

        def result(self) -> Any:
            images = super().result()
            assert isinstance(images, ImageSet)
            return make(self, images)

    register("method")(Hostile)
    return make
