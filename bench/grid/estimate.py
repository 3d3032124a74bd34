"""How long a grid will take: a step of each distillation and a batch of each evaluation, timed.

An estimate is for deciding, not for reporting: it times a second or so of each kind of work, the
same work that ``bench speed`` measures with care, and multiplies. Methods that do all their work
in one step are not estimated, nor is shared work (expert trajectories, say).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable
from typing import TYPE_CHECKING, TypeVar

import torch

from bench.distillation.tasks import load_method, make_task
from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import Stepper, begin_method, training_seconds
from bench.ledger.cell import DistilCell, EvaluateCell
from bench.support.seeds import make_generator

if TYPE_CHECKING:
    from bench.grid.expand import Grid
    from bench.grid.runner import Runner

C = TypeVar("C", DistilCell, EvaluateCell)

# Seconds spent on timing one kind of distillation step.
_PROBE_SECONDS = 1.0
_PROBE_STEPS = 5
_PROBE_EPOCHS = 2
_PROBE_IMAGES = 256


def estimate(grid: Grid, runner: Runner, missing: Collection[str]) -> dict[str, float]:
    """Return estimated seconds by cell id.

    What cannot be measured is left out: its cell fails for the same reason, and records it.

    Args:
        grid: the cells.
        runner: would compute them.
        missing: the ids of the cells to estimate.
    """
    steps, images, passes = (_Once(runner) for _ in range(3))
    ids, seconds = frozenset(missing), dict[str, float | None]()
    for cell in grid.distil:
        if cell.id in ids:
            seconds[cell.id] = steps.measure(_steps_kind(cell), _time_distillation, cell)
    for evaluation in grid.evaluate:
        if evaluation.id in ids:
            each = images.measure(_training_kind(evaluation), _time_image, evaluation)
            count = passes.measure(_passes_kind(evaluation), _images, evaluation)
            seconds[evaluation.id] = None if each is None or count is None else each * count
    return {cell_id: value for cell_id, value in seconds.items() if value is not None}


class _Once:
    """Measures the first cell of each kind, and remembers what that gave."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._known: dict[Hashable, float | None] = {}

    def measure(
        self, kind: Hashable, measure: Callable[[C, Runner], float], cell: C
    ) -> float | None:
        """Return the measure of a kind of cell; ``None`` if it cannot be measured."""
        if kind not in self._known:
            try:
                self._known[kind] = measure(cell, self._runner)
            except Exception:  # a plugin's, or no memory for what was asked
                self._known[kind] = None
        return self._known[kind]


def _steps_kind(cell: DistilCell) -> Hashable:
    """Return what distillations have in common whose steps take equally long: all but the seed."""
    return json.dumps({**cell.identity, "seed": 0, "prerequisite": None}, sort_keys=True)


def _training_kind(cell: EvaluateCell) -> Hashable:
    """Return what evaluations have in common that take equally long per image."""
    return cell.distil.dataset, cell.arch, cell.protocol, cell.precision, cell.nets


def _passes_kind(cell: EvaluateCell) -> Hashable:
    """Return what evaluations have in common that show equally many images.

    Within a request, profile and changes say what the parameters of a method are.
    """
    distil = cell.distil
    return (
        distil.dataset, distil.method, distil.ipc, distil.arch, distil.profile, distil.changed,
        cell.ipc, cell.protocol, cell.nets,
    )  # fmt: skip


def _time_distillation(cell: DistilCell, runner: Runner) -> float:
    real = runner.site.split(cell.dataset, "train")
    method = begin_method(
        cell.method, cell.params, real, ipc=cell.ipc, arch=cell.arch, precision=cell.precision
    )
    steps = Stepper(method, runner.site.device)
    if steps.total <= 1:
        return 0.0
    steps.run(1)  # the first step pays for warm-up
    spent, done = 0.0, 0
    while done < min(_PROBE_STEPS, steps.total) and spent < _PROBE_SECONDS:
        spent += steps.run(1)
        done += 1
    return spent / done * steps.total


def _time_image(cell: EvaluateCell, runner: Runner) -> float:
    """Return seconds per training image of one network, as many side by side as will be."""
    real = runner.site.split(cell.distil.dataset, "train")
    nets = cell.nets
    if runner.site.device.type == "cpu":
        nets = min(nets, torch.get_num_threads())
    # The same work however many networks share it; few enough for the slowest architecture.
    index = real.sample(max(1, _PROBE_IMAGES // nets), make_generator(0, runner.site.device))

    def train(epochs: int) -> float:
        return training_seconds(
            index, real, cell.arch, get_protocol(cell.protocol),
            nets=nets, epochs=epochs, precision=cell.precision,
        )  # fmt: skip

    train(1)  # the first epoch pays for warm-up
    return train(_PROBE_EPOCHS) / (_PROBE_EPOCHS * len(index) * nets)


def _images(cell: EvaluateCell, runner: Runner) -> float:
    """Count the image passes of a cell: training, and testing at about a third of the price."""
    real = runner.site.split(cell.distil.dataset, "train")
    per_epoch = len(real)
    if cell.ipc is not None:
        method, distil = load_method(cell.distil.method), cell.distil
        task = make_task(method, real, distil.ipc, distil.arch, distil.params)
        shown = cell.ipc * method.shown_per_stored(task.params)
        per_epoch = shown * real.spec.num_classes
    epochs = int(cell.distil.params.get("epochs", 1)) if cell.ipc is None else 0
    epochs = epochs or get_protocol(cell.protocol).epochs
    return cell.nets * (
        per_epoch * epochs + len(runner.site.split(cell.distil.dataset, "test")) / 3
    )
