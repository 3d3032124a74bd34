"""Where learned images start: real ones or noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.plugin import Context, Task, param


def init_param(default: str) -> Any:
    """Declare the parameter ``init`` that the functions of this module read."""
    return param(default, help="first distilled images", choices=("real", "noise"))


def first_images(init: str, ipc: int, ctx: Context) -> Tensor:
    """Draw the first images from the context's generator ``init``.

    Args:
        init: ``real`` for distinct real images of each class, ``noise`` for standard normal ones.
        ipc: images per class.
        ctx: real set and generators.

    Returns:
        float32 ``(num_classes, ipc, C, H, W)``, normalised.
    """
    real, generator, classes = ctx.real, ctx.generator("init"), ctx.real.spec.num_classes
    if init == "noise":
        shape = (classes, ipc, *real.spec.shape)
        return torch.randn(shape, generator=generator, device=real.device)
    picks = [real.sample_class(c, ipc, generator) for c in range(classes)]
    return torch.stack([real.gather(pick) for pick in picks])


def too_few(task: Task) -> str | None:
    """Return a reason to skip if ``task.params.init`` asks for more real images than there are."""
    fewest = min(task.class_counts)
    if task.params.init == "real" and task.ipc is not None and task.ipc > fewest:
        return (
            f"the smallest class holds {fewest} images, fewer than IPC {task.ipc} "
            "(init=noise needs none)"
        )
    return None
