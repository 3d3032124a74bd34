"""The loss on which evaluation networks are trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def summed_loss(logits: Tensor, labels: Tensor, temperature: float | None) -> Tensor:
    r"""Return the loss of a batch, summed over its images.

    Cross-entropy, with hard labels or class probabilities :math:`p`. Where a set says at which
    temperature :math:`T` its soft labels are matched, :math:`T^2 \, \mathrm{KL}(p \,\|\,
    \mathrm{softmax}(z / T))` (G. Hinton et al., "Distilling the Knowledge in a Neural Network",
    2015): the factor keeps gradients equally large at every temperature.

    Args:
        logits: ``(N, num_classes)``; computed in float32.
        labels: int64 ``(N,)``, or float32 probabilities ``(N, num_classes)``.
        temperature: above 0, or ``None``.
    """
    if temperature is None:
        return F.cross_entropy(logits.float(), labels, reduction="sum")
    student = (logits.float() / temperature).log_softmax(1)
    # Written out, because vmap cannot batch F.kl_div.
    divergence = torch.xlogy(labels, labels) - labels * student
    return divergence.sum() * temperature**2
