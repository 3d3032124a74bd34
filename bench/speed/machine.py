"""The machine that is measured: its name, its load, and what a process asked of its memory."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from bench.networks.cpu_kernels import describe_kernels
from bench.support.machine import cpu_model, describe_environment

if TYPE_CHECKING:
    import torch

# Processes ready to run, on average over the last minute, from which on a figure is in doubt.
_BUSY = 0.5


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return versions, device and threads as plain JSON values, a CPU by its model's name."""
    import torch

    found = describe_environment(device, kernels=describe_kernels)
    if device.type == "cpu":
        found["device_name"] = cpu_model() or found["device_name"]
        found["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    return found


def load_average() -> float | None:
    """Return how many processes were ready to run over the last minute; ``None`` if unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def busy_warning(load: float | None) -> str | None:
    """Return what to say of a machine that has other work, or ``None`` if it is quiet."""
    if load is None or load < _BUSY:
        return None
    return (
        f"this machine is busy (load average {load:.2f} at the start): "
        "measure again with nothing else running before you quote a figure"
    )


def page_faults() -> int:
    """Return how many pages this process was given without reading a file; 0 where unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
