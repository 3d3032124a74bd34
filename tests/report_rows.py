"""The rows of a synthetic store, with what a real lite run holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from record_builders import evaluate_json, failed_json, record

from bench.ledger.record import Record
from bench.ledger.rows import Evaluation, Failure
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


_EVALUATION = Evaluation(
    dataset="cifar10", dataset_note="", dataset_sha256="c" * 64, n_test=10000,
    eval_arch="convnet3", protocol="quick-v1", selection="last", precision="fp32",
    method="random", method_version=1, profile="any", changed="", ipc=10, mode="stored", arch="",
    labels="hard", origin="bench", plugin_source="", percent=None,
    seed=0, accuracies=(26.0, 27.0), nets=2, stored_as="made",
    diverged=(),
    distil_id="d0", cell_id="e0", distil_steps=1,
    distil_seconds=0.5, eval_seconds=60.0, stored_bytes=307200, distinct_images=100,
    training_steps=300, device="cpu", threads=2, distil_threads=1,
    artefact="cells/d0/artefact.safetensors",
)  # fmt: skip


def evaluation(**changes: Any) -> Evaluation:
    """Return one evaluation, with some fields changed."""
    changed = replace(_EVALUATION, **changes)
    accuracies = tuple(map(float, changed.accuracies))
    nets = len(accuracies) + len(changed.diverged)
    return replace(changed, accuracies=accuracies, nets=nets)


def failure(**changes: Any) -> Failure:
    """Return one cell that failed, with some fields changed."""
    base = Failure(
        dataset="svhn", method="dm", profile="lite", ipc=50, mode="stored", eval_arch="convnet3",
        seed=1, status="failed", reason="loss is NaN at step 412", cell_id="f0",
    )  # fmt: skip
    return replace(base, **changes)


def example_evaluations() -> list[Evaluation]:
    """Return two datasets, five methods, IPC 1, 10 and 50, two seeds, and one whole set."""
    evaluations = [
        _example(dataset, method, ipc, mode, seed)
        for dataset in _DATASETS
        for method in _METHODS
        for ipc in (1, 10, 50)
        for mode in _METHODS[method][2]
        for seed in (0, 1)
        if (dataset, method, ipc, seed) != ("svhn", "dm", 50, 1)
    ]
    return [*evaluations, _whole()]


def example_failures() -> list[Failure]:
    """Return one cell that failed."""
    return [failure()]


def _example(dataset: str, method: str, ipc: int, mode: str, seed: int) -> Evaluation:
    note, sha, n_test = _DATASETS[dataset]
    profile, arch, _, steps, seconds, stored = _METHODS[method]
    level = _BASE[ipc] + _LEVEL[method] - (2.5 if mode == "frozen" else 0) + (dataset == "svhn")
    stored_bytes = stored * ipc or _GENERATOR_BYTES
    artefact = f"{method}-{dataset}-{seed}" + ("" if not stored else f"-{ipc}")
    return evaluation(
        dataset=dataset, dataset_note=note, dataset_sha256=sha, n_test=n_test, method=method,
        profile=profile, ipc=ipc, mode=mode, arch=arch, seed=seed,
        accuracies=(level + 0.4 * seed, level + 0.9 - 0.3 * seed),
        distil_id=artefact, cell_id=f"{artefact}-{ipc}-{mode}", distil_steps=steps,
        distil_seconds=seconds * (1 + 0.1 * seed), eval_seconds=40.0 + ipc,
        stored_bytes=stored_bytes, distinct_images=10 * ipc * (300 if mode == "stream" else 1),
        training_steps=300 * max(1, -(-ipc * 10 // 256)),
        artefact=f"cells/{artefact}/artefact.safetensors",
    )  # fmt: skip


def _whole() -> Evaluation:
    return evaluation(
        method="whole", ipc=None, accuracies=(83.9, 84.3), distil_id="whole-cifar10",
        cell_id="whole-cifar10-e", distil_seconds=0.01, eval_seconds=5100.0,
        stored_bytes=153_600_000, distinct_images=50_000, training_steps=5880,
        artefact="cells/whole-cifar10/artefact.safetensors",
    )  # fmt: skip


def write_store(
    root: Path, evaluations: Iterable[Evaluation], failures: Iterable[Failure] = ()
) -> Path:
    """Write the records that have these rows."""
    store = Store(root)
    store.prepare()
    for one in evaluations:
        store.write(_record(one))
    for each in failures:
        labels = {k: getattr(each, k) for k in ("dataset", "method", "profile", "seed")}
        identity = {"ipc": each.ipc, "mode": each.mode, "arch": each.eval_arch}
        data = {**failed_json(each.cell_id), "status": each.status, "reason": each.reason}
        store.write(record({**data, "identity": identity, "labels": labels}))
    return root


def _record(one: Evaluation) -> Record:
    data = evaluate_json(one.cell_id, distil=one.distil_id)
    data["identity"] |= {
        "ipc": one.ipc, "mode": one.mode, "arch": one.eval_arch, "precision": one.precision,
    }  # fmt: skip
    names = ("dataset", "dataset_note", "dataset_sha256", "n_test", "method", "method_version",
             "profile", "changed", "protocol", "seed")  # fmt: skip
    data["labels"] |= {
        **{name: getattr(one, name) for name in names},
        "distil_arch": one.arch,
        **one.presentation.to_labels(),
        **({} if one.num_classes is None else {"num_classes": one.num_classes}),
        **({} if one.percent is None else {"percent": one.percent}),
    }
    data["result"] |= {"selection": one.selection, "accuracies": list(one.accuracies)}
    data["budget"] |= {
        "nominal_ipc": one.ipc, "stored_bytes": one.stored_bytes,
        "distinct_images": one.distinct_images, "training_steps": one.training_steps,
    }  # fmt: skip
    data["cost"] |= {
        "seconds": one.eval_seconds, "distil_steps": one.distil_steps,
        "distil_seconds": one.distil_seconds,
    }  # fmt: skip
    data["environment"] |= {"device": one.device, "threads": one.threads}
    return record(data)
