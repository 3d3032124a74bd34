"""How fast a device does each kind of work: measured in a few seconds, and kept per machine.

Small pieces of the work of networks are counted (:mod:`bench.grid.step_work`) and timed. Rates are
measured again when they are old, or when torch, the processor, the threads or the kernels change.
A CPU is measured on one thread and by the time that it spends, so that other work on the machine
matters little; its threads are taken to share the work well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.grid.rates import Rates
from bench.grid.rehearsal import wait_for
from bench.grid.step_work import counted
from bench.grid.work import Work
from bench.networks.cpu_kernels import describe_kernels, fast_operations
from bench.support.glibc_memory import keep_freed_memory
from bench.support.machine import device_model
from bench.support.user_cache import read_cached, write_cached

_DTYPES = (torch.float32, torch.bfloat16)
# Each piece of work is repeated so long, and its fastest repetition counts.
_SECONDS = 0.15
# What a thread of a CPU adds when several share the work, as a share of what one does alone.
_SHARED = 0.85
# A piece that is repeated finds its operands in the caches, its branches predicted and its code
# loaded; in the midst of other work it is slower by about this factor (measured on a Zen 5).
_UNDISTURBED = 0.85


def device_rates(device: torch.device) -> Rates:
    """Return the rates of a device, measured now or lately."""
    source = [str(torch.__version__), device_model(device), str(torch.get_num_threads())]
    if device.type == "cpu":
        source.append(describe_kernels())
    name = f"rates-{device.type}"
    kept = read_cached(name, Rates)
    if kept is not None and kept.source == source and kept.is_fresh:
        return kept
    rates = measure_rates(device)
    rates.source, rates.measured = source, time.time()
    write_cached(name, rates)
    return rates


def measure_rates(device: torch.device) -> Rates:
    """Measure a device, in about two seconds."""
    keep_freed_memory()
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return _measure(device)
    torch.set_num_threads(1)
    try:
        rates = _measure(device)
    finally:
        torch.set_num_threads(threads)
    together = threads * _SHARED
    return Rates(_faster(rates.flops, together), _faster(rates.bytes, together), rates.calls)


def _measure(device: torch.device) -> Rates:
    rates = Rates({}, {}, float("inf"))
    rates.calls = _rate(_small_operations(device), device, rates, "")
    for dtype in _DTYPES:
        name = str(dtype).removeprefix("torch.")
        rates.bytes[name] = _rate(_block(device, dtype), device, rates, name)
    for dtype in _DTYPES:
        for piece in (_products(device, dtype), _convolutions(device, dtype)):
            name = next(iter(piece.work.flops))
            rates.flops[name] = _rate(piece, device, rates, name)
    return rates


def _faster(rates: Mapping[str, float], factor: float) -> dict[str, float]:
    return {kind: rate * factor for kind, rate in rates.items()}


@dataclass(frozen=True)
class _Piece:
    """A piece of work on a device, and what it comes to."""

    do: Callable[[], object]
    work: Work


def _piece(make: Callable[[torch.device], Callable[[], object]], device: torch.device) -> _Piece:
    with counted():
        on_cpu = make(torch.device("cpu"))
    with counted() as work:
        on_cpu()
    return _Piece(make(device), work)


def _rate(piece: _Piece, device: torch.device, known: Rates, kind: str) -> float:
    """Return the rate of one kind of work, without the time of kinds that are known already.

    Args:
        piece: what to time.
        device: where.
        known: the rates of other kinds.
        kind: of operations or bytes; empty for calls.
    """
    work, seconds = piece.work, _fastest(piece.do, device) / _UNDISTURBED
    other = Work(dict(work.flops), dict(work.bytes), work.calls)
    amount = other.flops.pop(kind, 0.0) + other.bytes.pop(kind, 0.0)
    if not kind:
        amount, other = work.calls, Work()
    return amount / max(seconds - known.seconds(other), seconds / 10)


def _small_operations(device: torch.device) -> _Piece:
    """Return operations on a few numbers, forward and backward."""

    def make(place: torch.device) -> Callable[[], object]:
        start = torch.ones(8, device=place, requires_grad=True)

        def do() -> None:
            end = start
            for _ in range(100):
                end = end * 0.5 + start
            torch.autograd.backward(end.sum())

        return do

    return _piece(make, device)


def _block(device: torch.device, dtype: torch.dtype) -> _Piece:
    """Return what follows a convolution: normalisation, activation and pooling, twice derived."""

    def make(place: torch.device) -> Callable[[], object]:
        maps = torch.ones(16, 64, 32, 32, device=place, dtype=dtype, requires_grad=True)
        scale = torch.ones(64, device=place, dtype=dtype, requires_grad=True)

        def do() -> None:
            y = F.instance_norm(maps, weight=scale, bias=scale)
            total = F.avg_pool2d(torch.relu(y), 2).square().sum()
            (slope,) = torch.autograd.grad(total, maps, create_graph=True)
            torch.autograd.backward(slope.square().sum())

        return do

    return _piece(make, device)


def _products(device: torch.device, dtype: torch.dtype) -> _Piece:
    """Return matrix products as in 3x3 convolutions, large and small."""

    def make(place: torch.device) -> Callable[[], object]:
        shapes = ((36, 256, 128, 128), (36, 128, 48, 48))
        pairs = [
            (torch.ones(n, a, b, device=place, dtype=dtype),
             torch.ones(n, b, c, device=place, dtype=dtype))
            for n, a, b, c in shapes
        ]  # fmt: skip
        return lambda: [torch.bmm(a, b) for a, b in pairs]

    return _piece(make, device)


def _convolutions(device: torch.device, dtype: torch.dtype) -> _Piece:
    """Return convolutions and their gradients, of many images and of few."""

    def make(place: torch.device) -> Callable[[], object]:
        def operands(images: int, channels: int, side: int) -> tuple[Tensor, Tensor]:
            x = torch.ones(images, channels, side, side, device=place, dtype=dtype)
            w = torch.ones(channels, channels, 4, 4, device=place, dtype=dtype)
            return x.requires_grad_(), w.requires_grad_()

        pairs = [operands(32, 48, 32), operands(8, 96, 16)]

        def do() -> None:
            for x, w in pairs:
                torch.autograd.backward(F.conv2d(x, w, stride=2, padding=1).sum())

        return do

    return _piece(make, device)


def _fastest(do: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of some calls."""
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    with fast_operations(device):
        do()
        best, until = float("inf"), time.perf_counter() + _SECONDS
        while True:
            wait_for(device)
            started = clock()
            do()
            wait_for(device)
            best = min(best, clock() - started)
            if time.perf_counter() >= until:
                return best
