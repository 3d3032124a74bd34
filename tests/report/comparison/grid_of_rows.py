"""Evaluations of a small grid, with the accuracies that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report_rows import evaluation

from bench.ledger.rows import Evaluation

Accuracies = Mapping[int, Sequence[float]]  # by seed


def measured(method: str, accuracies: Accuracies, **changes: object) -> list[Evaluation]:
    """Return an evaluation for each seed of one method in one cell."""
    where = "-".join(map(str, changes.values()))
    return [
        evaluation(
            method=method, seed=seed, accuracies=list(values),
            cell_id=f"{method}-{where}-{seed}", distil_id=f"d-{method}-{where}-{seed}", **changes,
        )
        for seed, values in accuracies.items()
    ]  # fmt: skip
