"""The evaluation engine: train one network per seed on a distilled set and test each once.

On a CPU, networks train side by side on one thread each, and per-sample networks in slices of a
batch (:mod:`bench.evaluation.gradients`). On CUDA they train as one where they can
(:mod:`bench.evaluation.stacked`), else, and on other devices, one after the other in whole batches.
A network's numbers depend on its own seed only: not on the other networks (but for rounding, where
they train as one), the number of cores, how busy they are, or who watches.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import TrainingSource
from bench.evaluation.accuracy import accuracy
from bench.evaluation.cores import Crew, crew
from bench.evaluation.gradients import Gradient, SlicedGradient, WholeGradient
from bench.evaluation.outcome import NetOutcome
from bench.evaluation.protocols import PRECISIONS, Protocol
from bench.evaluation.snapshots import Snapshots
from bench.evaluation.stacked import StackedTraining, stacking_pays
from bench.evaluation.training import Recipe, Training, initial_network
from bench.networks.architecture import is_per_sample
from bench.support.attempt import State, StateKeeper
from bench.support.errors import BenchError
from bench.support.failure_reasons import fitting
from bench.support.glibc_memory import keep_freed_memory
from bench.support.stopping import Interrupted, Stop


@dataclass(frozen=True)
class TrainedNets:
    """What an evaluation found and what it took; one entry per network where plural.

    Attributes:
        accuracies: percent of the test set, after the last step.
        final_losses: mean training loss of the last batch.
        training_steps: optimiser steps of one network.
        images_seen: images shown to one network, repeats counted.
        train_seconds: wall time until the last network was trained, testing left out.
        test_seconds: wall time spent on testing.
    """

    accuracies: tuple[float, ...]
    final_losses: tuple[float, ...]
    training_steps: int
    images_seen: int
    train_seconds: float
    test_seconds: float


def evaluate(
    source: TrainingSource,
    spec: DatasetSpec,
    arch: str,
    protocol: Protocol,
    seeds: Sequence[int],
    test: RealSet,
    *,
    device: torch.device,
    precision: str = "fp32",
    learning_rate: float | None = None,
    epochs: int | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    keeper: StateKeeper | None = None,
    stop: Stop | None = None,
) -> TrainedNets:
    """Train one network per seed on ``source`` and test it.

    Args:
        source: gives the images of each epoch, on ``device``.
        spec: the dataset.
        arch: an architecture as users write it.
        protocol: how to train.
        seeds: one per network.
        test: the real test set, on ``device``.
        device: where to compute.
        precision: ``fp32``, or ``bf16`` for autocast with float32 weights.
        learning_rate: in place of the protocol's (learned with the distilled set).
        epochs: in place of the protocol's (asked for by the distilled set).
        on_epoch: called in the calling thread with epochs done and to do, over all networks.
        keeper: keeps the state now and then, and gives the one to continue from.
        stop: asked after every step.

    Raises:
        BenchError: for an unknown precision, no seeds, or epochs below 1.
        Interrupted: ``stop`` said so; the state is with the keeper.
    """
    rate = protocol.lr if learning_rate is None else learning_rate
    recipe = Recipe(protocol, spec, rate, protocol.epochs if epochs is None else epochs)
    _check(precision, seeds, recipe.epochs)
    snapshots = Snapshots(keeper, stop or Stop(), device)
    job = _Job(source, arch, recipe, test, device, precision, seeds, on_epoch, snapshots)
    started = time.perf_counter()
    try:
        nets = job.run()
    except (Interrupted, KeyboardInterrupt):
        snapshots.write()
        raise
    wall = time.perf_counter() - started
    training = sum(net.train_seconds for net in nets)
    share = training / (training + sum(net.test_seconds for net in nets))
    per_epoch = source.images_per_epoch
    return TrainedNets(
        accuracies=tuple(net.accuracy for net in nets),
        final_losses=tuple(net.final_loss for net in nets),
        training_steps=recipe.epochs * math.ceil(per_epoch / protocol.batch_size),
        images_seen=recipe.epochs * per_epoch,
        train_seconds=wall * share,
        test_seconds=wall * (1 - share),
    )


def _check(precision: str, seeds: Sequence[int], epochs: int) -> None:
    if precision not in PRECISIONS:
        raise BenchError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}")
    if not seeds:
        raise BenchError("an evaluation needs at least 1 network, 0 were asked for")
    if epochs < 1:
        raise BenchError(f"an evaluation needs at least 1 epoch, {epochs} were asked for")


# The name under which networks that train as one are kept.
_ALL = "all"


class _Job:
    """The networks of one evaluation."""

    def __init__(
        self,
        source: TrainingSource,
        arch: str,
        recipe: Recipe,
        test: RealSet,
        device: torch.device,
        precision: str,
        seeds: Sequence[int],
        on_epoch: Callable[[int, int], None] | None,
        snapshots: Snapshots,
    ) -> None:
        self.source, self.recipe, self.test = source, recipe, test
        self.precision, self.seeds, self.on_epoch = precision, seeds, on_epoch
        self.device, self.snapshots = device, snapshots
        self.sliced = device.type == "cpu" and is_per_sample(arch)
        self.nets = [initial_network(arch, recipe.spec, seed, device) for seed in seeds]
        self.epochs = [0] * len(seeds)
        self.reported = 0

    def run(self) -> list[NetOutcome]:
        """Train and test in the arrangement that suits the device."""
        if self.device.type == "cpu":
            return self.on_cores()
        shape = self.recipe.spec.shape
        if stacking_pays(self.nets, shape, self.device, self.precision):
            return self.stacked()
        return self.in_turn()

    def on_cores(self) -> list[NetOutcome]:
        """Train and test side by side, one thread per network."""
        keep_freed_memory()
        with crew(torch.get_num_threads()) as workers:
            tasks = [lambda i=i: self._one(i, workers) for i in range(len(self.nets))]
            return workers.map(tasks, self._report)

    def in_turn(self) -> list[NetOutcome]:
        """Train and test one after the other."""
        return [self._one(i, None) for i in range(len(self.nets))]

    def stacked(self) -> list[NetOutcome]:
        """Train as one and test one after the other; in turn if the memory is too small."""
        kept, started = self.snapshots.begin(_ALL), time.perf_counter()
        losses: list[float] | None = None
        with suppress(torch.OutOfMemoryError):
            training = StackedTraining(self.nets, self.source, self.recipe, self.seeds)
            losses = self._train(_ALL, training, kept, range(len(self.nets)))
        if losses is None:
            self.snapshots.forget(_ALL)
            return self.in_turn()
        seconds = (time.perf_counter() - started) / len(losses)
        return [self._tested(i, loss, seconds, None) for i, loss in enumerate(losses)]

    def _one(self, i: int, workers: Crew | None) -> NetOutcome:
        kept, started = self.snapshots.begin(str(i)), time.perf_counter()
        if kept is not None and "accuracy" in kept:
            self.epochs[i] = self.recipe.epochs
            with fitting():
                return NetOutcome.from_state(kept)
        net = self.nets[i]
        gradient: Gradient = WholeGradient(net, self.precision)
        if self.sliced and workers is not None:
            gradient = SlicedGradient(net, self.precision, workers)
        training = Training(net, gradient, self.source, self.recipe, self.seeds[i])
        (loss,) = self._train(str(i), training, kept, [i], workers)
        found = self._tested(i, loss, time.perf_counter() - started, workers)
        self.snapshots.end(str(i), dataclasses.asdict(found))
        return found

    def _train(
        self,
        name: str,
        training: Training | StackedTraining,
        kept: State | None,
        which: Sequence[int],
        workers: Crew | None = None,
    ) -> list[float]:
        """Train from the start or from what was kept; return the last losses."""
        if kept is not None:
            with fitting():
                training.load_state_dict(kept)

        def after_step(epochs: int) -> None:
            for i in which:
                self.epochs[i] = epochs
            self.snapshots.after_step(name, training.state_dict)
            if workers is None:
                self._report()
            else:
                workers.check()

        last = training.run(after_step)
        return [float(loss) for loss in last.reshape(-1)]  # waits for the device: the time is right

    def _tested(
        self, i: int, final_loss: float, train_seconds: float, workers: Crew | None
    ) -> NetOutcome:
        started = time.perf_counter()
        found = accuracy(self.nets[i], self.test, self.precision, workers)
        return NetOutcome(found, final_loss, train_seconds, time.perf_counter() - started)

    def _report(self) -> None:
        self.snapshots.tend()
        done = sum(self.epochs)
        if self.on_epoch is not None and done > self.reported:
            self.reported = done
            self.on_epoch(done, len(self.nets) * self.recipe.epochs)
