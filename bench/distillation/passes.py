"""How a batch passes through a network: slices, threads, precision and kernels.

On a CPU a batch is cut into small slices that are computed by one thread each, elsewhere into
larger ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.distillation.context import Context
from bench.networks.architecture import is_per_sample
from bench.networks.cpu_kernels import computing
from bench.networks.cpu_kernels import image_gradient as image_gradient
from bench.networks.memory_order import suit_memory_order as _suit_memory_order
from bench.networks.replay import Replayed, Step, recorder_for

T = TypeVar("T")
R = TypeVar("R")

# Images per pass: on a CPU what suffices to keep the kernels' matrix products busy (seen for DM on
# two cores: 1700 images/s at 16, 2230 at 64, 2260 at 256), elsewhere what keeps many classes in a
# modest memory.
_SLICE = {"cpu": 64}
_SLICE_ELSEWHERE = 2048


def slice_size(arch: str, ctx: Context) -> int | None:
    """Return how many images to compute at once, or ``None`` if batches must stay whole.

    Only an architecture that treats every sample alone may be cut: there it changes nothing but
    memory and its traffic.
    """
    return slice_for(ctx) if is_per_sample(arch) else None


def slice_for(ctx: Context) -> int:
    """Return :func:`slice_size` of a network that treats every sample alone."""
    return _SLICE.get(ctx.device.type, _SLICE_ELSEWHERE)


def class_groups(classes: int, per_class: int, size: int | None) -> list[slice]:
    """Cut the classes into runs that together fill a slice; one run if nothing may be cut.

    Args:
        classes: how many there are.
        per_class: images of each.
        size: of :func:`slice_size`.
    """
    step = max(1, size // per_class) if size else classes
    return [slice(first, first + step) for first in range(0, classes, step)]


def even_slices(count: int, size: int | None) -> list[slice]:
    """Cut ``range(count)`` into nearly equal runs of at most ``size``; one run if that is ``None``.

    Their number is even, unless one is enough or each holds one, so that two cores share alike.
    """
    if size is None or count <= size // 2:
        return [slice(0, count)]
    parts = min(count, 2 * math.ceil(count / (2 * size)))
    edges = [count * i // parts for i in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def parallel(function: Callable[[T], R], items: Sequence[T], ctx: Context) -> list[R]:
    """Return ``[function(item) for item in items]``; on a CPU, one item per core at a time.

    Threads that share one operation on a small slice mostly wait for each other, above all on a
    busy machine; threads that have a slice each do not. Gradient mode and autocast are per thread,
    so ``function`` must set its own, and it must not draw random numbers.
    """
    return list(_in_order(function, items, ctx))


def parallel_sum(
    function: Callable[[T], Sequence[Tensor]], items: Sequence[T], ctx: Context
) -> list[Tensor]:
    """Return the elementwise sum of ``function(item)`` over items, as :func:`parallel` does them.

    Terms are added in the order of the items, so the number of cores changes no digit.
    """
    total: list[Tensor] = []
    for terms in _in_order(function, items, ctx):
        if total:
            torch._foreach_add_(total, list(terms))
        else:
            total = [term.clone() for term in terms]
    return total


def _in_order(function: Callable[[T], R], items: Sequence[T], ctx: Context) -> Iterator[R]:
    threads = torch.get_num_threads()
    if ctx.device.type != "cpu" or threads == 1 or len(items) < 2:
        yield from map(function, items)
        return
    try:
        with ThreadPoolExecutor(threads, "slice", torch.set_num_threads, (1,)) as pool:
            yield from pool.map(function, items)
    finally:
        torch.set_num_threads(threads)  # the workers' count reaches threads that start later


def replayed(
    name: str, step: Step, changed: Callable[[], Iterable[Tensor]], ctx: Context
) -> Replayed:
    """Return a step that is replayed as one graph on a GPU where that is faster.

    Args:
        name: of the step, in records.
        step: see :class:`bench.networks.replay.Replayed`.
        changed: returns the tensors that the step changes in place.
        ctx: whose device to compute on.
    """
    return Replayed(name, step, changed, recorder_for(ctx.device))


def suit_memory_order(name: str, network: nn.Module, batch: tuple[int, ...], ctx: Context) -> None:
    """Give a network's weights the order in memory that it trains fastest in on a GPU.

    Before anything is derived from them: recorded steps, copies.

    Args:
        name: of the network, in records.
        network: in the mode that it trains in; its weights keep their values.
        batch: the shape of what a training step gives it.
        ctx: whose device and precision to compute in.
    """
    _suit_memory_order(name, network, batch, ctx.precision, recorder_for(ctx.device))


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
