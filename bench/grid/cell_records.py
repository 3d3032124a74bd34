"""The records that a process writes of the cells that end in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.datasets.data_folder import DatasetInfo, info
from bench.grid.site import OpenSite
from bench.ledger.cell import Cell, EvaluateCell
from bench.ledger.new_record import make_record
from bench.ledger.record_tables import Outcome, Status
from bench.ledger.store import Store
from bench.networks.cpu_kernels import describe_kernels
from bench.networks.step_reasons import take_reasons
from bench.registry.presentation import declared_by
from bench.support.errors import BenchError
from bench.support.machine import describe_environment


def write_record(
    cell: Cell,
    status: Status,
    reason: str | None,
    ledger: Store,
    site: OpenSite,
    *,
    outcome: Outcome | None = None,
    seconds: float | None = None,
    labels: Mapping[str, Any] | None = None,
) -> None:
    """Write the record of a cell that ended now; see :func:`bench.ledger.new_record.make_record`.

    Raises:
        ValueError: the record would not be readable; nothing is written.
        CannotWriteError: the disk is full, or the store cannot be written.
    """
    facts = _describe_data(cell.dataset, site)
    method = (cell.distil if isinstance(cell, EvaluateCell) else cell).method
    environment = describe_environment(
        site.device, kernels=describe_kernels, command=site.site.command
    )
    if reasons := take_reasons():
        environment["steps"] = reasons
    record = make_record(
        cell,
        status,
        reason,
        outcome,
        seconds=seconds,
        dataset_note=facts.spec.note if facts else "",
        n_test=facts.n_test if facts else 0,
        num_classes=facts.spec.num_classes if facts else 0,
        declared={**declared_by(method).to_labels(), **(labels or {})},
        environment=environment,
    )
    ledger.write(record)


def _describe_data(dataset: str, site: OpenSite) -> DatasetInfo | None:
    """Return a dataset's facts; ``None`` if it is damaged, for which its cell fails."""
    try:
        return info(dataset, site.data_dir)
    except BenchError:
        return None


def write_failure(cell: Cell, reason: str, seconds: float, ledger: Store, site: OpenSite) -> None:
    """Write the record of a failed cell; its checkpoint stays."""
    write_record(cell, "failed", reason, ledger, site, seconds=seconds)
