"""The networks in which distilled images are matched: their training and their normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.plugin import Context, LearnedImages
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


def train_epoch(network: nn.Module, learned: LearnedImages, lr: float, batch: int) -> None:
    """Train a network on all distilled images once, each augmented by itself.

    Randomness comes from the context's generators ``order`` and ``training-augmentation``.

    Args:
        network: in ``train()``.
        learned: the method that holds images, labels and augmentation.
        lr: learning rate.
        batch: images per step.
    """
    ctx, images = learned.ctx, learned.images.flatten(0, 1)
    order, augmenting = ctx.generator("order"), ctx.generator("training-augmentation")
    shuffled = torch.randperm(len(images), generator=order, device=ctx.device)
    for chosen in torch.split(shuffled, batch):
        seen = learned.dsa(images[chosen], augmenting)
        labels = learned.labels[chosen]
        descend(network, seen, labels, lr=lr, slice_size=learned.slice_size, ctx=ctx)


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
        for weight, slope in zip(network.parameters(), gradient, strict=True):
            weight.sub_(slope, alpha=lr)
