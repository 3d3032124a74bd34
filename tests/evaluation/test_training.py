"""A training that is stopped after any step and continued in fresh objects changes nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from fakes import StopAfter
from test_engine import ARCH, CPU, SPEC, real_set

from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import Job, train_and_test
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.snapshots import Snapshots
from bench.evaluation.stacked import StackedNets
from bench.evaluation.training import OneNetwork, Training
from bench.support.stopping import Interrupted, Stop

PROTOCOL = dataclasses.replace(get_protocol("default"), epochs=3, nets=2, batch_size=20)
RECIPE = Recipe.of(SPEC, ARCH, PROTOCOL)
STEPS = 9  # 3 batches of an epoch: 20, 20 and 10
SEEDS = (5, 6)


class DrawnSource(FixedSource):
    """Draws what it shows, as a generator set does."""

    def epoch(
        self, generator: torch.Generator, number: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = super().epoch(generator, number)
        return images + 0.1 * torch.randn(images.shape, generator=generator), labels


class Memory:
    """A keeper that keeps a copy through a file, as the store does."""

    def __init__(self, folder: Any, due: bool = True) -> None:
        self.path, self.always, self.saved = folder / "state", due, 0

    def due(self) -> bool:
        return self.always

    def save(self, state: dict[str, Any]) -> bool:
        from bench.ledger.state_file import save_state

        save_state(state, self.path)
        self.saved += 1
        return True

    def load(self, device: torch.device) -> Any:
        from bench.ledger.state_file import load_state

        return load_state(self.path, device) if self.path.exists() else None


class EnoughError(Exception):
    """Ends a training."""


def source(kind: type[FixedSource] = DrawnSource) -> FixedSource:
    real = real_set(50, 1)
    return kind(real.gather(torch.arange(50)), real.labels, 0)


def single() -> tuple[list[torch.nn.Module], Training]:
    net = RECIPE.initial_network(5, CPU)
    return [net], Training(OneNetwork(net, WholeGradient(net, "fp32")), source(), RECIPE, [5])


def stacked() -> tuple[list[torch.nn.Module], Training]:
    nets = [RECIPE.initial_network(seed, CPU) for seed in SEEDS]
    return nets, Training(StackedNets(nets), source(), RECIPE, SEEDS)


@pytest.mark.parametrize("make", [single, stacked])
def test_stopped_after_any_step_and_continued(make: Any, tmp_path: Any) -> None:
    nets, whole = make()
    expected = whole.run(lambda epochs: None)
    for stop in range(1, STEPS + 2):  # the last call is the one at the very end
        keeper, calls = Memory(tmp_path), [0]
        _, first = make()

        def count(
            epochs: int, stop: int = stop, calls: list[int] = calls, first: Any = first,
            keeper: Memory = keeper,
        ) -> None:  # fmt: skip
            calls[0] += 1
            if calls[0] == stop:
                keeper.save(first.state_dict())
                raise EnoughError

        with pytest.raises(EnoughError):
            first.run(count)
        again, second = make()
        second.load_state_dict(keeper.load(CPU))
        left = [0]
        found = second.run(lambda epochs, left=left: left.__setitem__(0, left[0] + 1))
        assert left[0] == STEPS + 1 - min(stop, STEPS)
        assert torch.equal(found, expected)
        for one, other in zip(nets, again, strict=True):
            pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("looks", [1, 7, 20, 29])
def test_an_evaluation_goes_on_where_it_was_told_to_end(looks: int, tmp_path: Any) -> None:
    test = real_set(40, 2)
    arguments = (source(), RECIPE, (1, 2, 3), test)
    expected = train_and_test(*arguments)
    keeper = Memory(tmp_path, due=False)
    seen: list[int] = []
    with pytest.raises(Interrupted):
        train_and_test(*arguments, keeper=keeper, stop=StopAfter(looks))
    assert keeper.saved == 1
    again = train_and_test(
        *arguments, keeper=keeper, on_epoch=lambda done, total: seen.append(done)
    )
    assert again.accuracies == expected.accuracies
    assert again.final_losses == expected.final_losses


def test_a_network_that_is_done_is_not_trained_again(tmp_path: Any) -> None:
    keeper = Memory(tmp_path)
    numbers = {"accuracy": 12.5, "final_loss": 0.25, "train_seconds": 1.0, "test_seconds": 1.0}
    done = {**numbers, "diverged": True}
    keeper.save({"1": done})
    found = train_and_test(source(), RECIPE, (1, 2), real_set(40, 2), keeper=keeper)
    assert found.accuracies[1] == 12.5
    assert found.final_losses[1] == 0.25
    assert found.diverged == (1,)


def test_checkpoints_go_on_after_a_network_that_was_done(tmp_path: Any) -> None:
    """Once, the next checkpoint waited for a state of a network that had none to give."""
    keeper = Memory(tmp_path)
    done = {"accuracy": 12.5, "final_loss": 0.25, "train_seconds": 1.0, "test_seconds": 1.0}
    keeper.save({"1": {**done, "diverged": False}})
    snapshots = Snapshots(keeper, Stop(), CPU)
    job = Job(source(), RECIPE, (1, 2), real_set(40, 2), snapshots, lambda done, total: None)
    job.train_one(1, None)
    snapshots.begin("0")
    snapshots.poll()
    snapshots.after_step("0", lambda: {"step": 1})
    snapshots.poll()
    assert keeper.saved == 2
    assert set(keeper.load(CPU)) == {"0", "1"}


def test_stopped_before_its_next_state_it_is_saved_as_it_was_loaded(tmp_path: Any) -> None:
    """Once, new momentum was saved with old weights, and the third run ended with other numbers."""
    keeper = Memory(tmp_path, due=False)
    with pytest.raises(Interrupted):
        train_and_test(source(), RECIPE, (5,), real_set(40, 2), keeper=keeper, stop=StopAfter(5))
    before = keeper.load(CPU)["0"]
    snapshots = Snapshots(keeper, Stop(), CPU)
    _, training = single()
    training.load_state_dict(snapshots.begin("0"))
    training.run(lambda epochs: None)
    snapshots.save()
    after = keeper.load(CPU)["0"]
    momenta = [list(state["optimiser"].values()) for state in (before, after)]
    assert momenta[0]
    for old, new in zip(*momenta, strict=True):
        assert torch.equal(old["momentum_buffer"], new["momentum_buffer"])
    assert torch.equal(before["blemishes"], after["blemishes"])
