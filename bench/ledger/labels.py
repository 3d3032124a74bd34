"""What people read of a cell; none of it determines a result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.ledger.cell import Cell, EvaluateCell


def labels(cell: Cell, data_dir: Path) -> dict[str, Any]:
    """Return what people read of a cell; none of it is part of the identity."""
    from bench.datasets.library import info

    made = cell.distil if isinstance(cell, EvaluateCell) else cell
    facts = info(made.dataset, data_dir)
    named: dict[str, Any] = {
        "title": cell.title,
        "method": made.method,
        "method_version": made.method_version,
        "dataset": made.dataset,
        "dataset_sha256": made.sha256,
        "dataset_note": facts.spec.note if facts else "",
        "n_test": facts.n_test if facts else 0,
        "profile": made.profile,
        "changed": made.changed,
        "distil_arch": made.arch or "",
        "seed": made.seed,
    }
    if isinstance(cell, EvaluateCell):
        named["protocol"] = f"{cell.protocol}-v{cell.protocol_version}"
    return named


def summary(result: Mapping[str, Any]) -> str:
    """Return in a few words what a cell found: ``91.5 %`` or ``20 steps``."""
    accuracies = result.get("accuracies")
    if accuracies:
        return f"{sum(accuracies) / len(accuracies):.1f} %"
    return f"{result['steps']} steps"
