"""The second of the two functions: train networks on a distilled set and test them.

``evaluate`` knows no store: it takes a distilled set, or plain tensors, wherever they come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.distilled.base import DistilledSet, TrainingSource
from bench.distilled.image_set import ImageSet
from bench.distilled.labels import are_probabilities
from bench.evaluation.cores import crew
from bench.evaluation.engine import train_and_test
from bench.evaluation.evaluation import DivergedError, Evaluation
from bench.evaluation.net_outcome import TrainedNets
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.networks.architecture import canonical_name
from bench.networks.precision import float32_mode
from bench.support.arguments import check_argument, check_count
from bench.support.attempt import Attempt, StateKeeper
from bench.support.cost_meter import Meter
from bench.support.errors import BenchError, unknown_message
from bench.support.failure_reasons import UnfitStateError
from bench.support.outcomes import EvaluationBudget, EvaluationCost, EvaluationResult
from bench.support.seeds import frozen_seed, make_generator, network_seeds


def evaluate(
    distilled: DistilledSet | Tensor,
    test: RealSet,
    *,
    labels: Tensor | None = None,
    ipc: int | None = None,
    mode: str | None = None,
    arch: str = "convnet3",
    protocol: str = "default",
    seeds: int | None = None,
    seed: int = 0,
    precision: str = "fp32",
    random_seed: int | None = None,
    attempt: Attempt | None = None,
) -> Evaluation:
    """Train networks on a distilled set and test each once.

    Args:
        distilled: a distilled set; or its images: ``(N, C, H, W)``, uint8 pixels or float32 in the
            dataset's normalised units, with ``labels``.
        test: the real test set, on the device to compute on.
        labels: only with images: int64 ``(N,)``, or float ``(N, num_classes)``, which are read as
            probabilities if every row is one, else as logits.
        ipc: images per class; a generator draws so many. By default a stored set is used whole.
        mode: ``stored``, or for a generator ``stream`` or ``frozen``; default: the set's first.
        arch: the architecture to train.
        protocol: the name of the training recipe.
        seeds: how many networks; default: the protocol's.
        seed: the seed index; with the dataset and the architecture it determines the networks.
        precision: ``fp32``, ``bf16`` for autocast with float32 weights, or on a GPU ``tf32``.
        random_seed: of the distillation, from which frozen images are drawn; by default the one
            in the set's provenance.
        attempt: checkpoint, stop and progress; empty by default.

    Raises:
        BenchError: for an unknown name, or a set that does not fit the test set, mode or IPC.
        DivergedError: every network diverged.
        Interrupted: ``attempt.stop`` asked for it; the checkpoint has what was done.

    Examples:
        >>> import bench
        >>> real = bench.load_dataset("digits")
        >>> made = bench.distil("random", real.train, ipc=1)
        >>> result = bench.evaluate(
        ...     made.distilled, real.test, arch="mlp", protocol="smoke", seeds=1
        ... )
        >>> len(result.accuracies), result.budget.distinct_images
        (1, 10)
    """
    check_argument("test", test, RealSet, "a real set: bench.load_dataset(NAME).test")
    check_argument("distilled", distilled, (DistilledSet, Tensor), "a distilled set or images")
    check_argument("arch", arch, str, "a text")
    check_count("seed", seed, least=0)
    if ipc is not None:
        check_count("ipc", ipc)
    if seeds is not None:
        check_count("seeds", seeds)
    if isinstance(distilled, Tensor):
        distilled = _image_set(distilled, labels, test)
    elif labels is not None:
        raise BenchError("labels go with images: a distilled set has its own")
    named = get_protocol(protocol)
    mode = _checked_mode(distilled, mode)
    origin = distilled.random_seed if random_seed is None else random_seed
    arch = canonical_name(arch)
    attempt = attempt or Attempt()
    job = _Job(
        distilled=distilled,
        source=_source(distilled, mode, ipc, frozen_seed(origin, ipc), test),
        ipc=ipc,
        test=test,
        recipe=Recipe.of(
            test.spec,
            arch,
            named,
            learning_rate=distilled.learning_rate,
            epochs=distilled.epochs,
            precision=precision,
            temperature=distilled.temperature,
        ),
        seeds=network_seeds(test.spec.name, arch, seed, named.nets if seeds is None else seeds),
        attempt=attempt,
        number=attempt.checkpoint.count_attempt(),
    )
    with float32_mode(test.device, precision):
        try:
            return job.run()
        except UnfitStateError as error:
            job.attempt.checkpoint.set_aside(str(error))
            return job.run()


def _image_set(images: Tensor, labels: Tensor | None, test: RealSet) -> ImageSet:
    """Return plain tensors as a distilled set on the test set's device."""
    if labels is None:
        raise BenchError("images need labels: evaluate(images, test, labels=...)")
    if images.dtype.is_floating_point:
        images = images.float()
    try:
        place = test.device
        kind = "hard"
        if labels.dtype.is_floating_point:
            kind = "probabilities" if labels.ndim == 2 and are_probabilities(labels) else "logits"
        labels = labels.detach().to(place, torch.int64 if kind == "hard" else torch.float32)
        return ImageSet(test.spec, images.detach().to(place), labels, {}, label_kind=kind)
    except ValueError as error:
        raise BenchError(f"these images cannot be evaluated: {error}") from error


def _checked_mode(distilled: DistilledSet, mode: str | None) -> str:
    if mode is None:
        return distilled.modes[0]
    if mode not in distilled.modes:
        raise BenchError(
            unknown_message(f"mode of the {distilled.kind} set", mode, distilled.modes)
        )
    return mode


def _source(
    distilled: DistilledSet, mode: str, ipc: int | None, seed: int, test: RealSet
) -> TrainingSource:
    """Return what the networks are trained on, checked against the test set."""
    try:
        distilled.check_made_for(test.spec)
        draws = make_generator(seed, test.device)
        if mode != "frozen" or test.device.type != "cpu":
            return distilled.source(mode, ipc, draws)
        # Drawn here and now, in one thread as a network draws a stream: the same on all cores.
        with crew(1) as workers:
            (frozen,) = workers.map([lambda: distilled.source(mode, ipc, draws)])
        return frozen
    except ValueError as error:
        raise BenchError(str(error)) from error


@dataclass(frozen=True)
class _Job:
    """One evaluation, ready to run."""

    distilled: DistilledSet
    source: TrainingSource
    ipc: int | None
    test: RealSet
    recipe: Recipe
    seeds: list[int]
    attempt: Attempt
    number: int

    def run(self) -> Evaluation:
        """Train and test, from the checkpoint if there is one.

        Raises:
            UnfitStateError: the networks refuse the checkpoint.
            DivergedError: every network diverged.
        """
        metered = _MeteredKeeper(self.attempt.checkpoint, self.test.device, self.number)
        trained = train_and_test(
            self.source,
            self.recipe,
            self.seeds,
            self.test.whitened(self.distilled.zca),
            on_epoch=lambda done, total: self.attempt.progress(done, total, {}),
            keeper=metered,
            stop=self.attempt.stop,
        )
        result = self._result(trained)
        if reason := result.why_nothing_counts:
            raise DivergedError(reason)
        cost = EvaluationCost(**metered.meter.read())
        return Evaluation(result, self._budget(trained), cost)

    def _result(self, trained: TrainedNets) -> EvaluationResult:
        # JSON has no NaN: a network that diverged has no loss.
        losses = tuple(x if math.isfinite(x) else None for x in trained.final_losses)
        return EvaluationResult(
            accuracies=tuple(trained.accuracies),
            final_losses=losses,
            selection=self.recipe.protocol.selection,
            epochs=self.recipe.epochs,
            learning_rate=self.recipe.learning_rate,
            labels="hard" if self.distilled.label_kind == "hard" else "soft",
            diverged=trained.diverged or None,
        )

    def _budget(self, trained: TrainedNets) -> EvaluationBudget:
        return EvaluationBudget(
            nominal_ipc=self.ipc,
            stored_bytes=self.source.storage_bytes,
            distinct_images=self.source.distinct_images(self.recipe.epochs),
            training_steps=trained.training_steps,
        )


class _MeteredKeeper:
    """Saves the networks' state together with what all attempts have spent so far."""

    def __init__(self, keeper: StateKeeper, device: torch.device, attempt: int) -> None:
        self._keeper = keeper
        self._saved = keeper.load(device) or {}
        self.meter = Meter(device, self._saved.get("cost"), attempt)

    def due(self) -> bool:
        return self._keeper.due()

    def save(self, state: dict[str, Any]) -> bool:
        return self._keeper.save({"nets": state, "cost": self.meter.read()})

    def load(self, device: torch.device) -> dict[str, Any] | None:  # noqa: ARG002
        return self._saved.get("nets")
