"""The files of a distilled set in its cell's folder: the artefact itself, and its by-products."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.store import Store
from bench.support.atomic_files import writing
from bench.support.untrusted import file_sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.distilled.base import DistilledSet


def write_artefact(
    store: Store, cell_id: str, distilled: DistilledSet, byproducts: Mapping[str, Tensor]
) -> tuple[str, str | None]:
    """Write a distilled set, and by-products if there are any; return the files' sha256.

    Raises:
        CannotWriteError: if the disk is full or the store cannot be written.
    """
    from bench.distilled.io import save, save_tensors

    path, beside = store.artefact(cell_id), store.byproducts(cell_id)
    with writing(path):
        save(distilled, path)
    if not byproducts:
        beside.unlink(missing_ok=True)  # of an earlier result of this cell
        return file_sha256(path), None
    with writing(beside):
        save_tensors(dict(byproducts), {"id": cell_id}, beside)
    return file_sha256(path), file_sha256(beside)


def load_artefact(
    store: Store, cell_id: str, device: torch.device
) -> tuple[DistilledSet, dict[str, Tensor]]:
    """Return a distilled set and the by-products that its record names, on a device.

    Raises:
        BenchError: a file is absent or damaged.
    """
    from bench.distilled.io import load, load_tensors

    record, beside = store.read(cell_id), store.byproducts(cell_id)
    byproducts: dict[str, Tensor] = {}
    if record is not None and beside.name in record.files:
        byproducts, _ = load_tensors(beside, device)
    return load(store.artefact(cell_id), device), byproducts


def set_aside_damaged_artefact(store: Store, cell_id: str) -> bool:
    """Set an artefact or by-products aside that are not what their record says.

    Their cell then counts as missing.

    Returns:
        True if anything was set aside.
    """
    record = store.read(cell_id)
    if record is None:
        return False
    damaged = [path for path, sha256 in store.hashed_files(record) if _is_damaged(path, sha256)]
    for path in damaged:
        store.damaged.append(f"'{path}' is damaged; set aside, and computed again")
        with suppress(FileNotFoundError):  # another process has just done so
            path.replace(path.with_suffix(".damaged"))
    return bool(damaged)


def _is_damaged(path: Path, sha256: str) -> bool:
    if not os.path.lexists(path):
        return False  # the state of the cell says that it is missing
    try:
        return file_sha256(path) != sha256
    except (ValueError, FileNotFoundError, IsADirectoryError):  # no plain file, or a link to none
        return True
