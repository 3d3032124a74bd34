"""Sampling by gathers is ``grid_sample``, and is used where bits must repeat on a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from bench.augment import sampling
from bench.augment.sampling import gathered, sample
from bench.support.seeds import make_generator


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 1, 5, 9)])
def test_gathers_give_the_values_and_gradients_of_grid_sample(shape: tuple[int, ...]) -> None:
    draws = make_generator(1)
    images = torch.randn(shape, generator=draws, dtype=torch.float64, requires_grad=True)
    # Positions inside, on and beyond the edges.
    grid = 3 * torch.rand(shape[0], 6, 7, 2, generator=draws, dtype=torch.float64) - 1.5
    grid[0, 0, 0] = torch.tensor([-1.0, 1.0])
    slopes = torch.randn(shape[0], shape[1], 6, 7, generator=draws, dtype=torch.float64)
    found = []
    for way in (gathered, sample):
        result = way(images, grid)
        found.append((result, *torch.autograd.grad((result * slopes).sum(), images)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_they_are_used_on_a_gpu_that_must_repeat_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "gathered", lambda *_: "gathered")
    monkeypatch.setattr(F, "grid_sample", lambda *_, **__: "grid_sample")
    there = SimpleNamespace(is_cuda=True)
    assert sample(there, torch.zeros(1)) == "grid_sample"  # type: ignore[arg-type]
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert sample(there, torch.zeros(1)) == "gathered"  # type: ignore[arg-type]
    assert sample(SimpleNamespace(is_cuda=False), torch.zeros(1)) == "grid_sample"  # type: ignore[arg-type]
