"""How a batch is computed: in cache-sized slices on a CPU, one thread each; whole on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor

from bench.plugin import Context, computing, is_per_sample

T = TypeVar("T")
R = TypeVar("R")

# Images per pass: on a CPU what keeps a ConvNet's activations in its cache, elsewhere what keeps
# many classes in a modest memory.
_SLICE = {"cpu": 16}
_SLICE_ELSEWHERE = 2048


def slice_size(arch: str, ctx: Context) -> int | None:
    """Return how many images to compute at once, or ``None`` if batches must stay whole.

    Only an architecture that treats every sample alone may be cut: there it changes nothing but
    memory and its traffic.
    """
    return _SLICE.get(ctx.device.type, _SLICE_ELSEWHERE) if is_per_sample(arch) else None


def class_groups(classes: int, per_class: int, size: int | None) -> list[slice]:
    """Cut the classes into runs that together fill a slice; one run if nothing may be cut.

    Args:
        classes: how many there are.
        per_class: images of each.
        size: of :func:`slice_size`.
    """
    step = max(1, size // per_class) if size else classes
    return [slice(first, first + step) for first in range(0, classes, step)]


def parallel(function: Callable[[T], R], items: Sequence[T], ctx: Context) -> list[R]:
    """Return ``[function(item) for item in items]``; on a CPU, one item per core at a time.

    Threads that share one operation on a small slice mostly wait for each other, above all on a
    busy machine; threads that have a slice each do not. Gradient mode and autocast are per thread,
    so ``function`` must set its own, and it must not draw random numbers.
    """
    threads = torch.get_num_threads()
    if ctx.device.type != "cpu" or threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(threads, "slice", torch.set_num_threads, (1,)) as pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(threads)  # the workers' count reaches threads that start later


def autocast(ctx: Context) -> AbstractContextManager[None]:
    """Return a block that computes in ``ctx.precision``, on the fastest operations there are."""
    return computing(ctx.device, ctx.precision)


def embed(network: Any, images: Tensor, ctx: Context) -> Tensor:
    """Return ``network.embed(images)`` in the context's precision: float32 ``(N, D)``.

    Args:
        network: built by an architecture.
        images: float32 ``(N, C, H, W)``, normalised.
        ctx: whose precision to use.
    """
    with autocast(ctx):
        features: Tensor = network.embed(images)
    return features.float()
