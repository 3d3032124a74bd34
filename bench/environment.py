"""Which machine and which versions made a number."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, unknown_message

if TYPE_CHECKING:
    import torch

_PACKAGES = ("distillation-bench", "torch", "torchvision", "kornia", "numpy")
DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """Return the device that ``name`` means; ``auto`` takes cuda, else mps, else cpu.

    Raises:
        BenchError: for a device that is unknown or not present here.
    """
    import torch

    kind = name.split(":")[0]
    if kind not in DEVICES:
        raise BenchError(unknown_message("device", name, DEVICES))
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((k for k, here in present.items() if here), "cpu"))
    if not present.get(kind, True):
        raise BenchError(f"device '{name}' is not available on this machine; try --device cpu")
    return torch.device(name)


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Return versions, device and threads as plain JSON values."""
    import torch

    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in _PACKAGES},
        "system": platform.system(),
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
