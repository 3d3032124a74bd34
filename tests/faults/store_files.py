"""What a store holds, read for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.distilled.io import load_tensors
from bench.ledger.record import Record
from bench.ledger.state_file import load_state
from bench.ledger.store import Store
from bench.support.files import file_sha256

_KNOWN = ("request.json", "record.json", "artefact.safetensors", "byproducts.safetensors")
# All that a cost says of the work, and not of how long it took on how many attempts.
_COUNTED = ("total_steps", "distil_steps")
# Where bench came from and who asked: a store has another name, and a checkout may go on.
_ORIGIN = ("command", "git_commit", "git_dirty")


def cells(store: Path) -> dict[str, Record]:
    """Return every record by id; all must be readable."""
    opened = Store(store)
    found = {record.id: record for record in opened.records()}
    assert opened.damaged == []
    return found


def record_of(store: Path, method: str, kind: str) -> Record:
    """Return the only record of a method and kind."""
    (found,) = [r for r in cells(store).values() if (r.labels["method"], r.kind) == (method, kind)]
    return found


def checkpoints(folder: Path) -> list[dict[str, Any]]:
    """Return every checkpoint of a cell."""
    found = sorted(folder.glob("checkpoint*.safetensors"))
    return [load_state(path, torch.device("cpu")) for path in found]


def essence(store: Path) -> dict[str, Any]:
    """Return all that must not depend on how often the work was interrupted.

    Records but for times, attempts and the command, the bytes of artefacts and by-products, and the
    tensors of shared work (whose file says how long it took).
    """
    found: dict[str, Any] = {}
    for id_, record in cells(store).items():
        plain = record.to_json()
        del plain["finished"]
        plain["cost"] = {k: record.cost[k] for k in _COUNTED if k in record.cost}
        plain["environment"] = {k: v for k, v in record.environment.items() if k not in _ORIGIN}
        found[id_] = {**plain, "files": _files(store / "cells" / id_)}
    for path in sorted((store / "shared").glob("*.safetensors")):
        found[path.name] = _tensors(path)
    return found


def _files(folder: Path) -> Mapping[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}


def _tensors(path: Path) -> Mapping[str, Any]:
    return {name: tensor.tolist() for name, tensor in load_tensors(path)[0].items()}


def unfinished(store: Path) -> list[str]:
    """Return the ids of the cells that were kept and are not done."""
    folders = {path.parent for path in store.glob("cells/*/checkpoint*.safetensors")}
    return sorted(f.name for f in folders if not (f / "record.json").exists())


def temporaries(store: Path) -> list[Path]:
    """Return the temporary files of writers, at work or killed."""
    return [p for p in (*store.glob("cells/*/.*"), *store.glob("shared/.*")) if p.is_file()]


def strangers(store: Path) -> list[str]:
    """Return what is in the folders of done cells and should not be there: locks, checkpoints."""
    return sorted(
        str(path.relative_to(store)) for path in store.glob("cells/*/*") if path.name not in _KNOWN
    )
