"""The file of a record: JSON with a checksum of everything that it says.

The checksum tells a record that was edited or damaged from one that is as it was written. Records
of earlier versions of bench have none and are read without it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.ledger.record import Record
from bench.support.strict_json import parse_json, read_json
from bench.support.untrusted import Limit

_CHECKSUM = "checksum"


def load_record(path: str | Path, cell_id: str) -> Record:
    """Read the record of a cell and leave the file as it is.

    Raises:
        OtherSchemaError: another version of bench wrote it.
        ValueError: it is damaged or edited, or that of another cell.
        OSError: it cannot be read.
    """
    return check_record(read_json(path, Limit.RECORD_BYTES, follow=False), cell_id)


def record_text(record: Record) -> str:
    """Return the content of a record's file, which :func:`load_record` is sure to read.

    Raises:
        ValueError: naming what is wrong with the record.
    """
    data = record.to_json()
    try:
        data[_CHECKSUM] = _digest(data)
        text = json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"
    except TypeError as error:
        raise ValueError(str(error)) from error
    size = len(text.encode())
    if size > Limit.RECORD_BYTES:
        raise ValueError(f"it takes {size:,} bytes; at most {Limit.RECORD_BYTES:,} are allowed")
    check_record(parse_json(text.encode()), record.id)
    return text


def check_record(data: Any, cell_id: str) -> Record:
    """Return the record of a cell, given the JSON value in its file.

    The checksum is taken out of the value.

    Raises:
        OtherSchemaError: another version of bench wrote it.
        ValueError: it is damaged or edited, or that of another cell.
    """
    checksum = data.pop(_CHECKSUM, None) if isinstance(data, dict) else None
    record = Record.from_json(data)
    if record.id != cell_id:
        raise ValueError(f"it is the record of cell {record.id}")
    if checksum is not None and checksum != _digest(data):
        raise ValueError("it was changed after it was written: its checksum differs")
    return record


def _digest(data: Any) -> str:
    try:
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return hashlib.sha256(text.encode()).hexdigest()
