"""The loss of trajectory matching as the paper writes it, with the graph of every step kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from bench.plugin import DSA
from methods.mtt.trajectory_loss import InnerStep, Matched


def unrolled(
    net: nn.Module,
    dsa: DSA,
    images: Tensor,
    labels: Tensor,
    step_size: Tensor,
    steps: Sequence[InnerStep],
    start: Tensor,
    target: Tensor,
    *,
    exact: bool = True,
) -> Matched:
    """Return the loss and its gradients; TESLA's takes the weights of each step as constants."""
    names, sizes = zip(*((name, p.shape) for name, p in net.named_parameters()), strict=True)
    images, step_size = (t.detach().clone().requires_grad_() for t in (images, step_size))
    weights = start.clone().requires_grad_()
    for step in steps:
        at = weights if exact else weights.detach().requires_grad_()
        parts = at.split([size.numel() for size in sizes])
        named = {n: p.view(s) for n, p, s in zip(names, parts, sizes, strict=True)}
        shown = dsa.apply(images[step.batch], step.draw)
        loss = F.cross_entropy(functional_call(net, named, (shown,)), labels[step.batch])
        (gradient,) = torch.autograd.grad(loss, at, create_graph=True)
        weights = weights - step_size * gradient
    final = (weights - target).pow(2).sum() / (start - target).pow(2).sum()
    return Matched(final.detach(), *torch.autograd.grad(final, (images, step_size)))
