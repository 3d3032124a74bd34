from __future__ import annotations

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task

from bench.distilled.image_set import ImageSet
from methods.random import Random


def select(ipc: int, seed: int = 0) -> torch.Tensor:
    real = tiny_real_set()
    return begin(Random, tiny_context(real, seed), ipc, None).select()


@pytest.mark.parametrize("ipc", [1, 5, 12])
def test_each_class_gives_ipc_distinct_images(ipc: int) -> None:
    chosen = select(ipc)
    labels = tiny_real_set().labels[chosen]
    assert torch.equal(labels, torch.arange(3).repeat_interleave(ipc))
    assert len(chosen.unique()) == 3 * ipc


def test_seeds_decide() -> None:
    assert torch.equal(select(4), select(4))
    assert not torch.equal(select(4), select(4, seed=1))


def test_with_one_seed_a_smaller_first_class_is_a_prefix() -> None:
    assert torch.equal(select(2)[:2], select(7)[:2])


def test_every_image_is_as_likely() -> None:
    counts = torch.zeros(36)
    for seed in range(400):
        counts[select(3, seed)] += 1
    assert counts.sum() == 3600
    assert (counts - 100).abs().max() < 5 * (400 * 0.25 * 0.75) ** 0.5


def test_result_holds_the_pixels_themselves() -> None:
    real = tiny_real_set()
    method = begin(Random, tiny_context(real), 2, None)
    with pytest.raises(RuntimeError, match="before step"):
        method.result()
    method.step(0)
    made = method.result()
    assert isinstance(made, ImageSet)
    assert made.images.dtype == torch.uint8
    assert torch.equal(made.images, real.images[method.state_dict()["indices"]])


def test_skips_classes_that_are_too_small() -> None:
    real = tiny_real_set()
    assert Random.skip(tiny_task(Random, real, 12, None)) is None
    reason = Random.skip(tiny_task(Random, real, 13, None))
    assert reason == "the smallest class holds 12 images, fewer than IPC 13"
