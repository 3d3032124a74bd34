"""How long a grid will take: a step of each distillation and a batch of each evaluation, timed.

An estimate is for deciding, not for reporting: it times a second or so of each kind of work, the
same work that ``bench speed`` measures with care, and multiplies. Methods that do all their work
in one step are not estimated, nor is shared work (expert trajectories, say).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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


def estimate(grid: Grid, runner: Runner, without: Iterable[str] = ()) -> dict[str, float]:
    """Return estimated seconds by cell id, for the cells that are missing from the store.

    What cannot be measured is left out: its cell fails for the same reason, and records it.

    Args:
        grid: the cells.
        runner: would compute them.
        without: ids of cells that are not measured.
    """
    timed: dict[str, float | None] = {}
    seconds: dict[str, float] = {}
    pending = runner.pending(grid) - set(without)
    for made in grid.distil:
        if made.id in pending:
            key = _kind({**made.identity, "seed": 0, "prerequisite": None})
            if key not in timed:
                timed[key] = _tried(_time_distillation, made, runner)
            if (each := timed[key]) is not None:
                seconds[made.id] = each
    for cell in grid.evaluate:
        if cell.id in pending:
            kind = (cell.distil.dataset, cell.arch, cell.protocol, cell.precision, cell.nets)
            key = _kind(kind)
            if key not in timed:
                timed[key] = _tried(_time_image, cell, runner)
            passes = _tried(_images, cell, runner)
            if (each := timed[key]) is not None and passes is not None:
                seconds[cell.id] = each * passes
    return seconds


def _tried(measure: Callable[[C, Runner], float], cell: C, runner: Runner) -> float | None:
    try:
        return measure(cell, runner)
    except Exception:  # a plugin's, or no memory for what was asked
        return None


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
        method, made = load_method(cell.distil.method), cell.distil
        task = make_task(method, real, made.ipc, made.arch, made.params)
        shown = cell.ipc * method.shown_per_stored(task.params)
        per_epoch = shown * real.spec.num_classes
    epochs = int(cell.distil.params.get("epochs", 1)) if cell.ipc is None else 0
    epochs = epochs or get_protocol(cell.protocol).epochs
    return cell.nets * (
        per_epoch * epochs + len(runner.site.split(cell.distil.dataset, "test")) / 3
    )


def _kind(parts: object) -> str:
    return json.dumps(parts, sort_keys=True)
