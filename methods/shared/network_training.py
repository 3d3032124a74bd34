"""The networks in which distilled images are matched: their training and their normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.plugin import Context
from bench.plugin.compute import passes
from methods.shared.batch_gradient import batch_gradient

# Real images per class that batch normalisation sees, in the released code of DC.
_NORM_BATCH = 16


def fix_batch_norm(network: nn.Module, ctx: Context) -> None:
    """Let layers of batch normalisation see real images of all classes, then keep what they hold.

    A distilled batch may be too small to measure statistics with. The layers hold running
    averages, which one batch moves by a tenth. Draws from the context's generator ``norms``, only
    if there are such layers. Source: main.py of VICO-UoE/DatasetCondensation.

    Args:
        network: left in ``train()``, but for these layers, in ``eval()``.
        ctx: real set and generators.
    """
    network.train()
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if layers:
        generator, classes = ctx.generator("norms"), range(ctx.real.spec.num_classes)
        picks = [ctx.real.sample_class(c, _NORM_BATCH, generator) for c in classes]
        with torch.no_grad(), passes.autocast(ctx):
            network(ctx.real.gather(torch.cat(picks)))
    for layer in layers:
        layer.eval()


def descend(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    lr: float,
    slice_size: int | None,
    ctx: Context,
) -> None:
    """Take one step of plain gradient descent on the mean cross-entropy of a batch, in place.

    Args:
        network: in ``train()``.
        images: float32 ``(N, C, H, W)``, normalised.
        labels: int64 ``(N,)``.
        lr: learning rate.
        slice_size: of :func:`bench.distillation.passes.slice_size`.
        ctx: whose device and precision to use.
    """
    _, gradient = batch_gradient(network, images, labels, size=slice_size, ctx=ctx)
    with torch.no_grad():
        for weight, found in zip(network.parameters(), gradient, strict=True):
            weight.sub_(found, alpha=lr)
