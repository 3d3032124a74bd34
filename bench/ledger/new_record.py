"""The record of a cell that ended now: its labels follow from the cell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from bench.ledger.cell import IMPORTED, Cell, EvaluateCell
from bench.ledger.record import Record
from bench.ledger.record_tables import Environment, Identity, Labels, Outcome, Status


def make_record(
    cell: Cell,
    status: Status,
    reason: str | None = None,
    outcome: Outcome | None = None,
    *,
    seconds: float | None = None,
    dataset_note: str,
    n_test: int,
    num_classes: int,
    declared: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> Record:
    """Return the record of a cell that ended now.

    Args:
        cell: the cell.
        status: how it ended.
        reason: why, unless it is ok.
        outcome: what it came to, if it is ok.
        seconds: wall time, if it failed.
        dataset_note: what sets the dataset apart from the official one.
        n_test: how many test images the dataset has.
        num_classes: how many classes it has.
        declared: labels that the method declares for reports.
        environment: see :func:`bench.support.machine.describe_environment`.
    """
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    labels: dict[str, Any] = {
        "title": cell.title,
        "method": distil.method,
        "method_version": distil.method_version,
        "dataset": distil.dataset,
        "dataset_sha256": distil.sha256,
        "dataset_note": dataset_note,
        "n_test": n_test,
        "num_classes": num_classes,
        "profile": distil.profile,
        "changed": ", ".join(filter(None, (distil.changed, distil.percent_mark))),
        "distil_arch": distil.arch or "",
        "seed": distil.seed,
        **declared,
    }
    if distil.profile == IMPORTED:
        labels["origin"] = IMPORTED
    if cell.sources:
        labels["sources"] = dict(cell.sources)
    if isinstance(cell, EvaluateCell):
        labels["changed"] = ", ".join(filter(None, (labels["changed"], cell.stored_mark)))
        if distil.percent is not None:
            labels["percent"] = distil.percent
        labels["protocol"] = f"{cell.protocol}-v{cell.protocol_version}"
    return Record(
        id=cell.id,
        kind="evaluate" if isinstance(cell, EvaluateCell) else "distil",
        status=status,
        reason=reason,
        identity=cast(Identity, cell.identity),
        labels=cast(Labels, labels),
        outcome=outcome,
        seconds=seconds,
        environment=cast(Environment, environment),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
