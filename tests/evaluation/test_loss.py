"""The training loss: hard and soft labels, temperatures, one network and several as one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_engine import ARCH, CPU, SPEC, real_set

import bench
from bench.distilled.image_set import FixedSource, ImageSet
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.loss import summed_loss
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.stacked import StackedNets
from bench.evaluation.training import OneNetwork, Training
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

PROTOCOL = dataclasses.replace(get_protocol("default"), epochs=2, batch_size=20)
LOGITS = torch.randn(7, 3, generator=make_generator(1))
LABELS = torch.tensor([0, 1, 2, 2, 1, 0, 0])
PROBABILITIES = torch.randn(7, 3, generator=make_generator(2)).softmax(1)


def test_one_hot_probabilities_are_hard_labels() -> None:
    one_hot = F.one_hot(LABELS, 3).float()
    hard, soft = (summed_loss(LOGITS, labels, None) for labels in (LABELS, one_hot))
    torch.testing.assert_close(hard, soft)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_divergence_at_a_temperature(temperature: float) -> None:
    """Against the definition, image by image, in float64."""
    student = (LOGITS.double() / temperature).softmax(1)
    p = PROBABILITIES.double()
    expected = temperature**2 * (p * (p / student).log()).sum()
    found = summed_loss(LOGITS, PROBABILITIES, temperature)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_network_that_agrees_has_no_loss() -> None:
    loss = summed_loss(LOGITS, (LOGITS / 3).softmax(1), 3.0)
    assert abs(float(loss)) < 1e-5


@pytest.mark.parametrize("temperature", [None, 3.0])
def test_networks_trained_as_one_have_the_same_loss(temperature: float | None) -> None:
    recipe = Recipe.of(SPEC, ARCH, PROTOCOL, temperature=temperature)
    real = real_set(40, 1)
    soft = torch.randn(40, SPEC.num_classes, generator=make_generator(3)).softmax(1)
    source = FixedSource(real.gather(torch.arange(40)), soft, 0)
    seeds = (5, 6)
    nets = [recipe.initial_network(seed, CPU) for seed in seeds]
    stacked = Training(StackedNets(nets, temperature), source, recipe, seeds).run(lambda _: None)
    alone = []
    for seed in seeds:
        net = recipe.initial_network(seed, CPU)
        gradient = WholeGradient(net, "fp32", temperature)
        alone.append(
            Training(OneNetwork(net, gradient), source, recipe, [seed]).run(lambda _: None)
        )
    torch.testing.assert_close(stacked, torch.cat(alone), rtol=1e-3, atol=1e-4)


def test_evaluate_says_hard_or_soft(data_dir: Path) -> None:
    real = bench.load_dataset("digits", data_dir=data_dir)
    made = bench.distil("random", real.train, ipc=1).distilled
    assert isinstance(made, ImageSet)
    one_hot = F.one_hot(made.labels, 10).float()
    hard, soft = (
        bench.evaluate(made.images, real.test, labels=labels, arch="mlp", protocol="smoke", seeds=1)
        for labels in (made.labels, one_hot)
    )
    assert (hard.result.labels, soft.result.labels) == ("hard", "soft")
    assert soft.budget.stored_bytes == hard.budget.stored_bytes + one_hot.nbytes
    assert soft.accuracies == pytest.approx(hard.accuracies, abs=0.5)


def test_labels_that_are_no_classes_are_refused(data_dir: Path) -> None:
    real = bench.load_dataset("digits", data_dir=data_dir)
    made = bench.distil("random", real.train, ipc=1).distilled
    assert isinstance(made, ImageSet)
    with pytest.raises(BenchError, match="cannot be evaluated"):
        bench.evaluate(made.images, real.test, labels=made.labels + 0.5, arch="mlp")
