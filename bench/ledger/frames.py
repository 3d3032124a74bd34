"""The store as pandas frames: one row per evaluation, and one per cell that did not succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ledger.record import Record
from bench.ledger.record_tables import EvaluationOutcome
from bench.ledger.store import Store

if TYPE_CHECKING:
    import pandas as pd

FRAME_COLUMNS = (
    "dataset", "dataset_note", "dataset_sha256", "n_test", "method", "method_version",
    "profile", "changed", "ipc", "mode", "arch", "eval_arch", "protocol", "selection", "precision",
    "seed", "accuracies", "nets", "distil_id", "cell_id", "distil_steps", "distil_seconds",
    "eval_seconds", "stored_bytes", "distinct_images", "training_steps", "device", "artefact",
)  # fmt: skip
FAILURE_COLUMNS = (
    "dataset", "method", "profile", "ipc", "mode", "eval_arch", "seed", "status", "reason",
    "cell_id",
)  # fmt: skip


_COUNTS = (
    "n_test", "method_version", "seed", "nets", "distil_steps", "stored_bytes",
    "distinct_images", "training_steps",
)  # fmt: skip
_DTYPES = {
    **dict.fromkeys(_COUNTS, "int64"),
    **dict.fromkeys(("distil_seconds", "eval_seconds"), "float64"),
    "ipc": "Int64",  # missing where a set is judged whole, or serves every IPC
}


def load_frames(
    root: Path, ids: Iterable[str] | None = None, note: Callable[[str], None] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a store.

    Args:
        root: the store's folder.
        ids: the cells to read; ``None`` reads all.
        note: is told of each record that could not be used, in a line.

    Returns:
        The successful evaluations (columns :data:`FRAME_COLUMNS`; accuracies in percent, one per
        network) and the cells that failed or were skipped (columns :data:`FAILURE_COLUMNS`).

    Raises:
        BenchError: if there is no store at ``root`` or it may not be read.
    """
    store = Store(root)
    store.check_readable()
    found = store.records() if ids is None else filter(None, map(store.read, ids))
    rows, failures = [], []
    for record in found:
        if record.outcome is None:
            failures.append(_failure(record))
        elif isinstance(record.outcome, EvaluationOutcome):
            rows.append(_row(record, record.outcome, store))
    if note is not None:
        for line in store.damaged:
            note(line)
    return _frame(rows, FRAME_COLUMNS), _frame(failures, FAILURE_COLUMNS)


def load_frame(root: Path) -> pd.DataFrame:
    """Return the successful evaluations of a store; see :func:`load_frames`."""
    return load_frames(root)[0]


def load_failures(root: Path) -> pd.DataFrame:
    """Return the failed and skipped cells of a store; see :func:`load_frames`."""
    return load_frames(root)[1]


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Build a frame whose column types do not depend on its rows."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.astype({name: _DTYPES[name] for name in columns if name in _DTYPES})


def _row(record: Record, outcome: EvaluationOutcome, store: Store) -> dict[str, Any]:
    identity, labels = record.identity, record.labels
    result, budget, cost = outcome.result, outcome.budget, outcome.cost
    return {
        **{k: labels[k] for k in ("dataset", "dataset_note", "dataset_sha256", "n_test", "method",
                                  "method_version", "profile", "changed", "protocol", "seed")},
        "ipc": identity["ipc"],
        "mode": identity["mode"],
        "arch": labels["distil_arch"],
        "eval_arch": identity["arch"],
        "selection": result.selection,
        "precision": identity["precision"],
        "accuracies": list(result.accuracies),
        "nets": len(result.accuracies),
        "distil_id": identity["distil"],
        "cell_id": record.id,
        "distil_steps": cost.distil_steps,
        "distil_seconds": cost.distil_seconds,
        "eval_seconds": cost.seconds,
        "stored_bytes": budget.stored_bytes,
        "distinct_images": budget.distinct_images,
        "training_steps": budget.training_steps,
        "device": record.environment["device"],
        "artefact": str(store.artefact(identity["distil"])),
    }  # fmt: skip


def _failure(record: Record) -> dict[str, Any]:
    identity, labels = record.identity, record.labels
    return {
        **{k: labels[k] for k in ("dataset", "method", "profile", "seed")},
        "ipc": identity["ipc"],
        "mode": identity.get("mode", ""),
        "eval_arch": identity.get("arch", "") if record.kind == "evaluate" else "",
        "status": record.status,
        "reason": record.reason,
        "cell_id": record.id,
    }
