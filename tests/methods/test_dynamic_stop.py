from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from builders import tiny_context, tiny_real_set
from torch import Tensor, nn

from methods.cafe.dynamic_stop import AccuracyWindow, query_accuracy


def first(rule: str, hits: Sequence[int], length: int, limit: int) -> int | None:
    """Return how many accuracies (hits in 64, which floats hold) it took to stop, or ``None``."""
    window = AccuracyWindow(length)
    stops = [getattr(window, rule)(count / 64, limit / 64) for count in hits]
    return stops.index(True) + 1 if any(stops) else None


@pytest.mark.parametrize(
    ("hits", "length", "expected"),
    [
        ([32] * 3, 4, None),  # a window that is not full says nothing
        ([32] * 5, 4, 4),
        ([10, 20, 30, 40, 41, 42, 43], 4, 7),  # 40 to 43; 30 to 42 before it
        ([10, 50, 10, 50, 10], 2, None),
        ([32, 36], 2, None),  # at the limit is not below it
        ([36, 33], 2, 2),  # falling counts as rising does
    ],
)
def test_settled(hits: list[int], length: int, expected: int | None) -> None:
    assert first("settled", hits, length, 4) == expected


@pytest.mark.parametrize(
    ("hits", "length", "expected"),
    [
        ([10, 60], 3, None),
        ([10, 60, 60], 3, 3),
        ([30, 31, 32, 33, 35], 4, 5),  # 31 to 35; 30 to 33, at the limit, is not above it
        ([30, 31, 32, 33, 34], 3, None),
        ([32] * 50, 10, None),
        ([32, 26, 32], 3, 3),
    ],
)
def test_moved(hits: list[int], length: int, expected: int | None) -> None:
    assert first("moved", hits, length, 3) == expected


class Says(nn.Module):
    """Gives every image the label that stands in its first pixel, but class 2 always wrongly."""

    def forward(self, images: Tensor) -> Tensor:
        label = ((images[:, 0, 0, 0] * 0.5 + 0.5) * 255).round().long()
        return torch.nn.functional.one_hot(torch.where(label == 2, 0, label), 3).float()


@pytest.mark.parametrize("size", [None, 1, 5])
def test_query_accuracy_is_the_mean_over_classes(size: int | None) -> None:
    real = tiny_real_set()
    real.images[:, 0, 0, 0] = real.labels.to(torch.uint8)
    keep = torch.cat([torch.arange(18), torch.tensor([20, 23])])  # 6, 6 and 8 images a class
    uneven = type(real)(real.spec, real.images[keep], real.labels[keep], real.sha256)
    accuracy = query_accuracy(Says(), 100, size, tiny_context(uneven))
    assert accuracy == pytest.approx(2 / 3)


def test_every_query_is_another() -> None:
    ctx = tiny_context()
    network = ctx.network("convnet2(width=4)")
    accuracies = {query_accuracy(network, 2, None, ctx) for _ in range(12)}
    assert len(accuracies) > 1
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert all(parameter.grad is None for parameter in network.parameters())
