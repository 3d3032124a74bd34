"""Publish the distilled sets behind the records, or put the published ones back into a store.

    python results/reproduced/checks/sets.py publish STORE   # where a run left them
    python results/reproduced/checks/sets.py restore STORE   # a copy of results/reproduced/store

A set is published where the sha256 of its file is the one that its record names, and it is small;
so nothing can stand here that is not the set of the record. Cells without an evaluation are left
out.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.exchange.export import export
from bench.ledger.record import ARTEFACT, Record
from bench.ledger.store import Store
from bench.support.untrusted import file_sha256

HERE = Path(__file__).parents[1]
SETS, RECORDS = HERE / "sets", HERE / "store"
LARGEST, ALL = 2_000_000, 10_000_000
LICENCE = "that of the dataset's images"


def distillations() -> dict[str, Record]:
    """Return the records of distilled sets that were evaluated, by the sha256 of their files."""
    records = list(Store(RECORDS).records())
    used = {record.identity.get("distil") for record in records}
    return {
        record.files[ARTEFACT]: record
        for record in records
        if record.id in used and ARTEFACT in record.files
    }


def published() -> Iterator[tuple[Path, Record]]:
    """Yield each published file with its record.

    Raises:
        SystemExit: a file is that of no record.
    """
    records = distillations()
    for path in sorted(SETS.glob("*/*.safetensors")):
        record = records.get(file_sha256(path))
        if record is None:
            raise SystemExit(f"'{path}' is not the set of a record")
        yield path, record


def publish(store: Path) -> None:
    """Export the small sets of a store that are those of our records; small ones come first."""
    there = {record.id: path for path, record in published()}
    total = sum(path.stat().st_size for path in there.values())
    candidates = [
        (path.stat().st_size, record.id)
        for sha256, record in distillations().items()
        if (path := Store(store).artefact(record.id)).is_file()
        and record.id not in there
        and file_sha256(path) == sha256
    ]
    with tempfile.TemporaryDirectory() as temporary:
        ours = Store(Path(temporary))  # the records of the accuracies that cards name
        shutil.copytree(RECORDS / "cells", ours.root / "cells")
        for size, cell_id in sorted(candidates):
            if size > LARGEST or total + size > ALL:
                print(f"{cell_id} is left out: {size:,} bytes")
                continue
            total += size
            shutil.copyfile(Store(store).artefact(cell_id), ours.artefact(cell_id))
            name = _name(ours.read(cell_id))
            export(cell_id, SETS / name, licence=LICENCE, store=ours)
            print(f"{cell_id} is sets/{name}")
    print(f"{total:,} bytes in all")


def restore(store: Path) -> None:
    """Put every published set into the folder of its cell, where bench looks for it."""
    for path, record in published():
        target = Store(store).artefact(record.id)
        if not target.parent.is_dir():
            raise SystemExit(f"'{store}' has no cell {record.id}: copy {RECORDS} first")
        shutil.copyfile(path, target)


def _name(record: Record | None) -> str:
    assert record is not None
    labels, ipc = record.labels, record.identity["ipc"]
    size = "" if ipc is None else f"-ipc{ipc}"
    profile = "" if labels["profile"] == "any" else f"-{labels['profile']}"
    return f"{labels['method']}{profile}-{labels['dataset']}{size}-seed{labels['seed']}"


if __name__ == "__main__":
    {"publish": publish, "restore": restore}[sys.argv[1]](Path(sys.argv[2]))
