"""The device on which the conformance suite computes: the CPU, unless one asks for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from bench.networks.precision import float32_mode
from bench.support.machine import use_deterministic_algorithms

_place: ContextVar[torch.device | None] = ContextVar("place", default=None)


def place() -> torch.device:
    """Return the device of the suite."""
    return _place.get() or torch.device("cpu")


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Run checks on a device within the block.

    On a GPU PyTorch computes by deterministic operations from then on, as ``bench run
    --deterministic`` does: a method must give the same bits twice. Float32 is not rounded to TF32,
    or parts of a batch would differ from the whole by more than an architecture's own fault.
    """
    if device.type == "cuda":
        use_deterministic_algorithms()
    token = _place.set(device)
    try:
        with float32_mode(device, "fp32"):
            yield
    finally:
        _place.reset(token)
