"""This package's own work in units that can be timed: steps of a method, epochs of training.

``bench speed`` times what is here; so does ``bench run --dry-run``, where work cannot be counted.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import torch

from bench.datasets.real_set import RealSet
from bench.distillation.context import Context, Start
from bench.distillation.method import Method, Task
from bench.distillation.tasks import load_method, make_task, prerequisite_task
from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import train_and_test
from bench.evaluation.protocols import Protocol
from bench.evaluation.recipe import Recipe


def begin_method(
    name: str,
    params: Mapping[str, Any],
    real: RealSet,
    *,
    ipc: int | None,
    arch: str | None,
    precision: str = "fp32",
) -> Method:
    """Set a method up to be timed; what it starts from is made untrained.

    Args:
        name: a registered method.
        params: what differs from the paper's values.
        real: the real training set.
        ipc: images per class; not used by a method that is IPC-agnostic.
        arch: what to distil with; not used by a method that uses none.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
    """
    cls = load_method(name)
    task = make_task(cls, real, ipc, arch, params)
    return _begun(cls, task, real, precision)


def _begun(cls: type[Method], task: Task, real: RealSet, precision: str) -> Method:
    start, needed = None, prerequisite_task(cls, task)
    if needed is not None:
        before = _begun(*needed, real, precision)
        if before.steps() == 1:  # a selection has nothing to give before
            before.step(0)
        start = Start(before.result(), before.byproducts())
    return cls(task, Context(real, 0, start=start, precision=precision, rehearsal=True))


class Stepper:
    """Does a method's steps one after the other, the last one again and again if need be."""

    def __init__(self, method: Method, device: torch.device) -> None:
        self.total = method.steps()
        self._method, self._device, self._next = method, device, 0

    def run(self, count: int) -> float:
        """Do ``count`` steps; return the seconds that they took."""
        wait_for(self._device)
        started = time.perf_counter()
        for _ in range(count):
            self._method.step(min(self._next, self.total - 1))
            self._next += 1
        wait_for(self._device)
        return time.perf_counter() - started


def training_seconds(
    index: torch.Tensor,
    real: RealSet,
    arch: str,
    protocol: Protocol,
    *,
    nets: int,
    epochs: int,
    precision: str,
) -> float:
    """Train networks as an evaluation does; return the seconds that it took, testing left out.

    Args:
        index: which real images to train on.
        real: a real set.
        arch: an architecture as users write it.
        protocol: how to train.
        nets: how many networks.
        epochs: passes over the images, in place of the protocol's.
        precision: one of :data:`bench.networks.precision.PRECISIONS`; what it means for float32 on
            a GPU is the caller's to set.
    """
    source = FixedSource(real.gather(index), real.labels[index], 0)
    few = dataclasses.replace(real, images=real.images[:2], labels=real.labels[:2])
    recipe = Recipe.of(real.spec, arch, protocol, epochs=epochs, precision=precision)
    trained = train_and_test(source, recipe, range(nets), few)
    return trained.train_seconds


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
