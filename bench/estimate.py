"""How long a grid will take: a step of each distillation and a batch of each evaluation, timed.

An estimate is for deciding, not for reporting: it times a second or so of each kind of work and
multiplies. Methods that do all their work in one step are not estimated, nor is shared work (an
embedding, expert trajectories).
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

import torch

from bench.cells import DistilCell, EvaluateCell
from bench.context import Context, Start
from bench.distilled.image_set import FixedSource
from bench.distilling import make_method
from bench.evaluation.engine import evaluate
from bench.evaluation.protocols import get_protocol
from bench.seeds import make_generator

if TYPE_CHECKING:
    from bench.grid import Grid
    from bench.method import Method
    from bench.runner import Runner

# Seconds spent on timing one kind of distillation step.
_PROBE_SECONDS = 1.0
_PROBE_STEPS = 5
_PROBE_EPOCHS = 2
_PROBE_IMAGES = 256


def estimate(grid: Grid, runner: Runner) -> dict[str, float]:
    """Return estimated seconds by cell id, for the cells that are missing from the store."""
    timed: dict[str, float] = {}
    seconds: dict[str, float] = {}
    pending = runner.pending(grid)
    for made in grid.distil:
        if made.id in pending:
            key = _kind({**made.identity, "seed": 0, "prerequisite": None})
            if key not in timed:
                timed[key] = _time_distillation(made, runner)
            seconds[made.id] = timed[key]
    for judged in grid.evaluate:
        if judged.id in pending:
            key = _kind([judged.distil.dataset, judged.arch, judged.protocol, judged.precision])
            if key not in timed:
                timed[key] = _time_image(judged, runner)
            seconds[judged.id] = timed[key] * _images(judged, runner)
    return seconds


def _time_distillation(cell: DistilCell, runner: Runner) -> float:
    method = _begin(cell, runner)
    total = method.steps()
    if total <= 1:
        return 0.0
    method.step(0)  # the first step pays for warm-up
    started, done = time.perf_counter(), 0
    while done < min(_PROBE_STEPS, total) and time.perf_counter() - started < _PROBE_SECONDS:
        method.step(min(done + 1, total - 1))
        done += 1
    _wait(runner.device)
    return (time.perf_counter() - started) / done * total


def _begin(cell: DistilCell, runner: Runner) -> Method:
    """Set a method up to be timed; what it starts from is made untrained."""
    real = runner.split(cell.dataset, "train")
    start = None
    if cell.prerequisite is not None:
        before = _begin(cell.prerequisite, runner)
        start = Start(before.result(), before.byproducts())
    method, task = make_method(cell, real)
    method.setup(task, Context(real, seed=0, start=start, precision=cell.precision, rehearsal=True))
    return method


def _time_image(cell: EvaluateCell, runner: Runner) -> float:
    """Return seconds per training image of one network."""
    real = runner.split(cell.distil.dataset, "train")
    test = runner.split(cell.distil.dataset, "test")
    index = real.sample(_PROBE_IMAGES, make_generator(0, runner.device))
    source = FixedSource(real.gather(index), real.labels[index], 0)
    few = dataclasses.replace(test, images=test.images[:2], labels=test.labels[:2])
    trained = evaluate(
        source, real.spec, cell.arch, get_protocol(cell.protocol), [0], few,
        device=runner.device, precision=cell.precision, epochs=_PROBE_EPOCHS,
    )  # fmt: skip
    return trained.train_seconds / (_PROBE_EPOCHS * _PROBE_IMAGES)


def _images(cell: EvaluateCell, runner: Runner) -> float:
    """Count the image passes of a cell: training, and testing at about a third of the price."""
    real = runner.split(cell.distil.dataset, "train")
    per_epoch = len(real) if cell.ipc is None else cell.ipc * real.spec.num_classes
    epochs = int(cell.distil.params.get("epochs", 1)) if cell.ipc is None else 0
    epochs = epochs or get_protocol(cell.protocol).epochs
    return cell.nets * (per_epoch * epochs + len(runner.split(cell.distil.dataset, "test")) / 3)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _kind(parts: object) -> str:
    return json.dumps(parts, sort_keys=True)
