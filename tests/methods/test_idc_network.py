"""IDC's networks: CutMix by its definition, and SGD as torch has it."""

from __future__ import annotations

import pytest
import torch
from builders import tiny_context
from torch import Tensor
from torch.nn import functional as F

from bench.distillation.context import Context
from bench.support.seeds import make_generator
from methods.idc.network import TrainedNetwork, cutmix

LABELS = torch.arange(6) % 3


def batch() -> Tensor:
    """Six images that are each of one colour, their own number."""
    return torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 8, 8).clone()


def network(ctx: Context, arch: str, **changes: object) -> TrainedNetwork:
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "slice_size": None, **changes}
    return TrainedNetwork(ctx.network(arch), **settings)  # type: ignore[arg-type]


def test_labels_are_mixed_as_the_areas_are() -> None:
    ctx = tiny_context()
    pasted = []
    for _ in range(60):
        mixed, targets = cutmix(batch(), LABELS, 3, 1.0, ctx)
        inside = mixed != batch()
        for i in range(6):
            colours = mixed[i].unique(return_counts=True)
            share = torch.zeros(3)
            for colour, count in zip(*colours, strict=True):
                share[LABELS[int(colour)]] += count / 64
            torch.testing.assert_close(targets[i], share)
        changed = inside.any(0)[0]
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        pasted.append(int(changed.sum()))
        assert pasted[-1] == len(rows) * len(columns), "the pasted region is a rectangle"
    assert len(set(pasted)) > 10
    assert torch.equal(batch(), torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 8, 8))


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_so_many_batches_are_mixed(probability: float) -> None:
    ctx, hot = tiny_context(), F.one_hot(LABELS, 3).float()
    shown = [cutmix(batch(), LABELS, 3, probability, ctx) for _ in range(200)]
    plain = sum(torch.equal(images, batch()) for images, _ in shown)
    if probability == 0:
        assert all(torch.equal(targets, hot) for _, targets in shown)
    # An eighth or so of the rectangles are too small to hold a pixel.
    assert plain / 200 == pytest.approx(1 - probability, abs=0.13)


def test_the_rectangles_are_the_released_codes_in_distribution() -> None:
    """Side ``int(8 * sqrt(1 - lam))``, halved and doubled, about a uniform pixel, clipped."""
    ctx, generator = tiny_context(), make_generator(3)
    mine, theirs = [], []
    for _ in range(600):
        mixed, _ = cutmix(batch(), LABELS, 3, 1.0, ctx)
        mine.append(float((mixed != batch()).any(0).float().mean()))
        half = int(8 * (1 - float(torch.rand((), generator=generator))) ** 0.5) // 2
        sides = []
        for _ in range(2):
            centre = int(torch.randint(8, (), generator=generator))
            sides.append(min(8, centre + half) - max(0, centre - half))
        theirs.append(sides[0] * sides[1] / 64)
    # A permutation that leaves every image in place hides the rectangle once in 720.
    assert sum(mine) / 600 == pytest.approx(sum(theirs) / 600, abs=0.03)


@pytest.mark.parametrize("slice_size", [None, 2, 4])
def test_steps_are_those_of_torchs_sgd(slice_size: int | None) -> None:
    arch = "convnet1(width=4)"
    mine = network(tiny_context(), arch, slice_size=slice_size)
    other = tiny_context().network(arch).train()
    optimiser = torch.optim.SGD(other.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    ctx = tiny_context()
    for seed in range(3):
        images = torch.randn(6, 1, 8, 8, generator=make_generator(seed))
        targets = F.one_hot(LABELS, 3).float() * 0.7 + 0.1
        mine.descend(images, targets, ctx)
        optimiser.zero_grad()
        F.cross_entropy(other(images), targets).backward()
        optimiser.step()
    for name, weight in other.named_parameters():
        torch.testing.assert_close(mine.weights[name], weight, rtol=1e-4, atol=1e-5)


def test_a_state_continues_with_its_momentum() -> None:
    ctx, targets = tiny_context(), F.one_hot(LABELS, 3).float()
    first = network(ctx, "convnet1(width=4,norm=batch)")
    first.descend(batch(), targets, ctx)
    again = network(ctx, "convnet1(width=4,norm=batch)")
    again.load_state_dict(first.state_dict())
    for one in (first, again):
        one.descend(batch(), targets, ctx)
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
