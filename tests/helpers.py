"""Small things that many tests build: a made-up real set, a task, its context; and findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context
from bench.distillation.method import Method, Task
from bench.ledger.store import Store
from bench.registry.params import resolve
from bench.support.seeds import make_generator
from bench.support.stopping import Interrupted, Stop


class MemoryCache:
    """Keeps shared tensors in a list, and counts what was put."""

    def __init__(self) -> None:
        self.kept: list[tuple[dict[str, Any], dict[str, Tensor], float]] = []

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
        return next(((t, s) for k, t, s in self.kept if k == dict(key)), None)

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        self.kept.append((dict(key), dict(tensors), seconds))


class StopAfter(Stop):
    """Asks to end when it is looked at for the so-many-th time."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def reason(self) -> Interrupted | None:
        self.looks -= 1
        if self.looks == 0:
            self.request("enough", 143)
        return super().reason()


def tiny_real_set(
    num_classes: int = 3,
    per_class: int = 12,
    shape: tuple[int, int, int] = (1, 8, 8),
    seed: int = 0,
) -> RealSet:
    """Return a real set of noisy class patterns; the classes take turns, image by image."""
    channels, height, width = shape
    half = (0.5,) * channels
    spec = DatasetSpec("tiny", num_classes, channels, height, width, half, half, flip=False)
    generator = make_generator(seed)
    labels = torch.arange(num_classes).repeat(per_class)
    patterns = torch.randint(0, 156, (num_classes, *shape), generator=generator)
    noise = torch.randint(0, 100, (len(labels), *shape), generator=generator)
    return RealSet(spec, (patterns[labels] + noise).to(torch.uint8), labels, f"{seed:064d}")


def tiny_context(real: RealSet | None = None, seed: int = 0, **rest: Any) -> Context:
    """Return a context around ``real``, or around a tiny real set."""
    return Context(real if real is not None else tiny_real_set(), seed, **rest)


def begin(
    cls: type[Method], ctx: Context, ipc: int | None, arch: str | None, **params: Any
) -> Method:
    """Return the method, set up on the context's real set."""
    method = cls()
    method.setup(tiny_task(cls, ctx.real, ipc, arch, **params), ctx)
    return method


def tiny_task(
    cls: type[Method], real: RealSet, ipc: int | None, arch: str | None, **params: Any
) -> Task:
    """Return a task for ``cls`` with its paper parameters but for ``params``."""
    counts = tuple(len(i) for i in real.class_indices)
    return Task(real.spec, counts, ipc, arch, resolve(cls.Params, params, owner=cls.name, ipc=ipc))


def findings(store: Path) -> dict[str, dict[str, Any]]:
    """Return what a store's records say of results, by cell: not when, where, and how long."""
    own = ("kind", "status", "reason", "identity", "labels", "result", "budget")
    counts = ("total_steps", "distil_steps")
    found = {}
    for record in Store(store).records():
        data = record.to_json()
        cost = {name: data["cost"].get(name) for name in counts}
        found[record.id] = {**{name: data[name] for name in own}, **cost}
    return found
