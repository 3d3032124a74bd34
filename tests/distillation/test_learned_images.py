"""Learned pixels: runs of classes, momentum, and a state that resumes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from builders import begin, tiny_context
from torch import Tensor

from bench.plugin import LearnedImages, Scalars, init_param, param

ARCH, BATCH_NORM = "convnet1(width=4)", "convnet1(width=4,norm=batch)"


class Shrinks(LearnedImages["Shrinks.Params"]):
    """Shrinks its images."""

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(3, help="steps", min=1)
        lr_img: float = param(0.1, help="rate", min=0)
        momentum: float = param(0.5, help="momentum", min=0, max=1)
        init: str = init_param("noise")

    name = "shrinks"

    def step(self, i: int) -> Scalars:
        return {"loss": self.descend(lambda _, images: images.square().sum())}


def start(ipc: int = 2, arch: str = ARCH) -> Shrinks:
    method = begin(Shrinks, tiny_context(), ipc, arch)
    assert isinstance(method, Shrinks)
    return method


def runs_of(method: Shrinks, batch: int, *, independent: bool = False) -> list[slice]:
    """Return the runs of classes that a loss is asked for."""
    runs: list[slice] = []

    def loss(run: slice, images: Tensor) -> Tensor:
        runs.append(run)
        return images.sum()

    method.descend(loss, batch=batch, independent=independent)
    return runs


@pytest.mark.parametrize(("batch", "sizes"), [(1, [3]), (32, [2, 1]), (48, [1, 1, 1])])
def test_runs_of_classes_fill_a_slice(batch: int, sizes: list[int]) -> None:
    runs = runs_of(start(), batch)
    assert [len(range(3)[run]) for run in runs] == sizes
    assert [c for run in runs for c in range(3)[run]] == [0, 1, 2]


def test_batch_norm_is_not_divided_unless_it_is_fixed() -> None:
    method = start(arch=BATCH_NORM)
    assert runs_of(method, 50) == [slice(0, 3)]
    assert [len(range(3)[run]) for run in runs_of(method, 50, independent=True)] == [1, 1, 1]


def test_terms_by_class_or_their_sum_are_one_loss() -> None:
    whole, by_class = start(), start()
    losses = [
        whole.descend(lambda _, images: images.square().sum()),
        by_class.descend(lambda _, images: images.square().flatten(1).sum(1)),
    ]
    torch.testing.assert_close(losses[0], losses[1])
    assert torch.equal(whole.images, by_class.images)


def test_momentum_and_another_rate() -> None:
    method = start()
    first = method.images.clone()
    method.move(torch.ones_like(first))
    torch.testing.assert_close(first - method.images, torch.full_like(first, 0.1))
    second = method.images.clone()
    method.move(torch.ones_like(first), lr=1.0)
    torch.testing.assert_close(second - method.images, torch.full_like(first, 1.5))


def test_it_resumes_bit_identically() -> None:
    straight, before, after = start(), start(), start()
    before.step(0)
    after.load_state_dict({k: v.clone() for k, v in before.state_dict().items()})
    for i in range(3):
        straight.step(i)
    for i in (1, 2):
        after.step(i)
    assert torch.equal(straight.images, after.images)
    assert straight.state_dict().keys() == {"images", "velocity"}


def test_labels_are_those_of_the_flattened_images() -> None:
    assert start(ipc=3).labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
