"""The options of SLURM jobs, ``--slurm KEY=VALUE``, checked before anything is submitted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

import msgspec

from bench.support.errors import BenchError

# The options that bench itself gives to sbatch; other values would break its bookkeeping.
_RESERVED = (
    "array", "chdir", "dependency", "error", "hold", "job-name", "no-requeue", "nodes", "ntasks",
    "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap",
)  # fmt: skip
# Those of sbatch that have no value. Any other one without a value would take the next for it.
_FLAGS = ("contiguous", "exclusive", "overcommit", "oversubscribe", "spread-job", "use-min-nodes")
_OWN = ("time", "limit", "grace", "poll")
_UNIT_MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are submitted; no option changes a result.

    Attributes:
        time: the limit of one job, in SLURM's notation (minutes, or D-HH:MM:SS); a cell that needs
            more is requeued and resumed. ``None`` for the partition's default.
        limit: how many jobs of one array run at the same time.
        grace: seconds before the time limit at which SLURM asks a job to save a checkpoint; it can
            be up to a minute earlier. It must be longer than a step of the slowest method.
        poll: seconds between two queries of the queue.
        sbatch: options of ``sbatch``, by their long names without dashes; SLURM checks them.
    """

    time: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, lt=10**9)] = 256
    grace: Annotated[int, msgspec.Meta(ge=0, lt=10**9)] = 120
    poll: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0
    sbatch: Mapping[str, str | bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> SlurmOptions:
        """Read ``KEY=VALUE`` texts; a key that is no attribute is an option of ``sbatch``.

        Few options of ``sbatch`` have no value: ``exclusive``.

        Raises:
            BenchError: naming the key or value that is not allowed.
        """
        values: dict[str, Any] = {}
        sbatch: dict[str, str | bool] = {}
        for text in texts:
            key, sign, value = text.partition("=")
            name = key.strip().lstrip("-").replace("_", "-")
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or (sign and not value):
                raise BenchError(f"--slurm '{text}' is not of the form KEY=VALUE")
            if name in _RESERVED:
                raise BenchError(f"--slurm {name} is not allowed: bench sets it itself")
            if not sign and name not in _FLAGS:
                raise BenchError(f"--slurm {name} needs a value: --slurm {name}=VALUE")
            if name in _OWN:
                values[name] = _convert(name, value)
            else:
                sbatch[name] = value if sign else True
        return cls(**values, sbatch=sbatch)


def _convert(name: str, text: str) -> Any:
    kind = get_type_hints(SlurmOptions, include_extras=True)[name]
    try:
        return msgspec.convert(_minutes(text) if name == "time" else text, kind, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error)[0].lower() + str(error)[1:]
        raise BenchError(f"--slurm {name}={text} is not allowed: {reason}") from error


def _minutes(text: str) -> str:
    """Return a time as SLURM writes it; ``8h``, ``90m`` and ``2d`` become minutes."""
    short = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text)
    if short:
        return str(max(1, math.ceil(float(short[1]) * _UNIT_MINUTES[short[2]])))
    if re.fullmatch(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}", text):
        return text
    raise msgspec.ValidationError("write 8h, 90m, or as SLURM does, 1-12:00:00")
