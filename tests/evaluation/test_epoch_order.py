"""The order of an epoch's images: complete, random, and by class where a protocol asks for it."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from test_engine import ARCH, SPEC, real_set

from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import train_and_test
from bench.evaluation.epoch_order import by_class, shuffled
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.training import Training
from bench.support.seeds import make_generator

LABELS = st.lists(st.integers(0, 4), max_size=40).map(lambda v: torch.tensor(v, dtype=torch.int64))


@given(LABELS, st.integers(0, 2**31))
def test_every_image_comes_once(labels: torch.Tensor, seed: int) -> None:
    for arrange in (shuffled, by_class):
        order = arrange(labels, make_generator(seed))
        assert sorted(order.tolist()) == list(range(len(labels)))
        assert torch.equal(order, arrange(labels, make_generator(seed)))


@given(LABELS, st.integers(0, 2**31))
def test_no_class_comes_again_before_every_class_that_has_an_image_left(
    labels: torch.Tensor, seed: int
) -> None:
    """Also where classes have different numbers of images, or none."""
    classes = labels[by_class(labels, make_generator(seed))].tolist()
    turns = [classes[:i].count(each) for i, each in enumerate(classes)]
    assert turns == sorted(turns)


def test_the_order_within_a_class_and_of_the_classes_is_random() -> None:
    labels = torch.arange(5).repeat_interleave(20)
    orders = [by_class(labels, make_generator(seed)) for seed in range(40)]
    assert {int(labels[order[0]]) for order in orders} == set(range(5))
    assert len({int(order[0]) for order in orders}) > 20
    assert any(not torch.equal(labels[o[:5]], labels[o[5:10]]) for o in orders)


def test_soft_labels_count_as_their_most_probable_class() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    soft = 0.7 * F.one_hot(labels).float() + 0.1
    order = by_class(soft, make_generator(3))
    assert torch.equal(order, by_class(labels, make_generator(3)))


def test_a_protocol_without_a_batch_size_trains_on_one_image_of_each_class() -> None:
    protocol = dataclasses.replace(get_protocol("dim-by-class"), epochs=2)
    recipe = Recipe.of(SPEC, ARCH, protocol)
    real = real_set(5 * SPEC.num_classes, 1)
    source = FixedSource(real.gather(torch.arange(len(real.labels))), real.labels, 0)
    networks = Recorder()
    Training(networks, source, recipe, [1]).run(lambda epochs: None)
    assert [sorted(labels.tolist()) for labels in networks.seen] == 2 * 5 * [[0, 1, 2, 3]]
    assert train_and_test(source, recipe, [1], real_set(20, 2)).training_steps == 2 * 5


class Recorder:
    """Networks that keep the labels of every step."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def weights(self) -> list[torch.Tensor]:
        """Return a weight that never gets a gradient."""
        return [torch.zeros(1)]

    def backward(self, images: list[torch.Tensor], labels: list[torch.Tensor]) -> torch.Tensor:
        """Keep the labels."""
        self.seen.append(labels[0])
        return torch.zeros(1)

    def hand_back(self) -> None:
        """Do nothing."""
