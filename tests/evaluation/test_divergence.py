"""Networks that diverge are named, are in no mean, and change no other network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from record_builders import evaluate_json
from run_digits import run_digits
from store_contents import read_records
from test_engine import CPU, SPEC, real_set
from torch import Tensor, nn

import bench
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import FixedSource
from bench.evaluation import engine
from bench.evaluation.engine import train_and_test
from bench.evaluation.evaluation import DivergedError
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.net_outcome import TrainedNets
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.training import OneNetwork, Training
from bench.ledger.frames import load_failures
from bench.ledger.record import Record
from bench.ledger.record_rows import load_rows
from bench.ledger.store import Store
from bench.plugin import Architecture, register
from bench.registry.registry import ARCHITECTURES
from bench.support.outcomes import EvaluationResult

PROTOCOL = dataclasses.replace(get_protocol("default"), epochs=3, batch_size=20)
SEEDS = (1, 2, 3, 4, 5)


class Overflows(nn.Module):
    """A network that is one of those that diverge, if ``bad`` says so of it."""

    def __init__(self, spec: DatasetSpec, bad: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(spec.pixels, 16), nn.ReLU())
        self.head = nn.Linear(16, spec.num_classes)
        if bad:
            with torch.no_grad():
                self.head.weight.mul_(1e30)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


class OverflowsInEval(Overflows):
    """A network that learns well and has outputs that are not finite in the test only."""

    def __init__(self, spec: DatasetSpec, bad: bool) -> None:
        super().__init__(spec, False)
        self.bad = bad

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        # The first class stays the largest: the accuracy alone says nothing.
        return logits if self.training or not self.bad else logits.clone().index_fill_(
            1, torch.tensor([1]), float("nan")
        )  # fmt: skip


class Half(Architecture):
    """Diverges for about half of all seeds."""

    network = Overflows

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        return cls.network(spec, bool(torch.rand(()) < 0.5))

    @classmethod
    def per_sample(cls, params: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def _networks() -> Iterator[None]:
    """Registers networks that diverge: half of them, in eval mode only, and all of them."""

    @register("architecture")
    class HalfDiverge(Half):
        """Half of its networks overflow."""

        name = "half-nan"
        members = {"half-nan": {}}

    @register("architecture")
    class HalfDivergeInEval(Half):
        """Half of its networks overflow when they are tested."""

        name = "half-nan-eval"
        members = {"half-nan-eval": {}}
        network = OverflowsInEval

    @register("architecture")
    class AllDiverge(Half):
        """All of its networks overflow."""

        name = "all-nan"
        members = {"all-nan": {}}

        @classmethod
        def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
            return Overflows(spec, True)

    yield
    for name in ("half-nan", "half-nan-eval", "all-nan"):
        ARCHITECTURES.unregister(name)


def trained(arch: str, seeds: tuple[int, ...] = SEEDS) -> TrainedNets:
    real = real_set(50, 1)
    source = FixedSource(real.gather(torch.arange(50)), real.labels, 0)
    return train_and_test(source, Recipe.of(SPEC, arch, PROTOCOL), seeds, real_set(40, 2))


@pytest.mark.parametrize("arrangement", ["on_cores", "in_turn", "stacked"])
def test_those_that_diverge_are_named_and_touch_no_other(
    arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Job, "on_cores", getattr(engine.Job, arrangement))
    together = trained("half-nan")
    bad = set(together.diverged)
    assert 0 < len(bad) < len(SEEDS)
    for i, seed in enumerate(SEEDS):
        alone = trained("half-nan", (seed,))
        assert (alone.diverged == (0,)) == (i in bad)
        if i not in bad:
            assert together.final_losses[i] == pytest.approx(alone.final_losses[0], rel=1e-5)
            assert together.accuracies[i] == alone.accuracies[0]


def test_outputs_of_the_test_count_too() -> None:
    found = trained("half-nan-eval")
    assert 0 < len(found.diverged) < len(SEEDS)
    assert all(torch.isfinite(torch.tensor(found.final_losses)))


def test_a_loss_that_was_infinite_once_counts() -> None:
    real = real_set(50, 1)
    source = FixedSource(real.gather(torch.arange(50)), real.labels, 0)
    recipe = Recipe.of(SPEC, "mlp", PROTOCOL)
    net, steps = recipe.initial_network(1, CPU), iter(range(100))

    class Once(OneNetwork):
        def backward(self, images: Any, labels: Any) -> Tensor:
            loss = super().backward(images, labels)
            return loss if next(steps) != 4 else loss * float("inf")

    training = Training(Once(net, WholeGradient(net, "fp32")), source, recipe, [1])
    states = []
    loss = training.run(lambda epochs: states.append(training.always_finite.tolist()))
    assert states[:4] == [[True]] * 4
    assert states[4:] == [[False]] * len(states[4:])
    assert loss.isfinite().all()
    again = Training(Once(net, WholeGradient(net, "fp32")), source, recipe, [1])
    again.load_state_dict(training.state_dict())
    assert again.always_finite.tolist() == [False]  # resumed, it is still known


def test_a_cell_says_which_diverged(tmp_path: Path, data_dir: Path) -> None:
    frame, reporter = run_digits(
        tmp_path, data_dir, "random", eval_arch="half-nan", arch="convnet1(width=4)", eval_nets=5
    )
    (row,) = frame.to_dict("records")
    bad = row["diverged"]
    assert 0 < len(bad) < 5
    assert (row["nets"], len(row["accuracies"])) == (5, 5 - len(bad))
    (record,) = [r for r in read_records(tmp_path).values() if r.kind == "evaluate"]
    assert record.to_json()["result"]["diverged"] == list(bad)
    assert record.outcome is not None
    assert record.outcome.summary.endswith(f" % ({len(bad)} of 5 networks diverged)")
    assert ("ok", record.outcome.summary) == reporter.ended[record.id]


def test_a_cell_of_which_all_diverge_has_failed(tmp_path: Path, data_dir: Path) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "random", eval_arch="all-nan", eval_nets=2)
    assert len(frame) == 0
    (failure,) = load_failures(tmp_path).to_dict("records")
    assert failure["status"] == "failed"
    assert failure["reason"].startswith("2 of 2 networks diverged: ")


def test_a_learned_rate_that_is_too_high(tmp_path: Path, data_dir: Path) -> None:
    settings = {"mtt": {"step_size": 3.0, "lr_lr": 0.0, "lr_img": 0.0, "iterations": 1}}
    run_digits(tmp_path, data_dir, "mtt", eval_arch="mlp", arch="mlp", overrides=settings)
    (failure,) = load_failures(tmp_path).to_dict("records")
    assert "networks diverged" in failure["reason"]


def test_the_pure_function(data_dir: Path) -> None:
    real = bench.load_dataset("digits", data_dir=data_dir, device="cpu")
    made = bench.distil("random", real.train, ipc=1).distilled
    found = bench.evaluate(made, real.test, arch="half-nan", protocol="smoke", seeds=5)
    assert len(found.accuracies) == 5
    counted = found.result.counted
    assert 0 < len(counted) < 5
    assert found.mean == pytest.approx(sum(counted) / len(counted))
    with pytest.raises(DivergedError, match="3 of 3 networks diverged"):
        bench.evaluate(made, real.test, arch="all-nan", protocol="smoke", seeds=3)


def old_record(losses: list[float | None], **result: Any) -> Record:
    data = evaluate_json()
    data["result"] |= {"final_losses": losses, "accuracies": [61.5, 10.0], **result}
    return Record.from_json(data)


@pytest.mark.parametrize(
    ("losses", "result", "diverged"),
    [
        ([0.5, None], {}, (1,)),  # an old record
        ([0.5, 0.5], {"diverged": [0]}, (0,)),
        ([0.5, None], {"diverged": [0, 1]}, (0, 1)),
        ([0.5, 0.5], {"diverged": [7]}, ()),  # nothing that there is
    ],
)
def test_records(losses: list[float | None], result: Any, diverged: tuple[int, ...]) -> None:
    outcome = old_record(losses, **result).outcome
    assert outcome is not None
    assert isinstance(outcome.result, EvaluationResult)
    assert outcome.result.diverged_nets == diverged


def test_an_old_record_of_which_all_diverged_is_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    store.write(old_record([None, None]))
    rows = load_rows(tmp_path)
    assert rows.evaluations == []
    (failure,) = rows.failures
    assert (failure.status, failure.reason[:24]) == ("failed", "2 of 2 networks diverged")


def test_images_that_are_not_finite_have_no_accuracy() -> None:
    real = real_set(40, 2)
    assert isinstance(real, RealSet)
    source = FixedSource(torch.full((20, 3, 16, 16), float("nan")), torch.arange(20) % 4, 0)
    found = train_and_test(source, Recipe.of(SPEC, "mlp", PROTOCOL), (1, 2), real)
    assert found.diverged == (0, 1)
