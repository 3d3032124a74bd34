"""The evaluation engine: train one network per seed on a distilled set and test each once.

On a CPU, networks train side by side on one thread each, and per-sample networks in slices of a
batch (:mod:`bench.evaluation.gradients`). On CUDA they train as one where they can
(:mod:`bench.evaluation.stacked`), else, and on other devices, one after the other in whole batches.
A network's numbers depend on its own seed only: not on the other networks (but for rounding, where
they train as one), the number of cores, how busy they are, or what observes the training.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from bench.datasets.real_set import RealSet
from bench.distilled.base import TrainingSource
from bench.evaluation.cores import Crew, crew
from bench.evaluation.divergence import Loss, has_finite_weights
from bench.evaluation.gradients import Gradient, SlicedGradient, WholeGradient
from bench.evaluation.looks import Looks
from bench.evaluation.net_outcome import NetOutcome, TrainedNets
from bench.evaluation.recipe import Recipe
from bench.evaluation.replayed import ReplayedNetworks
from bench.evaluation.score import Score, score
from bench.evaluation.snapshots import Snapshots
from bench.evaluation.stacked import StackedNets, stacking_pays
from bench.evaluation.training import Networks, OneNetwork, Training
from bench.networks.architecture import is_per_sample
from bench.networks.footprint import largest_output
from bench.networks.memory_order import note_order, suit_memory_order
from bench.networks.replay import recorder_for
from bench.support.attempt import State, StateKeeper
from bench.support.errors import BenchError
from bench.support.failure_reasons import fitting
from bench.support.glibc_memory import keep_freed_memory
from bench.support.stopping import Interrupted, Stop

# The name under which the state of networks that train as one is saved.
_ALL = "all"
# What records call the networks.
_NETWORK = "the evaluation network"


def train_and_test(
    source: TrainingSource,
    recipe: Recipe,
    seeds: Sequence[int],
    test: RealSet,
    *,
    on_epoch: Callable[[int, int], None] = lambda _done, _total: None,
    keeper: StateKeeper | None = None,
    stop: Stop | None = None,
) -> TrainedNets:
    """Train one network per seed on ``source`` and test it.

    Args:
        source: gives the images of each epoch, on the test set's device.
        recipe: what to train and how.
        seeds: one per network.
        test: the real test set, on the device to compute on.
        on_epoch: called in the calling thread with epochs done and to do, over all networks.
        keeper: saves the state now and then, and holds the one to resume from.
        stop: asked after every step.

    Raises:
        BenchError: if there are no seeds.
        UnfitStateError: the networks refuse the saved state.
        Interrupted: ``stop`` asked for it; the keeper has the state.
    """
    if not seeds:
        raise BenchError("an evaluation needs at least 1 network, 0 were asked for")
    snapshots = Snapshots(keeper, stop or Stop(), test.device)
    started = time.perf_counter()
    try:
        nets = Job(source, recipe, seeds, test, snapshots, on_epoch).run()
    except (Interrupted, KeyboardInterrupt):
        snapshots.save()
        raise
    wall = time.perf_counter() - started
    training = sum(net.train_seconds for net in nets)
    share = training / (training + sum(net.test_seconds for net in nets))
    per_epoch = source.images_per_epoch
    return TrainedNets(
        accuracies=tuple(net.accuracy for net in nets),
        diverged=tuple(i for i, net in enumerate(nets) if net.diverged),
        final_losses=tuple(net.final_loss for net in nets),
        training_steps=recipe.epochs * math.ceil(per_epoch / recipe.batch_size),
        images_seen=recipe.epochs * per_epoch,
        train_seconds=wall * share,
        test_seconds=wall * (1 - share),
    )


@dataclass
class Job:
    """The networks of one evaluation."""

    source: TrainingSource
    recipe: Recipe
    seeds: Sequence[int]
    test: RealSet
    snapshots: Snapshots
    on_epoch: Callable[[int, int], None]
    reported: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.device = self.test.device
        self.nets = [self.recipe.initial_network(seed, self.device) for seed in self.seeds]
        self.epochs = [0] * len(self.seeds)

    def run(self) -> list[NetOutcome]:
        """Train and test in the arrangement that suits the device."""
        if self.device.type == "cpu":
            return self.on_cores()
        # Networks that are tested in between train one by one: a stack is none until its end.
        if self.recipe.protocol.test_every is None and stacking_pays(
            self.nets, self.recipe.spec.shape, self.device, self.recipe.precision
        ):
            return self.stacked()
        return self.in_turn()

    def on_cores(self) -> list[NetOutcome]:
        """Train and test side by side, one thread per network."""
        keep_freed_memory()
        with crew(torch.get_num_threads()) as workers:
            tasks = [lambda i=i: self.train_one(i, workers) for i in range(len(self.nets))]
            return workers.map(tasks, self._report)

    def in_turn(self) -> list[NetOutcome]:
        """Train and test one after the other."""
        size = min(self.recipe.batch_size, self.source.images_per_epoch)
        batch = size, *self.recipe.spec.shape
        precision, recorder = self.recipe.precision, recorder_for(self.device)
        for net in self.nets:
            suit_memory_order(_NETWORK, net, batch, precision, recorder)
        return [self.train_one(i, None) for i in range(len(self.nets))]

    def stacked(self) -> list[NetOutcome]:
        """Train as one and test one after the other; in turn if the memory is too small."""
        saved, started = self.snapshots.begin(_ALL), time.perf_counter()
        losses: list[Loss] | None = None
        temperature = self.recipe.temperature
        with suppress(torch.OutOfMemoryError):
            note_order(_NETWORK, "channels first: the networks train as one")
            nets = self._replayed(StackedNets(self.nets, temperature))
            training = Training(nets, self.source, self.recipe, self.seeds)
            losses = self._train(_ALL, training, saved, range(len(self.nets)))
        if losses is None:
            self.snapshots.forget(_ALL)
            return self.in_turn()
        seconds = (time.perf_counter() - started) / len(losses)
        return [self._tested(i, loss, seconds, None) for i, loss in enumerate(losses)]

    def train_one(self, i: int, workers: Crew | None) -> NetOutcome:
        """Train and test a network by itself, or return what it came to before it was resumed.

        Args:
            i: which.
            workers: what cuts its batches in two; ``None`` off a CPU.
        """
        saved, started = self.snapshots.begin(str(i)), time.perf_counter()
        if saved is not None and "accuracy" in saved:
            self.epochs[i] = self.recipe.epochs
            # Else every later checkpoint would wait for a state of this network.
            self.snapshots.end(str(i), saved)
            with fitting():
                return NetOutcome.from_state(saved)
        net = self._replayed(OneNetwork(self.nets[i], self._gradient(i, workers)))
        training = Training(net, self.source, self.recipe, self.seeds[i : i + 1])
        looks = Looks(self.recipe, self.nets[i], lambda: self._score(i, workers))
        (loss,) = self._train(str(i), training, saved, [i], workers, looks)
        seconds = time.perf_counter() - started - looks.seconds
        outcome = self._tested(i, loss, seconds, workers)
        outcome = dataclasses.replace(
            outcome,
            accuracy=max(outcome.accuracy, looks.best),
            test_seconds=outcome.test_seconds + looks.seconds,
        )
        self.snapshots.end(str(i), dataclasses.asdict(outcome))
        return outcome

    def _gradient(self, i: int, workers: Crew | None) -> Gradient:
        precision, temperature = self.recipe.precision, self.recipe.temperature
        if workers is not None and is_per_sample(self.recipe.arch):
            return SlicedGradient(self.nets[i], precision, workers, temperature)
        return WholeGradient(self.nets[i], precision, temperature)

    def _replayed(self, nets: Networks) -> Networks:
        """Return networks whose steps are replayed where the device can do that."""
        recorder = recorder_for(self.device)
        return nets if recorder is None else ReplayedNetworks(nets, recorder)

    def _train(
        self,
        name: str,
        training: Training,
        saved: State | None,
        which: Sequence[int],
        workers: Crew | None = None,
        looks: Looks | None = None,
    ) -> list[Loss]:
        """Train from the start or from a saved state; return each network's losses."""
        if saved is not None:
            with fitting():
                training.load_state_dict(saved)
                if looks is not None:
                    looks.load_state_dict(saved)

        def state() -> State:
            return training.state_dict() | ({} if looks is None else looks.state_dict())

        def after_epoch(epochs: int) -> None:
            if looks is not None:
                looks.after_epoch(epochs)

        def after_step(epochs: int) -> None:
            for i in which:
                self.epochs[i] = epochs
            self.snapshots.after_step(name, state)
            if workers is None:
                self._report()
            else:
                workers.check()

        # Reading the losses waits for the device, so that the measured time is right.
        last: list[float] = training.run(after_step, after_epoch).tolist()
        return [Loss(*pair) for pair in zip(last, training.always_finite.tolist(), strict=True)]

    def _tested(self, i: int, loss: Loss, train_seconds: float, workers: Crew | None) -> NetOutcome:
        started = time.perf_counter()
        percent, is_finite = self._score(i, workers)
        diverged = not (loss.always_finite and is_finite and has_finite_weights(self.nets[i]))
        seconds = time.perf_counter() - started
        return NetOutcome(percent, loss.last, train_seconds, seconds, diverged)

    def _score(self, i: int, workers: Crew | None) -> Score:
        """Test a network, which is left in ``eval()`` mode."""
        on_cpu = self.device.type == "cpu"  # whose slices are the same for every network
        output = 0 if on_cpu else largest_output(self.recipe.arch, self.test.spec)
        return score(self.nets[i], self.test, self.recipe.precision, workers, output=output)

    def _report(self) -> None:
        self.snapshots.poll()
        done = sum(self.epochs)
        if done > self.reported:
            self.reported = done
            self.on_epoch(done, len(self.nets) * self.recipe.epochs)
