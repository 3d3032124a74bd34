"""Batches augmented at once are the batches augmented one by one."""

from __future__ import annotations

import pytest
import torch

from bench.augment.dsa import DSA
from bench.augment.together import augment_together
from bench.support.seeds import make_generator

SIZES = (5, 3, 5, 1, 4, 2, 5, 3)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 9, 12)])
@pytest.mark.parametrize("mode", ["single", "all"])
def test_each_image_is_as_it_would_be_alone(mode, shape):
    dsa = DSA(mode=mode)
    batches = [torch.randn(n, *shape, generator=make_generator(n)) for n in SIZES]
    ours, theirs = ([make_generator(seed) for seed in range(len(SIZES))] for _ in range(2))
    for _ in range(4):
        found = augment_together(dsa, batches, ours)
        expected = [dsa(batch, g) for batch, g in zip(batches, theirs, strict=True)]
        torch.testing.assert_close(found, expected)
        batches = found
    states = zip(ours, theirs, strict=True)
    assert all(torch.equal(a.get_state(), b.get_state()) for a, b in states)


@pytest.mark.parametrize(("mode", "most"), [("single", 6), ("all", 1)])
def test_batches_that_drew_alike_share_a_call(mode, most, monkeypatch):
    calls = []
    apply = DSA.apply

    def counted(self, images, draw):
        calls.append(draw.operations)
        return apply(self, images, draw)

    monkeypatch.setattr(DSA, "apply", counted)
    batches = [torch.randn(2, 3, 8, 8)] * 20
    augment_together(DSA(mode=mode), batches, [make_generator(seed) for seed in range(20)])
    assert len(calls) == len(set(calls)) <= most


def test_no_augmentation_leaves_the_images():
    batches = [torch.randn(n, 1, 8, 8) for n in (2, 3)]
    found = augment_together(DSA("none"), batches, [make_generator(1), make_generator(2)])
    assert all(torch.equal(a, b) for a, b in zip(found, batches, strict=True))
