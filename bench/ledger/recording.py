"""From what a cell came to, to its record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ledger.cell import Cell, EvaluateCell
from bench.ledger.labels import labels
from bench.ledger.record import Record
from bench.networks.cpu_kernels import describe_kernels
from bench.support.machine import describe_environment

if TYPE_CHECKING:
    import torch


def make_record(
    cell: Cell,
    status: str,
    reason: str | None,
    parts: Mapping[str, Any],
    device: torch.device,
    data_dir: Path,
    command: str | None = None,
) -> Record:
    """Return the record of a cell that ended now, on this machine.

    Args:
        cell: which.
        status: ``ok``, ``failed`` or ``skipped``.
        reason: why, unless it is ok.
        parts: its ``result``, ``budget`` and ``cost``, as far as there are any.
        device: what it was computed on.
        data_dir: the folder of packed datasets.
        command: the command line that asked for the cell; ``None`` for that of this process.
    """
    return Record(
        id=cell.id,
        kind="evaluate" if isinstance(cell, EvaluateCell) else "distil",
        status=status,
        identity=cell.identity,
        labels=labels(cell, data_dir),
        reason=reason,
        environment=describe_environment(device, kernels=describe_kernels, command=command),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        **parts,
    )
