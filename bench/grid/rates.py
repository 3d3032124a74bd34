"""Rates: what a device does in a second, measured here or guessed from a datasheet."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from bench.grid.work import Work

_MOST_AGE = 30 * 86400.0


class Rates(msgspec.Struct):
    """What a device does in a second.

    Attributes:
        flops: floating-point operations a second, by kind and dtype as in
            :class:`bench.grid.work.Work`.
        bytes: bytes a second that operations read and write, by dtype, likewise.
        calls: operations a second if they have nothing to do.
        source: what the rates hold for: torch's version, the device, its threads and kernels.
        measured: when, in seconds since 1970.
    """

    flops: dict[str, float]
    bytes: dict[str, float]
    calls: float
    source: list[str] = []
    measured: float = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether they were measured lately."""
        return 0 <= time.time() - self.measured < _MOST_AGE

    def seconds(self, work: Work) -> float:
        """Return how long work takes; products of an unknown dtype go at the slowest rate."""
        return (
            _times(work.flops, self.flops)
            + _times(work.bytes, self.bytes)
            + (work.calls / self.calls)
        )


def _times(amounts: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """Return the seconds of amounts of work; an unknown kind goes at the slowest rate."""
    slowest = min(rates.values(), default=float("inf"))
    return sum(amount / rates.get(kind, slowest) for kind, amount in amounts.items())


# A guess, not a measurement: an H100 SXM by NVIDIA's datasheet (dense TF32 and bf16, memory), of
# which the training of small networks is taken to reach a third of the operations and 70 % of the
# bytes; 4 microseconds to start an operation.
_REACHED, _BYTES_REACHED, _START = 1 / 3, 0.7, 4e-6
H100 = Rates(
    {
        f"{kind} {dtype}": peak * _REACHED
        for kind in ("matmul", "conv")
        for dtype, peak in (("float32", 494e12), ("bfloat16", 989e12))
    },
    bytes=dict.fromkeys(("float32", "bfloat16"), 3.35e12 * _BYTES_REACHED),
    calls=1 / _START,
    source=["datasheet"],
)
