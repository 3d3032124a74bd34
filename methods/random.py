"""Random: real images drawn uniformly from each class; the baseline that every method must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.plugin import SelectionMethod


class Random(SelectionMethod):
    """IPC distinct real images of each class, uniformly at random.

    Each class is one random permutation cut after IPC images, so a draw with the same seed and a
    smaller IPC would be its prefix.
    """

    name = "random"
    label = "Random"
    colour = "#75797C"
    marker = "o"
    table_order = 10
    family = "coreset"
    published_differences = "none"
    uses_arch = False

    def select(self) -> Tensor:
        """Draw class by class: int64 ``(num_classes * ipc,)``."""
        real, generator = self.ctx.real, self.ctx.generator("selection")
        classes = range(self.spec.num_classes)
        return torch.cat([real.sample_class(c, self.ipc, generator) for c in classes])
