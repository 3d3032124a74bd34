from __future__ import annotations

import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task

from bench.distilled.image_set import ImageSet
from bench.support.seeds import make_generator
from methods.whole import Whole


def test_everything_is_there_class_by_class_with_its_own_epochs() -> None:
    real = tiny_real_set()
    method = begin(Whole, tiny_context(real), None, None, epochs=7)
    method.step(0)
    made = method.result()
    assert isinstance(made, ImageSet)
    assert made.epochs == 7
    assert made.images.dtype == torch.uint8
    assert torch.equal(made.labels, torch.arange(3).repeat_interleave(12))
    for label in range(3):
        own = real.images[real.labels == label]
        assert torch.equal(made.images[made.labels == label], own)
    assert made.source("stored", None, make_generator(0)).images_per_epoch == len(real)


def test_ipc_does_not_apply() -> None:
    assert Whole.ipc_agnostic
    assert Whole.own_size
    assert Whole.skip(tiny_task(Whole, tiny_real_set(), None, None)) is None
