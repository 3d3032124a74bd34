"""The order in which a network sees the images of an epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.distilled.labels import hard_labels


def shuffled(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return every position once, int64 ``(N,)``, in random order.

    Args:
        labels: int64 ``(N,)``, or float32 probabilities ``(N, num_classes)``.
        generator: on the labels' device.
    """
    return torch.randperm(len(labels), generator=generator, device=labels.device)


def by_class(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return every position once, so that one image of each class comes before a second of any.

    Where all classes have as many images, cutting the order into pieces of as many as there are
    classes gives batches of one image of each. Arguments and result are those of
    :func:`shuffled`; the class of a soft label is its most probable one.
    """
    order = shuffled(labels, generator)
    grouped, places = hard_labels(labels)[order].sort(stable=True)
    # How many images of its class come before each; nothing here waits for the device.
    earlier = torch.arange(len(order), device=order.device) - torch.searchsorted(grouped, grouped)
    turn = torch.empty_like(earlier).index_copy_(0, places, earlier)
    return order[turn.sort(stable=True).indices]
