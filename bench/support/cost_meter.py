"""The cost of a cell over all attempts: seconds, processor time, peak memory and energy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support.failure_reasons import fitting
from bench.support.untrusted import Limit

if TYPE_CHECKING:
    import torch

# How the costs of two attempts are combined.
_SUMS = ("seconds", "cpu_seconds", "energy_joules", "attempts")
_PEAKS = ("peak_host_bytes", "peak_device_bytes")
# The folder of the kernel's energy counters of CPU packages.
POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Measures cost from its construction on.

    Args:
        device: the device that the work runs on.
        before: the result of :meth:`read` at the end of earlier attempts at the same work.
        attempt: the number of this attempt, from 1, where it is known: ``before`` lacks those that
            ended before they kept anything.

    Raises:
        UnfitStateError: ``before`` does not hold costs.
    """

    def __init__(
        self, device: torch.device, before: Mapping[str, Any] | None = None, attempt: int = 1
    ) -> None:
        self._device, self._attempt = device, attempt
        with fitting():
            self._before = _amounts(before or {})
        _forget_host_peak()
        if device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)
        self._started = self._counters()

    def read(self) -> dict[str, Any]:
        """Return the cost so far, earlier attempts included, as plain JSON values.

        What was spent while the meter was paused is left out, except of the peaks.

        ``seconds``: wall time. ``cpu_seconds``: processor time of all threads of this process.
        ``peak_host_bytes``: resident memory of this process. ``peak_device_bytes``: memory that
        torch allocated on a GPU. ``energy_joules``: energy of the whole GPU, or of all CPU
        packages, other processes included. Entries that the machine does not report are missing.
        """
        spent: dict[str, Any] = {**_differences(self._started, self._counters()), "attempts": 1}
        peak = host_peak_bytes()
        if peak is not None:
            spent["peak_host_bytes"] = peak
        if self._device.type == "cuda":
            import torch

            spent["peak_device_bytes"] = torch.cuda.max_memory_allocated(self._device)
        joined = _joined(self._before, spent)
        return {**joined, "attempts": max(joined["attempts"], self._attempt)}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is spent inside the block: it is counted elsewhere."""
        before = self._counters()
        try:
            yield
        finally:
            aside = _differences(before, self._counters())
            # What cannot be told apart any more is not measured.
            self._started = {k: v + aside[k] for k, v in self._started.items() if k in aside}

    def _counters(self) -> dict[str, float]:
        """Return what the clocks and the counter of energy, if there is one, say now."""
        counters = {"seconds": time.perf_counter(), "cpu_seconds": time.process_time()}
        energy = _joules(self._device)
        return counters if energy is None else {**counters, "energy_joules": energy}


def _differences(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Return what was spent in between; a counter that wrapped around is left out."""
    spent = {name: now[name] - value for name, value in before.items() if name in now}
    return {name: value for name, value in spent.items() if value >= 0}


def describe_energy(device: torch.device) -> str:
    """Return whether records will have the energy that a device takes, and why not."""
    if _joules(device) is not None:
        return "measured"
    if device.type == "cuda" and find_spec("pynvml") is None:
        return "not measured: it needs nvidia-ml-py: pip install 'distillation-bench[energy]'"
    return "not measured: the device counts none, or this user cannot read it"


def host_peak_bytes() -> int | None:
    """Return the peak of this process's resident memory; ``None`` where it is unknown.

    ``ru_maxrss`` would not do: it starts at the peak of the parent process.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else None


def _amounts(spent: Mapping[str, Any]) -> dict[str, Any]:
    """Check costs that come from a file."""
    for name, value in spent.items():
        if isinstance(value, bool) or not 0 <= value < Limit.AMOUNT:
            raise ValueError(f"{name} is {value!r:.50}")
    return dict(spent)


def _forget_host_peak() -> None:
    """Reset the kernel's record of the peak; where that fails, the peak is the whole process's."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Combine the costs of earlier attempts with those of this one."""
    joined = dict(now)
    for name in (*_SUMS, *_PEAKS):
        if name in before and name in joined:
            pair = (before[name], joined[name])
            joined[name] = sum(pair) if name in _SUMS else max(pair)
    if before and "energy_joules" not in before:
        joined.pop("energy_joules", None)  # earlier attempts were not measured
    return joined


def _joules(device: torch.device) -> float | None:
    return _gpu_joules(device) if device.type == "cuda" else _cpu_joules(POWERCAP)


def _gpu_joules(device: torch.device) -> float | None:
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(name.encode())
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except (
        Exception
    ):  # the extra energy is not installed, or the driver or the GPU does not count energy
        return None


def _cpu_joules(folder: Path) -> float | None:
    """Return the energy of all CPU packages; on many systems only root can read it."""
    try:
        # "intel-rapl:0" is a package; "intel-rapl:0:1" is a part of it, already counted.
        packages = [p for p in folder.glob("*-rapl:*") if p.name.count(":") == 1]
        counters = [int((p / "energy_uj").read_text(encoding="ascii")) for p in packages]
    except (OSError, ValueError):
        return None
    return sum(counters) / 1e6 if counters else None
