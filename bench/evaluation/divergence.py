"""What tells that a network diverged: a loss or a weight that is not finite."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Loss(NamedTuple):
    """The training loss of one network.

    Attributes:
        last: of the last step.
        always_finite: whether it was finite in every step.
    """

    last: float
    always_finite: bool


def has_finite_weights(net: nn.Module) -> bool:
    """Return whether every weight that was trained is finite; waits for the device once."""
    weights = [weight.detach() for weight in net.parameters() if weight.requires_grad]
    return all(torch.stack([weight.isfinite().all() for weight in weights]).tolist())
