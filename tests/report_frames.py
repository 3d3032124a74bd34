"""A synthetic store's frames, with what a real lite run holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from record_builders import evaluate_json, failed_json, record

from bench.ledger.frames import FAILURE_COLUMNS, FRAME_COLUMNS
from bench.ledger.record import Record
from bench.ledger.store import Store

# method -> (profile, arch, modes, steps, seconds, stored bytes per IPC; 0 for a generator)
_METHODS = {
    "random": ("any", "", ("stored",), 1, 0.02, 30720),
    "herding": ("any", "convnet3", ("stored",), 1, 41.5, 30720),
    "dm": ("lite", "convnet3", ("stored",), 2000, 380.0, 122880),
    "gan": ("lite", "", ("stream", "frozen"), 8000, 2900.0, 0),
    "dim": ("lite", "", ("stream", "frozen"), 12000, 4225.0, 0),
}
_LEVEL = {"random": 0.0, "herding": 4.0, "dm": 9.0, "gan": 7.0, "dim": 12.0}
_BASE = {1: 14.0, 10: 27.0, 50: 42.0}
_GENERATOR_BYTES = 14_237_452
_DATASETS = {"cifar10": ("", "c" * 64, 10000), "svhn": ("went through JPEG", "5" * 64, 26032)}


def cell(**changes: Any) -> dict[str, Any]:
    """Return one evaluation cell, with some columns changed."""
    base = {
        "dataset": "cifar10", "dataset_note": "", "dataset_sha256": "c" * 64, "n_test": 10000,
        "method": "random", "method_version": 1,
        "profile": "any", "changed": "", "ipc": 10, "mode": "stored",
        "arch": "", "eval_arch": "convnet3", "protocol": "quick-v1", "selection": "last",
        "precision": "fp32", "seed": 0, "accuracies": [26.0, 27.0], "nets": 2,
        "distil_id": "d0", "cell_id": "e0", "distil_steps": 1, "distil_seconds": 0.5,
        "eval_seconds": 60.0, "stored_bytes": 307200, "distinct_images": 100,
        "training_steps": 300, "device": "cpu", "artefact": "cells/d0/artefact.safetensors",
    }  # fmt: skip
    assert set(changes) <= set(base)
    merged = {**base, **changes}
    return {**merged, "nets": len(merged["accuracies"])}


def frame_of(*cells: dict[str, Any]) -> pd.DataFrame:
    """Return cells as ``load_frames`` does."""
    return pd.DataFrame(list(cells), columns=list(FRAME_COLUMNS)).astype({"ipc": "Int64"})


def failures_of(*cells: dict[str, Any]) -> pd.DataFrame:
    """Return failures as ``load_frames`` does."""
    return pd.DataFrame(list(cells), columns=list(FAILURE_COLUMNS)).astype({"ipc": "Int64"})


def example_frame() -> pd.DataFrame:
    """Two datasets, five methods, IPC 1, 10 and 50, two seeds, and one whole row."""
    cells = [
        one
        for dataset in _DATASETS
        for method in _METHODS
        for ipc in (1, 10, 50)
        for mode in _METHODS[method][2]
        for seed in (0, 1)
        for one in [_example(dataset, method, ipc, mode, seed)]
        if (dataset, method, ipc, seed) != ("svhn", "dm", 50, 1)
    ]
    return frame_of(*cells, _whole())


def example_failures() -> pd.DataFrame:
    """One cell that failed."""
    return failures_of({
        "dataset": "svhn", "method": "dm", "profile": "lite", "ipc": 50, "mode": "stored",
        "eval_arch": "convnet3", "seed": 1, "status": "failed",
        "reason": "loss is NaN at step 412", "cell_id": "f0",
    })  # fmt: skip


def _example(dataset: str, method: str, ipc: int, mode: str, seed: int) -> dict[str, Any]:
    note, sha, n_test = _DATASETS[dataset]
    profile, arch, _, steps, seconds, stored = _METHODS[method]
    level = _BASE[ipc] + _LEVEL[method] - (2.5 if mode == "frozen" else 0) + (dataset == "svhn")
    stored_bytes = stored * ipc or _GENERATOR_BYTES
    artefact = f"{method}-{dataset}-{seed}" + ("" if not stored else f"-{ipc}")
    return cell(
        dataset=dataset, dataset_note=note, dataset_sha256=sha, n_test=n_test, method=method,
        profile=profile, ipc=ipc, mode=mode, arch=arch, seed=seed,
        accuracies=[level + 0.4 * seed, level + 0.9 - 0.3 * seed],
        distil_id=artefact, cell_id=f"{artefact}-{ipc}-{mode}", distil_steps=steps,
        distil_seconds=seconds * (1 + 0.1 * seed), eval_seconds=40.0 + ipc,
        stored_bytes=stored_bytes, distinct_images=10 * ipc * (300 if mode == "stream" else 1),
        training_steps=300 * max(1, -(-ipc * 10 // 256)),
        artefact=f"cells/{artefact}/artefact.safetensors",
    )  # fmt: skip


def _whole() -> dict[str, Any]:
    return cell(
        method="whole", ipc=None, accuracies=[83.9, 84.3], distil_id="whole-cifar10",
        cell_id="whole-cifar10-e", distil_seconds=0.01, eval_seconds=5100.0,
        stored_bytes=153_600_000, distinct_images=50_000, training_steps=5880,
        artefact="cells/whole-cifar10/artefact.safetensors",
    )  # fmt: skip


def write_store(root: Path, frame: pd.DataFrame, failures: pd.DataFrame | None = None) -> Path:
    """Write frames as the records they would have come from."""
    store = Store(root)
    store.prepare()
    for one in frame.to_dict("records"):
        store.write(_record(one))
    for one in failures.to_dict("records") if failures is not None else ():
        labels = {k: one[k] for k in ("dataset", "method", "profile", "seed")}
        identity = {"ipc": int(one["ipc"]), "mode": one["mode"], "arch": one["eval_arch"]}
        store.write(
            record(
                {
                    **failed_json(one["cell_id"]),
                    "status": one["status"],
                    "reason": one["reason"],
                    "identity": identity,
                    "labels": labels,
                }
            )
        )
    return root


def _record(one: dict[str, Any]) -> Record:
    data = evaluate_json(one["cell_id"], distil=one["distil_id"])
    ipc = None if pd.isna(one["ipc"]) else int(one["ipc"])
    data["identity"] |= {
        "ipc": ipc, "mode": one["mode"], "arch": one["eval_arch"], "precision": one["precision"],
    }  # fmt: skip
    names = ("dataset", "dataset_note", "dataset_sha256", "n_test", "method", "method_version",
             "profile", "changed", "protocol", "seed")  # fmt: skip
    data["labels"] |= {**{name: one[name] for name in names}, "distil_arch": one["arch"]}
    data["result"] |= {"selection": one["selection"], "accuracies": list(one["accuracies"])}
    budgets = ("stored_bytes", "distinct_images", "training_steps")
    data["budget"] |= {"nominal_ipc": ipc, **{name: one[name] for name in budgets}}
    data["cost"] |= {
        "seconds": one["eval_seconds"], "distil_steps": one["distil_steps"],
        "distil_seconds": one["distil_seconds"],
    }  # fmt: skip
    data["environment"] |= {"device": one["device"]}
    return record(data)
