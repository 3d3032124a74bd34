"""The contents of a store, read for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.distilled.io import load_tensors
from bench.ledger.record import Record
from bench.ledger.state_file import load_state
from bench.ledger.store import Store
from bench.support.untrusted import file_sha256

_KNOWN_FILES = ("request.json", "record.json", "artefact.safetensors", "byproducts.safetensors")
# What a cost says of the work itself, and not of its duration and attempts.
_COUNTS = ("total_steps", "distil_steps")
# A record's origin: stores have different names, and the checkout may change between two runs.
_ORIGIN = ("command", "git_commit", "git_dirty")
_RESULT = ("kind", "status", "reason", "identity", "labels", "result", "budget")


def read_records(store: Path) -> dict[str, Record]:
    """Return every record by id; all must be readable."""
    opened = Store(store)
    records = {record.id: record for record in opened.records()}
    assert opened.damaged == []
    return records


def only_record(store: Path, method: str, kind: str) -> Record:
    """Return the only record of a method and kind."""
    records = read_records(store).values()
    (record,) = [r for r in records if (r.labels["method"], r.kind) == (method, kind)]
    return record


def read_checkpoints(folder: Path) -> list[dict[str, Any]]:
    """Return every checkpoint of a cell's folder."""
    paths = sorted(folder.glob("checkpoint*.safetensors"))
    return [load_state(path, torch.device("cpu")) for path in paths]


def read_results(store: Path) -> dict[str, dict[str, Any]]:
    """Return the results by cell id: nothing of when, where, and how long."""
    results = {}
    for record in Store(store).records():
        data = record.to_json()
        cost = {name: data["cost"].get(name) for name in _COUNTS}
        results[record.id] = {**{name: data[name] for name in _RESULT}, **cost}
    return results


def read_contents(store: Path) -> dict[str, Any]:
    """Return all that must not depend on how often the work was interrupted.

    This is the records, without times, attempts and the command; the digests of artefacts and
    by-products; and the tensors of shared work (whose file also says how long it took).
    """
    contents: dict[str, Any] = {}
    for id_, record in read_records(store).items():
        data = record.to_json()
        del data["finished"]
        data["cost"] = {k: data["cost"][k] for k in _COUNTS if k in data["cost"]}
        data["environment"] = {k: v for k, v in record.environment.items() if k not in _ORIGIN}
        contents[id_] = {**data, "files": _digests(store / "cells" / id_)}
    for path in sorted((store / "shared").glob("*.safetensors")):
        contents[path.name] = _tensors(path)
    return contents


def _digests(folder: Path) -> Mapping[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}


def _tensors(path: Path) -> Mapping[str, Any]:
    return {name: tensor.tolist() for name, tensor in load_tensors(path)[0].items()}


def unfinished_cells(store: Path) -> list[str]:
    """Return the ids of the cells that have a checkpoint and no record."""
    folders = {path.parent for path in store.glob("cells/*/checkpoint*.safetensors")}
    return sorted(f.name for f in folders if not (f / "record.json").exists())


def temporary_files(store: Path) -> list[Path]:
    """Return the temporary files of writers, whether they still run or were killed."""
    return [p for p in (*store.glob("cells/*/.*"), *store.glob("shared/.*")) if p.is_file()]


def unexpected_files(store: Path) -> list[str]:
    """Return the files that a finished cell must not have: locks and checkpoints."""
    return sorted(
        str(path.relative_to(store))
        for path in store.glob("cells/*/*")
        if path.name not in _KNOWN_FILES
    )
