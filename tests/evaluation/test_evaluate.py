"""What the networks of an evaluation are trained and tested on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from run_digits import run_digits
from toy_generator import toy_set

import bench.evaluation.evaluate
from bench.datasets.real_set import RealSet
from bench.ledger.frames import load_failures
from bench.support.seeds import make_generator


def test_test_images_are_whitened_with_the_sets_own_statistics(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    seen = []

    def watch(*args, **named):
        seen.append(args[3])  # the test set
        return evaluate(*args, **named)

    evaluate = bench.evaluation.evaluate.train_and_test
    monkeypatch.setattr(bench.evaluation.evaluate, "train_and_test", watch)
    frame, _ = run_digits(tmp_path, data_dir, ["toy-first", "toy-whitened"])
    assert len(frame) == 2
    plain, white = sorted(seen, key=lambda test: test.zca is not None)
    assert plain.zca is None
    index = torch.arange(5)
    assert torch.equal(white.gather(index), white.zca.whiten(plain.images[:5]))
    pixels = plain.images[:5] / 255
    assert torch.allclose(white.zca.unwhiten(white.gather(index)), pixels, atol=1e-4)


class Trainings:
    """Remembers what networks were trained on, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._evaluate = bench.evaluation.evaluate.train_and_test
        monkeypatch.setattr(bench.evaluation.evaluate, "train_and_test", self)

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.calls.append((args, named))
        return self._evaluate(*args, **named)


def test_a_set_brings_its_own_rate_and_epochs(toys, tmp_path, data_dir, monkeypatch) -> None:
    trainings = Trainings(monkeypatch)
    frame, _ = run_digits(tmp_path, data_dir, ["toy-own-pace", "toy-first"], 1)
    paces = {(recipe.learning_rate, recipe.epochs) for (_, recipe, *_), _ in trainings.calls}
    assert paces == {(0.125, 3), (0.01, 40)}
    steps = frame.set_index("method")["training_steps"]
    assert (steps["toy-own-pace"], steps["toy-first"]) == (3, 40)
    record = json.loads(
        (tmp_path / "cells" / frame.set_index("method").cell_id["toy-own-pace"] / "record.json")
        .read_text()
    )  # fmt: skip
    assert (record["result"]["learning_rate"], record["result"]["epochs"]) == (0.125, 3)


def test_every_network_of_a_frozen_set_sees_the_same_images(
    toys, tmp_path, data_dir, monkeypatch, no_diagnostics
) -> None:
    trainings = Trainings(monkeypatch)
    few = {"gan": {"max_steps": 1}}
    archs = ["convnet1(width=4)", "mlp(width=4)"]
    run_digits(tmp_path, data_dir, "gan", 1, mode="frozen", eval_arch=archs, overrides=few)
    first, second = (args[0].epoch(make_generator(0)) for args, _ in trainings.calls)
    assert torch.equal(first[0], second[0])
    assert trainings.calls[0][0][1].arch != trainings.calls[1][0][1].arch
    other = tmp_path / "other"
    run_digits(other, data_dir, "gan", 1, mode="frozen", overrides=few, seeds=2)
    draws = [args[0].epoch(make_generator(0))[0] for args, _ in trainings.calls[2:]]
    assert torch.equal(draws[0], first[0])
    assert not torch.equal(draws[1], first[0])


def test_the_evaluation_flips_what_the_dataset_allows_whatever_the_set_says(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    _, view = run_digits(tmp_path, data_dir, "toy-flips", 1)
    assert view.count("failed") == 1
    (reason,) = load_failures(tmp_path)["reason"]
    assert "not made from digits: its flip is True, not False" in reason


def test_frozen_images_are_drawn_in_one_thread(monkeypatch) -> None:
    """In as many as torch has, their last bits followed the number of cores."""
    made, threads = toy_set(), []
    source = type(made).source

    def watch(self, *args):
        threads.append(torch.get_num_threads())
        return source(self, *args)

    monkeypatch.setattr(type(made), "source", watch)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        labels = torch.arange(6) % made.spec.num_classes
        images = torch.zeros(6, *made.spec.shape, dtype=torch.uint8)
        real = RealSet(made.spec, images, labels, "0" * 64)
        bench.evaluation.evaluate.evaluate(
            made, real, ipc=1, mode="frozen", arch="mlp", protocol="smoke", seeds=1
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1]
