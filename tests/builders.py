"""Builders of a tiny real set, and of a context, a task and a method on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context
from bench.distillation.method import Method, Task
from bench.registry.param_values import resolve
from bench.support.seeds import make_generator


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


def unbalanced_real_set(*counts: int) -> RealSet:
    """Return a tiny real set with so many images of each class."""
    real = tiny_real_set(len(counts), max(counts))
    parts = [own[:n] for own, n in zip(real.class_indices, counts, strict=True)]
    chosen = torch.cat(parts).sort().values
    return replace(real, images=real.images[chosen], labels=real.labels[chosen])


def tiny_context(real: RealSet | None = None, seed: int = 0, **rest: Any) -> Context:
    """Return a context of ``real``, or of a tiny real set."""
    return Context(real if real is not None else tiny_real_set(), seed, **rest)


def begin(
    cls: type[Method], ctx: Context, ipc: int | None, arch: str | None, **params: Any
) -> Method:
    """Return the method, set up on the context's real set."""
    return cls(tiny_task(cls, ctx.real, ipc, arch, **params), ctx)


def tiny_task(
    cls: type[Method], real: RealSet, ipc: int | None, arch: str | None, **params: Any
) -> Task:
    """Return a task for ``cls`` with its paper parameters, but for ``params``."""
    counts = tuple(len(i) for i in real.class_indices)
    return Task(real.spec, counts, ipc, arch, resolve(cls.Params, params, owner=cls.name, ipc=ipc))
