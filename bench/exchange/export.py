"""Export of a distilled set: files in a chosen format, with a card."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.distilled.base import DistilledSet
from bench.distilled.storage_type import stored_as
from bench.exchange.card import UNKNOWN_LICENCE, Provenance, card
from bench.exchange.contents import what_is_lost
from bench.exchange.export_formats import FORMATS
from bench.exchange.layouts import within
from bench.exchange.opened import artefact_of, load_own
from bench.ledger.cell import is_cell_id
from bench.ledger.store import Store
from bench.support.atomic_files import writing
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import file_sha256


def export(
    source: str,
    folder: Path,
    *,
    format: str = "safetensors",
    dtype: str | None = None,
    licence: str = UNKNOWN_LICENCE,
    store: Store,
    report: Callable[[str], object] = lambda _: None,
) -> list[Path]:
    """Write a distilled set into a new folder.

    Args:
        source: the id of a cell, or its beginning, or a file that bench wrote.
        folder: made by this call; it appears whole or not at all.
        format: one of :data:`bench.exchange.export_formats.FORMATS`.
        dtype: see :func:`bench.distilled.storage_type.stored_as`; ``None`` for no change.
        licence: what the card says of the images.
        store: where the cell is.
        report: receives, in lines, what the format does not hold of the set.

    Returns:
        The files that were written, the card among them.

    Raises:
        BenchError: there is no such set, it cannot be written so, or the folder exists.
    """
    if format not in FORMATS:
        raise BenchError(unknown_message("format", format, FORMATS))
    if folder.exists():
        raise BenchError(f"'{folder}' exists: name a new folder with -o")
    path, provenance, name = _found(source, store)
    distilled = load_own(path)
    if dtype is not None:
        distilled = stored_as(distilled, dtype)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
            made = Path(temporary, "set")
            made.mkdir()
            _write(distilled, made, name, format, provenance, licence)
            made.rename(folder)
    for lost in what_is_lost(distilled, format):
        report(f"'{folder}' does not hold {lost}")
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _write(
    distilled: DistilledSet,
    folder: Path,
    name: str,
    format: str,
    provenance: Provenance,
    licence: str,
) -> None:
    FORMATS[format](distilled, folder, name)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    text = card(
        name, distilled, provenance, licence=licence, form=format,
        files={str(p.relative_to(folder)): file_sha256(p) for p in files},
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")


def _found(source: str, store: Store) -> tuple[Path, Provenance, str]:
    """Return the file of a set, what the ledger knows of it, and a name for it."""
    path = within(Path(source))
    if path.exists() or not is_cell_id(source):
        return path, Provenance(), path.stem
    artefact = artefact_of(source, store)
    record = store.read(artefact.parent.name)
    evaluations = [
        each for each in store.records() if each.identity.get("distil") == artefact.parent.name
    ]
    if record is None:
        return artefact, Provenance(None, evaluations), source
    labels = record.labels
    ipc = "" if record.identity["ipc"] is None else f"-ipc{record.identity['ipc']}"
    name = f"{labels['method']}-{labels['dataset']}{ipc}-seed{labels['seed']}"
    return artefact, Provenance(record, evaluations), name
