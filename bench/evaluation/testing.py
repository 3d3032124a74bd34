"""Accuracy on the real test set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.datasets.real_set import RealSet

# Images per forward pass: small enough for a core's cache, large enough to keep a GPU busy.
_SLICE = {"cpu": 32, "cuda": 2048}

Both = Callable[[Callable[[], None], Callable[[], None]], None]


def in_turn(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Call one after the other."""
    first()
    second()


def accuracy(net: nn.Module, test: RealSet, precision: str, both: Both = in_turn) -> float:
    """Return the percentage of test images that a network classifies right.

    The network is left in ``eval()`` mode. Images are normalised exactly like training images.

    Args:
        net: on the test set's device.
        test: real images, never augmented.
        precision: ``fp32`` or ``bf16`` (autocast).
        both: calls two functions, possibly at once; each counts half of the set.
    """
    net.eval()
    index = torch.arange(len(test), device=test.device)
    correct = [torch.zeros((), dtype=torch.int64, device=test.device)] * 2

    @torch.inference_mode()
    def count(half: int) -> None:
        for part in torch.split(index, _SLICE.get(test.device.type, 256))[half::2]:
            with torch.autocast(test.device.type, torch.bfloat16, enabled=precision == "bf16"):
                predicted = net(test.gather(part)).argmax(1)
            correct[half] = correct[half] + (predicted == test.labels[part]).sum()

    both(lambda: count(0), lambda: count(1))
    return 100.0 * int(correct[0] + correct[1]) / len(test)
