"""The options of SLURM jobs, ``--slurm KEY=VALUE``, checked before anything is submitted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from bench.executors.base import RETRIES
from bench.support.errors import BenchError

# The options that bench itself gives to sbatch; other values would break its bookkeeping.
_RESERVED = (
    "array", "chdir", "dependency", "error", "hold", "job-name", "no-requeue", "nodes", "ntasks",
    "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap",
)  # fmt: skip
_Positive = Annotated[int, msgspec.Meta(ge=1, lt=10**9)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]
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
    gpus_per_task: _Positive | None = None
    cpus_per_task: _Positive | None = None
    limit: _Positive = 256
    grace: _Count = 120
    retries: _Count = RETRIES
    poll: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0
    sbatch: Mapping[str, str | bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> SlurmOptions:
        """Read ``KEY=VALUE`` texts; a key that is no attribute is an option of ``sbatch``.

        An option of ``sbatch`` can have no value: ``exclusive``.

        Raises:
            BenchError: naming the key or value that is not allowed.
        """
        types = get_type_hints(cls, include_extras=True)
        values: dict[str, Any] = {}
        sbatch: dict[str, str | bool] = {}
        for text in texts:
            key, sign, value = text.partition("=")
            name = key.strip().lstrip("-").replace("-", "_")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or (sign and not value):
                raise BenchError(f"--slurm '{text}' is not of the form KEY=VALUE")
            if name in types and name != "sbatch":
                values[name] = _convert(name, value, types[name])
            elif (long := name.replace("_", "-")) in _RESERVED:
                raise BenchError(f"--slurm {long} is not allowed: bench sets it itself")
            else:
                sbatch[long] = value if sign else True
        return cls(**values, sbatch=sbatch)


def _convert(name: str, value: str, kind: Any) -> Any:
    if not value:
        raise BenchError(f"--slurm {name} needs a value: --slurm {name}=VALUE")
    if NoneType in get_args(kind):  # an optional value
        kind = get_args(kind)[0]
    try:
        return msgspec.convert(_minutes(value) if name == "time" else value, kind, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error)[0].lower() + str(error)[1:]
        raise BenchError(f"--slurm {name}={value} is not allowed: {reason}") from error


def _minutes(text: str) -> str:
    """Return a time as SLURM writes it; ``8h``, ``90m`` and ``2d`` become minutes."""
    short = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text)
    if short:
        return str(max(1, math.ceil(float(short[1]) * _UNIT_MINUTES[short[2]])))
    if re.fullmatch(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}", text):
        return text
    raise msgspec.ValidationError("write 8h, 90m, or as SLURM does, 1-12:00:00")
