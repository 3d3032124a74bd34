"""Verification of a store: every record and artefact against its hash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.ledger.cell import hash_identity, is_cell_id
from bench.ledger.record import OTHER_SET, OtherSchemaError, Record
from bench.ledger.record_file import load_record
from bench.ledger.store import Store
from bench.support.untrusted import file_sha256, is_own_folder


@dataclass
class Verdict:
    """What a verification found.

    Attributes:
        records: records that are valid and those of their cells.
        artefacts: artefacts and by-products that are.
        absent: artefacts and by-products that their records vouch for and that are not here.
        other_versions: records of another version of the schema, which were not checked.
        problems: a line for each thing that is wrong.
    """

    records: int = 0
    artefacts: int = 0
    absent: int = 0
    other_versions: int = 0
    problems: list[str] = field(default_factory=list)


def verify_store(root: Path) -> Verdict:
    """Check every record and artefact of a store; changes nothing.

    Raises:
        BenchError: if there is no store, or it cannot be read.
    """
    store, verdict = Store(root), Verdict()
    store.check_readable()
    others: dict[str, Record] = {}
    evaluations: list[Record] = []
    for name in sorted(os.listdir(store.root / "cells")):
        for record in _checked_record(store, name, verdict):
            others[record.id] = record
            if record.status == "ok" and record.kind == "evaluate":
                evaluations.append(record)
            elif record.status == "ok":
                _check_files(store, record, verdict)
    for record in evaluations:
        _check_evaluated(record, others.get(record.identity["distil"]), verdict)
    return verdict


def _check_evaluated(record: Record, distilled: Record | None, verdict: Verdict) -> None:
    if distilled is None:
        return
    if distilled.kind != "distil":
        why = f"it evaluates {distilled.id}, which is no distilled set"
    elif record.evaluates_another_than(distilled):
        why = OTHER_SET
    else:
        return
    verdict.problems.append(f"cell {record.id}: {why}")


def _checked_record(store: Store, name: str, verdict: Verdict) -> Iterator[Record]:
    """Yield the record of a folder if it is right; else say what is wrong."""
    path = store.root / "cells" / name / "record.json"
    if not (is_cell_id(name) and is_own_folder(path.parent)):
        if path.parent.is_dir():
            verdict.problems.append(f"'{path.parent}' is not the folder of a cell")
        return
    try:
        record = load_record(path, name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OtherSchemaError:
        verdict.other_versions += 1
        return
    except (OSError, ValueError) as error:
        verdict.problems.append(f"'{path}': {error}")
        return
    own_id = hash_identity(record.identity)
    if own_id != record.id:
        verdict.problems.append(f"'{path}': its identity is that of cell {own_id}")
        return
    verdict.records += 1
    yield record


def _check_files(store: Store, record: Record, verdict: Verdict) -> None:
    for path, sha256 in store.hashed_files(record):
        try:
            actual = file_sha256(path)
        except FileNotFoundError:
            verdict.absent += 1
        except (OSError, ValueError) as error:
            verdict.problems.append(f"'{path}': {error}")
        else:
            verdict.artefacts += actual == sha256
            if actual != sha256:
                line = f"'{path}': its sha256 is {actual[:12]}..., its record says {sha256[:12]}..."
                verdict.problems.append(line)
