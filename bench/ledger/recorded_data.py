"""The datasets that the records of a store name, read without the rest of each record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.ledger.cell import is_cell_id
from bench.ledger.index import WORTH_AN_INDEX, Index
from bench.support.untrusted import Limit, read_plain

_T = TypeVar("_T")


class _Labels(msgspec.Struct):
    dataset: str = ""
    dataset_sha256: str = ""
    dataset_note: str = ""


class _Record(msgspec.Struct):
    labels: _Labels


class _Request(msgspec.Struct):
    """What a cell is, written before it runs."""

    dataset: str = ""
    sha256: str = ""


def recorded_data(root: Path) -> dict[str, dict[str, str]]:
    """Return the notes of the data in a store: by dataset, then by the sha256 that names the data.

    The note of a cell that has no record yet is empty. Files that cannot be read are passed over.

    Args:
        root: the store's folder; it need not exist.
    """
    cells = os.path.join(root, "cells")
    try:
        names = filter(is_cell_id, os.listdir(cells))
    except OSError:
        return {}
    ids = list(names)
    index = Index(root) if len(ids) >= WORTH_AN_INDEX else None
    data: dict[str, dict[str, str]] = {}
    for name in ids:
        record = None if index is None else index.record(name)
        labels = _labels(f"{cells}/{name}") if record is None else _convert(record)
        if labels is not None and labels.dataset_sha256:
            notes = data.setdefault(labels.dataset, {})
            notes[labels.dataset_sha256] = labels.dataset_note or notes.get(
                labels.dataset_sha256, ""
            )
    return data


def _convert(record: dict[str, Any]) -> _Labels | None:
    try:
        return msgspec.convert(record, _Record).labels
    except msgspec.ValidationError:
        return None


def _labels(folder: str) -> _Labels | None:
    record = _read(f"{folder}/record.json", Limit.RECORD_BYTES, _Record)
    if record is not None:
        return record.labels
    request = _read(f"{folder}/request.json", Limit.CELL_BYTES, _Request)
    return None if request is None else _Labels(request.dataset, request.sha256)


def _read(path: str, limit: int, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(read_plain(path, limit, follow=False), type=kind)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
