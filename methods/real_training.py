"""Training a network on real images, for what coresets learn of them on the way.

The papers of the field say no more of such networks than that they are trained on the whole real
set. The recipe here is the evaluation's of Dataset Condensation (SGD 0.01, momentum 0.9, weight
decay 5e-4, batch 256) without augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.plugin import Context
from methods.batch_gradient import batch_gradient
from methods.compute import slice_size

_BATCH = 256

# Told the indices of a batch and the logits of its images, before the step that follows from them.
Observer = Callable[[Tensor, Tensor], None]


def epoch_batches(n: int, epochs: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of at most 256 indices below ``n``, for ``epochs`` (rounded up)."""
    steps = math.ceil(epochs * math.ceil(n / _BATCH))
    while steps > 0:
        order = torch.randperm(n, generator=generator, device=generator.device)
        batches = torch.split(order, _BATCH)[:steps]
        yield from batches
        steps -= len(batches)


def train_on_real(
    arch: str,
    epochs: float,
    ctx: Context,
    *,
    pool: Tensor | None = None,
    observe: Observer | None = None,
) -> nn.Module:
    """Train a fresh network on real images and return it.

    Args:
        arch: the network's architecture.
        epochs: passes over the images, in a new order each; fractions allowed.
        ctx: real set and precision, and the generators ``network`` and ``batches``.
        pool: int64 indices of the images to train on; ``None`` for all.
        observe: watches every batch: int64 ``(n,)`` indices into the real set, and detached
            float32 ``(n, num_classes)`` logits.
    """
    network = ctx.network(arch).train()
    weights = list(network.parameters())
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=5e-4)
    size = slice_size(arch, ctx)
    count = len(ctx.real) if pool is None else len(pool)
    for batch in epoch_batches(count, epochs, ctx.generator("batches")):
        chosen = batch if pool is None else pool[batch]
        images, labels = ctx.real.gather(chosen), ctx.real.labels[chosen]
        logits, gradient = batch_gradient(network, images, labels, size=size, ctx=ctx)
        for weight, found in zip(weights, gradient, strict=True):
            weight.grad = found
        if observe is not None:
            observe(chosen, logits)
        optimizer.step()
    return network
