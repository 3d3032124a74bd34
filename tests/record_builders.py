"""Records as the runner writes them, for tests of the store."""

from __future__ import annotations

from typing import Any

from bench.ledger.cell import hash_identity
from bench.ledger.record import Record


def labels() -> dict[str, Any]:
    """Return the labels of a cell."""
    return {
        "dataset": "digits", "method": "dm", "profile": "lite", "seed": 0, "dataset_note": "tiny",
        "dataset_sha256": "ab" * 32, "n_test": 297, "changed": "", "protocol": "quick-v1",
        "distil_arch": "convnet3", "method_version": 1,
    }  # fmt: skip


def distil_json(cell_id: str = "d0") -> dict[str, Any]:
    """Return the record of a successful distillation."""
    return {
        "schema_version": 1, "id": cell_id, "kind": "distil", "status": "ok", "reason": None,
        "identity": {"ipc": 10, "arch": "convnet3"},
        "labels": {k: labels()[k] for k in ("dataset", "method", "profile", "seed")},
        "result": {"kind": "image", "steps": 20, "artefact_sha256": "cd" * 32},
        "budget": {"stored_bytes": 640},
        "cost": {"seconds": 2.5, "total_seconds": 3.5, "total_steps": 20},
        "environment": {}, "finished": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip


def evaluate_json(cell_id: str = "e0", **identity: Any) -> dict[str, Any]:
    """Return the record of a successful evaluation."""
    return {
        "schema_version": 1, "id": cell_id, "kind": "evaluate", "status": "ok", "reason": None,
        "identity": {
            "ipc": 10, "mode": "stored", "arch": "resnet18", "precision": "fp32", "distil": "d0",
            **identity,
        },
        "labels": labels(),
        "result": {
            "accuracies": [61.5, 63.25], "final_losses": [0.5, 0.25], "selection": "last",
            "epochs": 300, "learning_rate": 0.01,
        },
        "budget": {
            "nominal_ipc": 10, "stored_bytes": 640, "distinct_images": 100, "training_steps": 300,
        },
        "cost": {"seconds": 4.0, "distil_seconds": 3.5, "distil_steps": 20},
        "environment": {"device": "cpu"}, "finished": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip


def failed_json(cell_id: str = "f0", kind: str = "evaluate") -> dict[str, Any]:
    """Return the record of a cell that failed."""
    return {
        "schema_version": 1, "id": cell_id, "kind": kind, "status": "failed",
        "reason": "loss is nan at step 3", "identity": {"ipc": 10},
        "labels": {k: labels()[k] for k in ("dataset", "method", "profile", "seed")},
        "result": {}, "budget": {}, "cost": {}, "environment": {},
        "finished": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip


def record(data: dict[str, Any]) -> Record:
    """Return a record of JSON."""
    return Record.from_json(data)


def hashed(data: dict[str, Any], **identity: Any) -> Record:
    """Return the record under the id that its identity has."""
    full = {**data["identity"], "kind": data["kind"], **identity}
    return Record.from_json({**data, "identity": full, "id": hash_identity(full)})
