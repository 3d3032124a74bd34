"""Random: real images drawn uniformly from each class; the baseline that every method must beat."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from bench.plugin import Context, SelectionMethod, Task


class Random(SelectionMethod):
    """IPC distinct real images of each class, uniformly at random.

    Each class is one random permutation cut after IPC images, so a draw with the same seed and a
    smaller IPC would be its prefix.
    """

    name: ClassVar[str] = "random"
    uses_arch: ClassVar[bool] = False

    def select(self, task: Task, ctx: Context) -> Tensor:
        """Draw class by class: int64 ``(num_classes * ipc,)``."""
        assert task.ipc is not None
        generator = ctx.generator("selection")
        classes = range(task.spec.num_classes)
        return torch.cat([ctx.real.sample_class(c, task.ipc, generator) for c in classes])
