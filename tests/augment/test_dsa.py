"""DSA as a whole: strategies, modes, the siamese property, and whose random numbers it uses."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.augment.dsa import DSA, FULL_STRATEGY, OPERATIONS
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError

SHAPE = (3, 8, 8)
NAMES = tuple(OPERATIONS)
PHOTOS = DatasetSpec("photos", 2, *SHAPE, (0.5,) * 3, (0.5,) * 3, flip=True)
DIGITS = replace(PHOTOS, name="digits", flip=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6) -> Tensor:
    return torch.randn(n, *SHAPE, generator=seeded(1))


@pytest.mark.parametrize("strategy", ["", "none", "None"])
@pytest.mark.parametrize("mode", ["single", "all"])
def test_empty_strategy_is_the_identity_and_draws_nothing(strategy, mode):
    generator = seeded()
    before = generator.get_state()
    images = pictures()
    assert torch.equal(DSA(strategy, mode)(images, generator), images)
    assert torch.equal(generator.get_state(), before)


def test_unknown_operation_is_named_with_a_near_miss():
    with pytest.raises(BenchError, match=r"unknown augmentation 'rotat'\. Did you mean 'rotate'"):
        DSA("color_rotat")
    with pytest.raises(BenchError, match="unknown augmentation ''"):
        DSA("color__crop")


def test_unknown_mode_is_named_with_what_is_allowed():
    with pytest.raises(BenchError, match=r"mode 'singel'\. Did you mean 'single'"):
        DSA("color", "singel")


def test_flip_is_dropped_where_a_mirrored_image_loses_its_label():
    assert DSA.for_dataset(DIGITS).operations == ("color", "crop", "cutout", "scale", "rotate")
    assert DSA.for_dataset(PHOTOS).strategy == FULL_STRATEGY
    assert DSA.for_dataset(DIGITS, "flip", "all").operations == ()
    assert DSA.for_dataset(PHOTOS, "crop_color", "all").operations == ("crop", "color")
    with pytest.raises(BenchError, match="unknown augmentation 'flop'"):
        DSA.for_dataset(DIGITS, "flop")


def test_single_mode_applies_exactly_one_operation_chosen_uniformly():
    dsa, generator = DSA(), seeded(3)
    draws = [dsa.draw(1, SHAPE, generator) for _ in range(1200)]
    assert all(len(draw.operations) == 1 for draw in draws)
    counts = Counter(draw.operations[0] for draw in draws)
    assert set(counts) == set(NAMES)
    assert all(150 < count < 250 for count in counts.values())
    pairs = Counter((a.operations, b.operations) for a, b in pairwise(draws))
    assert len(pairs) == len(NAMES) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_single_mode_applies_the_steps_of_the_chosen_operation(name):
    dsa, generator = DSA(), seeded()
    draw = dsa.draw(6, SHAPE, generator)
    while draw.operations != (name,):
        draw = dsa.draw(6, SHAPE, generator)
    assert tuple(type(module) for module, _ in draw.steps) == OPERATIONS[name]
    images = expected = pictures()
    for kind, (_, params) in zip(OPERATIONS[name], draw.steps, strict=True):
        expected = kind()(expected, params=dict(params))
    assert torch.equal(dsa.apply(images, draw), expected)


@pytest.mark.parametrize("strategy", [FULL_STRATEGY, "rotate_crop_color"])
def test_all_mode_is_the_composition_in_the_strategys_order(strategy):
    dsa = DSA(strategy, "all")
    draw = dsa.draw(6, SHAPE, seeded(2))
    assert draw.operations == tuple(strategy.split("_"))
    kinds = [kind for name in draw.operations for kind in OPERATIONS[name]]
    images = expected = pictures()
    for kind, (_, params) in zip(kinds, draw.steps, strict=True):
        expected = kind()(expected, params=dict(params))
    assert torch.equal(dsa.apply(images, draw), expected)


@pytest.mark.parametrize("name", NAMES)
def test_shared_draw_treats_batches_of_any_size_alike(name):
    dsa = DSA(name)
    real = pictures(7)
    draw = dsa.draw(7, SHAPE, seeded(1), shared=True)
    few = dsa.apply(real[2:5], draw)
    torch.testing.assert_close(dsa.apply(real, draw)[2:5], few)
    same = dsa.apply(real[:1].repeat(4, 1, 1, 1), draw)
    torch.testing.assert_close(same, same[:1].expand_as(same))


@pytest.mark.parametrize("name", NAMES)
def test_unshared_draw_gives_each_image_its_own_parameters_and_replays(name):
    dsa = DSA(name)
    draw = dsa.draw(32, SHAPE, seeded(1))
    real, distilled = pictures(32), pictures(1).repeat(32, 1, 1, 1)
    out = dsa.apply(distilled, draw)
    assert not torch.equal(out, out[:1].expand_as(out))
    assert torch.equal(dsa.apply(distilled, draw), out)
    at = 17
    mixed = torch.cat([real[:at], distilled[at:]])
    torch.testing.assert_close(dsa.apply(mixed, draw)[at:], out[at:])


@pytest.mark.parametrize("strategy", ["none", "crop_color_crop", FULL_STRATEGY])
def test_a_draw_at_the_values_of_another_is_the_other(strategy):
    """Also where an operation comes twice."""
    dsa, generator = DSA(strategy, mode="all"), seeded()
    first, second = (dsa.draw(6, SHAPE, generator) for _ in range(2))
    again = first.at(value.clone() for value in second.values())
    assert torch.equal(dsa.apply(pictures(), again), dsa.apply(pictures(), second))
    assert strategy == "none" or not torch.equal(
        dsa.apply(pictures(), again), dsa.apply(pictures(), first)
    )
    with pytest.raises(ValueError, match="zip"):
        first.at([*second.values(), torch.zeros(6)])


def test_a_batch_that_does_not_fit_the_draw_is_refused():
    dsa = DSA()
    with pytest.raises(
        ValueError, match=r"the draw is for images \(4, 3, 8, 8\), not \(6, 3, 8, 8\)"
    ):
        dsa.apply(pictures(6), dsa.draw(4, SHAPE, seeded()))
    with pytest.raises(ValueError, match=r"\('N', 3, 9, 8\)"):
        dsa.apply(pictures(6), dsa.draw(6, (3, 9, 8), seeded(), shared=True))


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_reach_distilled_images_and_real_ones_need_none(shared):
    dsa = DSA(mode="all")
    draw = dsa.draw(6, SHAPE, seeded(), shared=shared)
    distilled = pictures().requires_grad_()
    real = dsa.apply(pictures() + 1, draw)
    assert not real.requires_grad
    (real.mean(0) - dsa.apply(distilled, draw).mean(0)).square().sum().backward()
    assert distilled.grad is not None
    assert distilled.grad.isfinite().all()
    assert bool((distilled.grad.flatten(1).abs().sum(1) > 0).all())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**62),
    mode=st.sampled_from(["single", "all"]),
    shared=st.booleans(),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True),
)
def test_the_generators_state_decides_and_global_state_stays(seed, mode, shared, names):
    dsa = DSA("_".join(names), mode)
    images = pictures(3)
    generator = seeded(seed)
    generator_state, global_state = generator.get_state(), torch.get_rng_state()
    first = dsa(images, generator, shared=shared)
    assert not torch.equal(generator.get_state(), generator_state)
    generator.set_state(generator_state)
    torch.rand(1)
    assert torch.equal(dsa(images, generator, shared=shared), first)
    torch.set_rng_state(global_state)
    dsa(images, generator, shared=shared)
    assert torch.equal(torch.get_rng_state(), global_state)


def test_calls_in_a_row_differ():
    dsa, generator, images = DSA("crop_scale", "all"), seeded(), pictures()
    assert not torch.equal(dsa(images, generator), dsa(images, generator))


def test_applying_keeps_nothing_in_the_modules():
    dsa = DSA(mode="all")
    draw = dsa.draw(6, SHAPE, seeded())
    images = pictures()
    shown = weakref.ref(images)
    params = [weakref.ref(value) for _, drawn in draw.steps for value in drawn.values()]
    dsa.apply(images, draw)
    del images, draw
    assert shown() is None
    assert params
    assert all(param() is None for param in params)
