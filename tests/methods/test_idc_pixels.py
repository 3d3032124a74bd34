"""IDC's pixels: where they start, and classes that take turns with one optimiser."""

from __future__ import annotations

import pytest
import torch
from builders import tiny_context, tiny_real_set

from bench.distilled.factored_set import decode_parts
from bench.support.seeds import make_generator
from methods.idc.pixels import TurnwiseSGD, first_grids


@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("classes", [1, 3])
def test_turns_are_those_of_one_optimiser_stepped_for_each_class(
    classes: int, momentum: float
) -> None:
    """As the released code does: a step after each class's gradient, zero for the others."""
    start = torch.randn(classes, 2, 4, generator=make_generator(1))
    pixels = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([pixels], lr=0.1, momentum=momentum)
    mine = TurnwiseSGD(start.clone(), 0.1, momentum)
    pull = torch.randn(classes, 2, 4, generator=make_generator(2))
    for _ in range(4):
        here = mine.in_turn()
        for c in range(classes):
            torch.testing.assert_close(here[c], pixels[c].detach())
            optimiser.zero_grad()
            (0.5 * (pixels[c] - pull[c]).square().sum()).backward()
            optimiser.step()
        mine.step(here - pull)
    torch.testing.assert_close(mine.pixels, pixels.detach())
    velocity = optimiser.state[pixels].get("momentum_buffer")
    if momentum:
        torch.testing.assert_close(mine.velocity, velocity)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_each_part_starts_as_another_real_image_shrunk(factor: int) -> None:
    real = tiny_real_set(per_class=40)
    grids = first_grids("real", 2, factor, tiny_context(real))
    assert grids.shape == (3, 2, 1, 8, 8)
    size = 8 // factor
    for label in range(3):
        own = real.images[real.class_indices[label]].float() / 255
        shrunk = own[..., ::factor, ::factor].flatten(1)
        used = []
        for grid in grids[label]:
            for i in range(factor):
                for j in range(factor):
                    part = grid[:, i * size : (i + 1) * size, j * size : (j + 1) * size].flatten()
                    used += torch.nonzero((shrunk == part).all(1)).flatten().tolist()
        assert len(set(used)) == len(used) == 2 * factor**2


def test_a_class_with_too_few_images_repeats_them() -> None:
    grids = first_grids("real", 3, 2, tiny_context(tiny_real_set(per_class=5)))
    parts = grids.view(3, 3, 2, 4, 2, 4).permute(0, 1, 2, 4, 3, 5).reshape(3, 12, 16)
    for own in parts:
        assert len(own.unique(dim=0)) == 5


def test_a_factor_that_does_not_divide_fills_the_grid() -> None:
    grids = first_grids("real", 1, 3, tiny_context())
    assert grids.shape == (3, 1, 1, 8, 8)
    assert decode_parts(grids[0], 3).shape == (9, 1, 8, 8)


def test_noise_is_the_released_codes() -> None:
    noise = first_grids("noise", 40, 2, tiny_context())
    assert 0 <= float(noise.min()) <= float(noise.max()) <= 1
    assert noise.mean().item() == pytest.approx(0.5, abs=0.01)
    assert noise.std().item() == pytest.approx(0.24, abs=0.02)
