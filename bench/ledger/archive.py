"""Archives: records, artefacts and requests of a selection in one file, which a merge takes."""

from __future__ import annotations

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec

from bench.ledger.cell import is_cell_id
from bench.ledger.hashed_copy import copy_hashed
from bench.ledger.private_paths import (
    environment_without_paths,
    request_without_paths,
    without_paths,
)
from bench.ledger.record import ARTEFACT, BYPRODUCTS, Record
from bench.ledger.record_file import record_text
from bench.ledger.record_tables import Environment
from bench.ledger.requests import load_requests
from bench.ledger.store import Store
from bench.support.atomic_files import replacing, writing
from bench.support.errors import BenchError
from bench.support.untrusted import check_fits_memory, most_unpacked, open_plain

_MEMBER = re.compile(
    r"cells/([0-9A-Za-z_-]{1,64})/(record\.json|request\.json|artefact\.safetensors|"
    r"byproducts\.safetensors)|requests/[0-9a-f]{1,64}\.json"
)
# A fixed time, so that the same cells give the same archive.
_DATE = (2000, 1, 1, 0, 0, 0)


def with_dependencies(store: Store, cell_ids: Iterable[str]) -> list[str]:
    """Return cells with the distilled sets that they depend on, each once, these first."""
    chosen: dict[str, None] = {}
    for cell_id in cell_ids:
        chain = [cell_id]
        while (record := store.read(chain[0])) is not None:
            needed = record.identity.get("distil") or record.identity.get("prerequisite")
            if needed is None or needed in chain or not is_cell_id(needed):
                break
            chain.insert(0, needed)
        chosen |= dict.fromkeys(chain)
    return list(chosen)


def write_archive(store: Store, cell_ids: Iterable[str], path: Path) -> int:
    """Write records, artefacts and by-products of cells, and the requests that name one of them.

    Logs are left out, and so are absolute paths in requests and records.

    Returns:
        How many cells have a record and are in the archive.

    Raises:
        BenchError: an artefact is absent or not what its record says.
        CannotWriteError: the archive cannot be written.
    """
    ids = with_dependencies(store, cell_ids)
    written = 0
    with (
        writing(path),
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for cell_id in ids:
            record = store.read(cell_id)
            if record is not None:
                _add_cell(archive, store, record)
                written += 1
        for request in load_requests(store.root, store.damaged.append):
            if any(cell.id in ids for cell in request.cells):
                clean = msgspec.to_builtins(request_without_paths(request))
                _add(archive, f"requests/{request.id}.json", json.dumps(clean).encode())
    return written


@contextmanager
def unpacked(path: Path, beside: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary store, which is gone afterwards.

    Args:
        path: the archive; anyone may have written it.
        beside: an existing folder in which the temporary one is made.

    Raises:
        BenchError: it is no archive of bench, is damaged, or would unpack to too much.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".archive-") as temporary:
        root = Path(temporary)
        (root / "cells").mkdir()
        try:
            with open_plain(path) as file, zipfile.ZipFile(file) as archive:
                _check_members(archive, os.fstat(file.fileno()).st_size)
                for info in archive.infolist():
                    target = root / info.filename
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(info) as member, target.open("xb") as copy:
                        while block := member.read(1 << 20):
                            copy.write(block)
        # On damaged archives, zipfile raises exceptions of many types.
        except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
            raise BenchError(f"'{path}' is no whole archive of bench: {error}") from error
        yield root


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    names = [info.filename for info in archive.infolist()]
    for name in names:
        if _MEMBER.fullmatch(name) is None:
            raise ValueError(f"it holds {name!r:.80}, which no archive of bench does")
    if len(set(names)) != len(names):
        raise ValueError("it holds a file twice")
    total = sum(info.file_size for info in archive.infolist())
    check_fits_memory(total)
    if total > most_unpacked(size):
        raise ValueError(f"it would unpack from {size:,} to {total:,} bytes")


def _add_cell(archive: zipfile.ZipFile, store: Store, record: Record) -> None:
    folder = f"cells/{record.id}"
    environment = cast(Environment, environment_without_paths(dict(record.environment)))
    reason = None if record.reason is None else without_paths(record.reason)
    text = record_text(replace(record, environment=environment, reason=reason))
    _add(archive, f"{folder}/record.json", text.encode())
    _add(archive, f"{folder}/request.json", json.dumps(dict(record.identity)).encode())
    for path, sha256 in store.hashed_files(record):
        if path.name in (ARTEFACT, BYPRODUCTS):
            _add_file(archive, f"{folder}/{path.name}", path, sha256)


def _add_file(archive: zipfile.ZipFile, name: str, path: Path, sha256: str) -> None:
    if not os.path.lexists(path):
        raise BenchError(f"'{path}' is absent: compute its cell again, or leave it out")
    info = zipfile.ZipInfo(name, _DATE)
    try:
        with archive.open(info, "w", force_zip64=True) as member:
            copy_hashed(path, member, sha256)
    except ValueError as error:
        raise BenchError(f"'{path}' cannot be archived: {error}") from error


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)
