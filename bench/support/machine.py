"""Which machine and which versions made a number."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bench.support.errors import BenchError, unknown_message
from bench.support.provenance import command_line, git_state

if TYPE_CHECKING:
    import torch

_PACKAGES = ("distillation-bench", "torch", "torchvision", "kornia", "numpy")
# Recorded where they are in use; their names are those of their modules.
_EXTRAS = ("timm",)
_MOST_THREADS = 1024
DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """Return the device that ``name`` means; ``auto`` takes cuda, else mps, else cpu.

    Raises:
        BenchError: for a device that is unknown or not present here.
    """
    import torch

    kind = name.split(":")[0]
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        return torch.device(next(k for k, count in counts.items() if count))
    try:
        device = torch.device(name) if kind in counts else None
    except RuntimeError:  # torch cannot read it: "cpu:x"
        device = None
    if device is None:
        raise BenchError(unknown_message("device", name, DEVICES))
    if (device.index or 0) >= counts[kind]:
        raise BenchError(f"device '{name}' is not available on this machine; try --device cpu")
    return device


def usable_cpus() -> int:
    """Return how many processors this process may use: fewer than there are in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Compute with this many threads, in this process.

    Raises:
        BenchError: for less than one, or more than any machine has.
    """
    import torch

    if not 1 <= count <= _MOST_THREADS:
        raise BenchError(
            f"{count} threads are not allowed: it must be a whole number from 1 to {_MOST_THREADS}"
        )
    torch.set_num_threads(count)


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Return versions, device, threads and a CPU's kernels as plain JSON values.

    With the commit of the code and whether it was changed since, both ``None`` where bench is not
    a checkout, and the command line.
    """
    import torch

    from bench.networks.cpu_kernels.build import describe_kernels

    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    commit, dirty = git_state() or (None, None)
    return {
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in (*_PACKAGES, *_used_extras())},
        "system": platform.system(),
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "git_commit": commit,
        "git_dirty": dirty,
        "command": command_line(),
        **({"kernels": describe_kernels()} if device.type == "cpu" else {}),
    }


def _used_extras() -> list[str]:
    return [package for package in _EXTRAS if package in sys.modules]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
