"""The gradient of a batch's mean cross-entropy, computed slice by slice on all cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import Context
from bench.plugin.compute import passes


def batch_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, *, size: int | None, ctx: Context
) -> tuple[Tensor, list[Tensor]]:
    """Return the logits of a batch and the gradient of its mean cross-entropy.

    Args:
        network: in the mode it should be in; its parameters require gradients.
        images: float32 ``(N, C, H, W)``, normalised.
        labels: int64 ``(N,)``.
        size: of :func:`bench.distillation.passes.slice_size`.
        ctx: whose device and precision to use.

    Returns:
        Detached float32 ``(N, num_classes)``, and one tensor per parameter, in the network's order.
    """
    weights = list(network.parameters())

    def learn(part: slice) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad(), passes.autocast(ctx):
            logits = network(images[part]).float()
        loss = F.cross_entropy(logits, labels[part], reduction="sum") / len(images)
        return logits.detach(), torch.autograd.grad(loss, weights)

    logits, gradients = zip(
        *passes.parallel(learn, passes.even_slices(len(images), size), ctx), strict=True
    )
    return torch.cat(logits), [torch.stack(parts).sum(0) for parts in zip(*gradients, strict=True)]
