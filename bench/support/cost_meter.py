"""What a cell costs: seconds, processor time, peak memory, energy, over all of its attempts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support.failure_reasons import fitting

if TYPE_CHECKING:
    import torch

_SUMS = ("seconds", "cpu_seconds", "energy_joules", "attempts")
_PEAKS = ("peak_host_bytes", "peak_device_bytes")
_TOO_MUCH = 2**63
_RAPL = Path("/sys/class/powercap")


class Meter:
    """Counts from its making on.

    Args:
        device: what the work runs on.
        before: what :meth:`read` said at the end of earlier attempts at the same work.

    Raises:
        UnfitStateError: ``before`` is nothing of the kind.
    """

    def __init__(self, device: torch.device, before: Mapping[str, Any] | None = None) -> None:
        self._device = device
        with fitting():
            self._before = _amounts(before or {})
        _forget_host_peak()
        if device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)
        self._energy = _joules(device)
        self._cpu, self._started = time.process_time(), time.perf_counter()

    def read(self) -> dict[str, Any]:
        """Return what was spent so far, earlier attempts included; plain JSON values.

        ``seconds`` of wall time; ``cpu_seconds`` of this process, all threads; ``peak_host_bytes``
        resident in this process, all of it; ``peak_device_bytes`` allocated by torch on a GPU;
        ``energy_joules`` of the whole GPU (or of all CPU packages), whoever else used them.
        What the machine does not report is left out.
        """
        found: dict[str, Any] = {
            "seconds": time.perf_counter() - self._started,
            "cpu_seconds": time.process_time() - self._cpu,
            "attempts": 1,
        }
        peak = host_peak_bytes()
        if peak is not None:
            found["peak_host_bytes"] = peak
        if self._device.type == "cuda":
            import torch

            found["peak_device_bytes"] = torch.cuda.max_memory_allocated(self._device)
        energy = _joules(self._device)
        # A counter that wrapped around says nothing.
        if energy is not None and self._energy is not None and energy >= self._energy:
            found["energy_joules"] = energy - self._energy
        return _joined(self._before, found)


def host_peak_bytes() -> int | None:
    """Return the most memory that this process held resident; ``None`` where unknown.

    Not ``ru_maxrss``: it starts from what the parent process held.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else None


def _amounts(spent: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a file says was spent."""
    for name, value in spent.items():
        if isinstance(value, bool) or not 0 <= value < _TOO_MUCH:
            raise ValueError(f"{name} is {value!r:.50}")
    return dict(spent)


def _forget_host_peak() -> None:
    """Let the kernel count the peak from now on; without that it is the process's own."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(now)
    for name in (*_SUMS, *_PEAKS):
        if name in before and name in joined:
            pair = (before[name], joined[name])
            joined[name] = sum(pair) if name in _SUMS else max(pair)
    if before and "energy_joules" not in before:
        joined.pop("energy_joules", None)  # part of it was not measured
    return joined


def _joules(device: torch.device) -> float | None:
    return _gpu_joules(device) if device.type == "cuda" else _cpu_joules(_RAPL)


def _gpu_joules(device: torch.device) -> float | None:
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(name.encode())
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except Exception:  # not installed, an old driver, a GPU that counts none: all the same here
        return None


def _cpu_joules(folder: Path) -> float | None:
    """Sum the energy counters of all CPU packages; only root may read them on many systems."""
    try:
        # "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it.
        packages = [p for p in folder.glob("*-rapl:*") if p.name.count(":") == 1]
        counters = [int((p / "energy_uj").read_text(encoding="ascii")) for p in packages]
    except (OSError, ValueError):
        return None
    return sum(counters) / 1e6 if counters else None
