"""The base of DSA operations: Kornia augmentations with parameters from a given generator.

Kornia draws parameters from torch's global state, which would make results depend on everything
else that draws. :meth:`Operation.draw` draws them from the caller's generator instead, with one row
per image, or a single row that all images of a batch share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from kornia.augmentation import RigidAffineAugmentationBase2D
from torch import Tensor

Params = dict[str, Tensor]


class Operation(RigidAffineAugmentationBase2D, ABC):
    """A Kornia augmentation that is always applied, at parameters that the caller drew.

    A concrete operation also inherits Kornia's intensity or geometric base, and defines
    :meth:`draw` and :meth:`augment`. Images are in normalised units: values are not clamped, and
    zero is the mean colour.

    Args:
        generator: draws the parameters of calls without ``params``.
        same_on_batch: whether such a call draws one row for the whole batch.
    """

    def __init__(
        self, generator: torch.Generator | None = None, same_on_batch: bool = False
    ) -> None:
        super().__init__(p=1.0, same_on_batch=same_on_batch, keepdim=True)
        self.generator = generator

    @abstractmethod
    def draw(self, rows: int, shape: tuple[int, int, int], generator: torch.Generator) -> Params:
        """Draw parameters for images of ``shape`` ``(C, H, W)``.

        Returns:
            Tensors ``(rows,)`` on the generator's device, in the form of Kornia's
            ``forward(x, params=...)``; a single row fits a batch of any size.
        """

    @abstractmethod
    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return the transformed images ``(N, C, H, W)``, in their dtype, differentiable."""

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
        """Draw the parameters of a call of Kornia's ``forward``.

        Raises:
            ValueError: the module was built without a generator.
        """
        if self.generator is None:
            name = type(self).__name__
            raise ValueError(f"{name} does not draw from global state: give a generator or params")
        n, channels, height, width = batch_shape
        rows = 1 if self.same_on_batch else n
        return self.draw(rows, (channels, height, width), self.generator)

    def apply_transform(
        self,
        input: Tensor,
        params: Params,
        flags: dict[str, Any],  # noqa: ARG002
        transform: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Transform a batch at the given parameters (Kornia's name for :meth:`augment`)."""
        return self.augment(input, params)


def uniform(rows: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw float32 ``(rows,)`` uniformly from ``[low, high)`` on the generator's device."""
    return torch.rand(rows, generator=generator, device=generator.device) * (high - low) + low


def integers(rows: int, low: int, high: int, generator: torch.Generator) -> Tensor:
    """Draw int64 ``(rows,)`` uniformly from ``low .. high``, both included."""
    device = generator.device
    return torch.randint(low, high + 1, (rows,), generator=generator, device=device)


def per_image(values: Tensor, images: Tensor) -> Tensor:
    """Return ``(rows,)`` values in a shape that broadcasts over ``(N, C, H, W)`` images."""
    return values.to(images.dtype).view(-1, 1, 1, 1)
