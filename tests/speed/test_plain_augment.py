"""The plain augmentation does what this package's does, on the same parameters."""

from __future__ import annotations

import pytest
import torch
from plain.augment import OPERATIONS, PlainDSA, apply
from replay import plain_draw

from bench.augment.dsa import DSA
from bench.support.seeds import make_generator

IMAGES = torch.randn(6, 3, 32, 32, generator=make_generator(1))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_agree(name: str, shared: bool) -> None:
    dsa, generator = DSA(name), make_generator(3)
    for _ in range(5):
        draw = dsa.draw(6, (3, 32, 32), generator, shared=shared)
        ours, plain = dsa.apply(IMAGES, draw), apply(IMAGES, plain_draw(draw))
        torch.testing.assert_close(plain, ours, rtol=1e-4, atol=1e-4)
        assert not torch.equal(plain, IMAGES) or name in ("flip", "crop")


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_are_drawn_from_the_same_ranges(name: str) -> None:
    drawn = PlainDSA((name,), make_generator(0)).draw(4000)
    theirs = plain_draw(DSA(name).draw(4000, (3, 32, 32), make_generator(1)))
    assert [step for step, _ in drawn] == [step for step, _ in theirs]
    for (_, mine), (_, other) in zip(drawn, theirs, strict=True):
        assert mine.keys() == other.keys()
        for key in mine:
            for end in (torch.amin, torch.amax):
                gap = end(mine[key].float(), 0) - end(other[key].float(), 0)
                assert abs(float(gap)) <= 0.05 * float(other[key].float().std())
            assert mine[key].dtype == other[key].dtype


def test_one_operation_a_call_or_every_one() -> None:
    single = PlainDSA(tuple(OPERATIONS), make_generator(0))
    steps = [tuple(step for step, _ in single.draw(1)) for _ in range(200)]
    assert set(steps) == set(OPERATIONS.values())
    every = PlainDSA(("color", "crop"), make_generator(0), every=True)
    assert [s for s, _ in every.draw(2)] == ["brightness", "saturation", "contrast", "crop"]
