"""The interface of image generators: networks that draw images of given classes."""

from __future__ import annotations

from abc import abstractmethod
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class ImageGenerator(nn.Module):
    """A network that draws images of given classes; registered under ``bench.generators``.

    A generator is built as ``factory(spec, **config)``. To check a file, it is built on PyTorch's
    ``meta`` device first, where tensors have shapes but no values, so the constructor must not
    read the values of its tensors.

    Attributes:
        config: the arguments of the factory, as plain JSON values.
        standalone: a module that needs torch alone and whose ``load(path)`` builds the same network
            from what ``bench export --format pt`` writes (docs/formats.md); ``None`` for none.
    """

    config: dict[str, Any]
    standalone: ClassVar[ModuleType | None] = None

    @abstractmethod
    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one image per label.

        Args:
            labels: int64 ``(N,)``.
            generator: the source of random numbers, on the labels' device.

        Returns:
            float32 ``(N, C, H, W)`` in [-1, 1].
        """
