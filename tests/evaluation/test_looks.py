"""Selection on the test set: the best of several looks, which change nothing but the number."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from fakes import StopAfter
from test_engine import SPEC, real_set
from test_training import Memory, source

from bench.evaluation.engine import train_and_test
from bench.evaluation.net_outcome import TrainedNets
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.support.failure_reasons import UnfitStateError
from bench.support.stopping import Interrupted

# Networks with running statistics: a look that left them in eval() mode would show in the losses.
ARCH = "convnet3(width=8,norm=batch)"
EPOCHS, EVERY, SEEDS = 7, 2, (1, 2, 3)
TEST = real_set(90, 2)


def trained(name: str, epochs: int, **options: Any) -> TrainedNets:
    """Train with a rate so large that accuracies go up and down."""
    every = EVERY if name == "dim-oracle" else None
    protocol = dataclasses.replace(get_protocol(name), batch_size=20, test_every=every)
    recipe = Recipe.of(SPEC, ARCH, protocol, epochs=epochs, learning_rate=0.4)
    return train_and_test(source(), recipe, SEEDS, TEST, **options)


@pytest.fixture(scope="module")
def oracle() -> TrainedNets:
    return trained("dim-oracle", EPOCHS)


@pytest.fixture(scope="module")
def shorter() -> list[TrainedNets]:
    """The same trainings, ended where the oracle looks: the rate is constant."""
    return [trained("dim", epochs) for epochs in (2, 4, 6, EPOCHS)]


def test_the_best_look_counts(oracle: TrainedNets, shorter: list[TrainedNets]) -> None:
    looks = torch.tensor([found.accuracies for found in shorter])
    assert list(oracle.accuracies) == pytest.approx(looks.max(0).values.tolist())
    assert bool((looks.max(0).values > looks[-1]).any()), "a look before the last was the best"


def test_looking_does_not_change_the_training(
    oracle: TrainedNets, shorter: list[TrainedNets]
) -> None:
    assert oracle.final_losses == shorter[-1].final_losses
    assert oracle.training_steps == shorter[-1].training_steps
    assert oracle.diverged == shorter[-1].diverged


@pytest.mark.parametrize("polls", [2, 19, 40, 58])
def test_a_best_look_before_an_interruption_counts(
    polls: int, oracle: TrainedNets, tmp_path: Any
) -> None:
    keeper = Memory(tmp_path, due=False)
    with pytest.raises(Interrupted):
        trained("dim-oracle", EPOCHS, keeper=keeper, stop=StopAfter(polls))
    again = trained("dim-oracle", EPOCHS, keeper=keeper)
    assert again.accuracies == oracle.accuracies
    assert again.final_losses == oracle.final_losses


@pytest.mark.parametrize("best", [-1.0, 100.5, "high", None])
def test_a_damaged_best_is_refused(best: Any, tmp_path: Any) -> None:
    keeper = Memory(tmp_path, due=False)
    with pytest.raises(Interrupted):
        trained("dim-oracle", EPOCHS, keeper=keeper, stop=StopAfter(40))
    state = keeper.load(torch.device("cpu"))
    running = next(name for name, net in state.items() if "best" in net)
    state[running]["best"] = best
    keeper.save(state)
    with pytest.raises(UnfitStateError):
        trained("dim-oracle", EPOCHS, keeper=keeper)
