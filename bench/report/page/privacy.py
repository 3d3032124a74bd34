"""Results and failures without the paths of their machine: a page is sent to other people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bench.ledger.private_paths import without_paths
from bench.ledger.rows import Failure
from bench.report.row import Row


def public_rows(rows: Iterable[Row], root: Path) -> list[Row]:
    """Return results whose artefacts are named from the folder of their store on.

    Args:
        rows: results of one store.
        root: the folder of the store.
    """
    return [
        replace(row, artefacts=tuple(_inside(root, path) for path in row.artefacts)) for row in rows
    ]


def public_failures(failures: Iterable[Failure]) -> list[Failure]:
    """Return failures whose reasons name files, but not the folders that hold them."""
    return [replace(one, reason=without_paths(one.reason)) for one in failures]


def _inside(root: Path, path: str) -> str:
    if Path(path).is_relative_to(root):
        return Path(path).relative_to(root).as_posix()
    return without_paths(path)
