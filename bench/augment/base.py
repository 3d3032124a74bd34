"""What every DSA operation is: a Kornia augmentation whose parameters come from a given generator.

Kornia draws parameters from torch's global state. Here they are drawn by :meth:`Operation.draw`
from a generator that the caller owns, with one row per image, or a single row that every image of
a batch of any size shares.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from kornia.augmentation import RigidAffineAugmentationBase2D
from torch import Tensor

Params = dict[str, Tensor]


class Operation(RigidAffineAugmentationBase2D, ABC):
    """A Kornia augmentation that always applies and that replays parameters drawn elsewhere.

    A concrete operation also inherits Kornia's intensity or geometric base and defines
    :meth:`draw` and :meth:`augment`. Images are in normalised units: nothing is clamped and zero
    is the mean colour.

    Args:
        generator: used if the module is called without ``params``.
        same_on_batch: such a call draws one row for the whole batch.
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
            Tensors ``(rows,)`` on the generator's device, as Kornia's ``forward(x, params=...)``
            takes them; with one row they fit a batch of any size.
        """

    @abstractmethod
    def augment(self, images: Tensor, params: Params) -> Tensor:
        """Return ``(N, C, H, W)`` images transformed, in their dtype, differentiably."""

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
        """Draw for Kornia's ``forward``.

        Raises:
            ValueError: if the module was built without a generator.
        """
        if self.generator is None:
            name = type(self).__name__
            raise ValueError(f"{name} draws from no global state: give it a generator or params")
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
    """Shape ``(rows,)`` to broadcast over ``(N, C, H, W)``, in the images' dtype."""
    return values.to(images.dtype).view(-1, 1, 1, 1)
