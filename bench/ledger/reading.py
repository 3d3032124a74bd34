"""Reading a record's file, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

from bench.ledger.record import Record
from bench.support.files import read_plain
from bench.support.json_files import parse_json

# A record has about two thousand bytes; one of a thousand networks a hundred thousand.
_MOST_BYTES = 8 * 2**20


def load_record(path: str | Path, cell_id: str) -> Record:
    """Read the record of a cell and leave the file as it is.

    Raises:
        OtherSchemaError: another version of bench wrote it.
        ValueError: it is damaged, or that of another cell.
        OSError: it cannot be read.
    """
    record = Record.from_json(parse_json(read_plain(path, _MOST_BYTES, follow=False)))
    if record.id != cell_id:
        raise ValueError(f"it is the record of cell {record.id}")
    return record
