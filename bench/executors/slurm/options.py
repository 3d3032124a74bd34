"""The options of SLURM jobs, ``--slurm KEY=VALUE``, checked before anything is submitted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.executors.base import RETRIES
from bench.support.errors import BenchError

# The options that bench itself gives to sbatch; other values would break its bookkeeping.
_RESERVED = (
    "array", "chdir", "dependency", "error", "hold", "job-name", "no-requeue", "nodes", "ntasks",
    "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap",
)  # fmt: skip
_UNIT_MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are submitted; no option changes a result.

    Attributes:
        partition: SLURM's queue; ``None`` for the cluster's default.
        time: the limit of one job, in SLURM's notation (minutes, or D-HH:MM:SS); a cell that needs
            more is requeued and resumed. ``None`` for the partition's default.
        account: the account that the time is charged to.
        gpus_per_task: GPUs of each job.
        cpus_per_task: processors of each job, and threads of its computation.
        limit: how many jobs of one array run at the same time.
        grace: seconds before the time limit at which SLURM asks a job to save a checkpoint; it can
            be up to a minute earlier. It must be longer than a step of the slowest method.
        retries: how often a cell is submitted again after its job died without a result.
        poll: seconds between two queries of the queue.
        sbatch: other options of ``sbatch``, by their long names without dashes.
    """

    partition: str | None = None
    time: str | None = None
    account: str | None = None
    gpus_per_task: int | None = None
    cpus_per_task: int | None = None
    limit: int = 256
    grace: int = 120
    retries: int = RETRIES
    poll: float = 5.0
    sbatch: Mapping[str, str | bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> SlurmOptions:
        """Read ``KEY=VALUE`` texts; a key that is no attribute is an option of ``sbatch``.

        An option of ``sbatch`` can have no value: ``exclusive``.

        Raises:
            BenchError: naming the key or value that is not allowed.
        """
        options, sbatch = cls(), {}
        for text in texts:
            key, sign, value = text.partition("=")
            name = key.strip().lstrip("-").replace("-", "_")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or (sign and not value):
                raise BenchError(f"--slurm '{text}' is not of the form KEY=VALUE")
            if name in _READERS:
                options = replace(options, **{name: _READERS[name](f"--slurm {name}", value)})
            elif (long := name.replace("_", "-")) in _RESERVED:
                raise BenchError(f"--slurm {long} is not allowed: bench sets it itself")
            else:
                sbatch[long] = value if sign else True
        return replace(options, sbatch=sbatch)


def _text(what: str, value: str) -> str:
    if not value:
        raise BenchError(f"{what} needs a value: {what}=VALUE")
    return value


def _whole(smallest: int) -> Callable[[str, str], int]:
    def read(what: str, value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value) or int(value) < smallest:
            raise BenchError(
                f"{what}={value} is not allowed: it must be a whole number from {smallest} up"
            )
        return int(value)

    return read


def _seconds(what: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise BenchError(f"{what}={value} is not allowed: it must be seconds, at most 3600")
    return seconds


def _time(what: str, value: str) -> str:
    """Return a time as SLURM writes it; ``8h``, ``90m`` and ``2d`` become minutes."""
    short = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", value)
    if short:
        return str(max(1, math.ceil(float(short[1]) * _UNIT_MINUTES[short[2]])))
    if re.fullmatch(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}", value):
        return value
    raise BenchError(f"{what}={value} is not allowed: write 8h, 90m, or as SLURM does, 1-12:00:00")


_READERS: dict[str, Callable[[str, str], Any]] = {
    "partition": _text, "time": _time, "account": _text, "gpus_per_task": _whole(1),
    "cpus_per_task": _whole(1), "limit": _whole(1), "grace": _whole(0), "retries": _whole(0),
    "poll": _seconds,
}  # fmt: skip
