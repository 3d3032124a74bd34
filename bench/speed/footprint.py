"""The most memory that an evaluation holds: `python -m bench.speed.footprint DEVICE PRECISION`.

On a CPU it runs in a process of its own, since a process's peak only ever rises.
"""

from __future__ import annotations

import subprocess
import sys

import torch

from bench.networks.precision import float32_mode
from bench.speed.stages import STAGES, made_up_set
from bench.support.cost_meter import host_peak_bytes
from bench.support.errors import BenchError

STAGE = "evaluation-ipc50"
# On a GPU steps of a shape are recorded at its fourth, and every epoch has two shapes.
_EPOCHS = 5


def peak_bytes(device: torch.device, precision: str) -> int | None:
    """Return the bytes that evaluating at IPC 50 holds at most; ``None`` where unknown.

    On a CPU that is all of a process, Python, torch and 10,000 real images included; on a GPU,
    what torch allocated there.

    Raises:
        BenchError: if the process that is measured fails.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        _evaluate(device, precision)
        return torch.cuda.max_memory_allocated(device)
    command = [sys.executable, "-m", __name__, str(device), precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"measuring memory failed: {done.stderr.strip()[-500:]}")
    return int(done.stdout) or None


def _evaluate(device: torch.device, precision: str) -> None:
    with float32_mode(device, precision):
        STAGES[STAGE].work(made_up_set(device), precision)(_EPOCHS)


if __name__ == "__main__":
    _evaluate(torch.device(sys.argv[1]), sys.argv[2])
    print(host_peak_bytes() or 0)
