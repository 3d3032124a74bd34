"""A store is compared with its hashes, and not touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from record_builders import distil_json, evaluate_json, failed_json, hashed
from test_merging import put, put_distil, snapshot

from bench.ledger.record import Record
from bench.ledger.store import Store
from bench.ledger.verifying import Verdict, verify_store
from bench.support.errors import BenchError


@pytest.fixture
def made(store: Store) -> Record:
    """A distilled set; the store holds its evaluation and a failure as well."""
    distilled = put_distil(store)
    put(store, evaluate_json(distil=distilled.id))
    put(store, failed_json())
    return distilled


def test_a_store_that_is_right(store: Store, made: Record) -> None:
    before = snapshot(store.root)
    assert verify_store(store.root) == Verdict(records=3, artefacts=1)
    assert snapshot(store.root) == before


def test_records_alone_are_fine(store: Store, made: Record) -> None:
    store.artefact(made.id).unlink()
    assert verify_store(store.root) == Verdict(records=3, absent=1)


def test_cells_without_records_and_stray_files_are_no_problem(store: Store, made: Record) -> None:
    store.write_request("unfinished", {})
    (store.root / "cells" / ".DS_Store").write_bytes(b"x")
    assert verify_store(store.root).problems == []


def only_problem(store: Store) -> str:
    before = snapshot(store.root)
    (line,) = verify_store(store.root).problems
    assert snapshot(store.root) == before
    return line


def test_a_flipped_bit_in_an_artefact(store: Store, made: Record) -> None:
    store.artefact(made.id).write_bytes(b"artefacT")
    assert "artefact.safetensors': its sha256 is " in only_problem(store)
    assert verify_store(store.root).artefacts == 0


def test_by_products_are_checked_too(store: Store, made: Record) -> None:
    more = {**distil_json(), "result": {**made.to_json()["result"], "byproducts_sha256": "00" * 32}}
    put(store, more)
    assert verify_store(store.root).absent == 1
    store.byproducts(made.id).write_bytes(b"x")
    assert "byproducts.safetensors': its sha256 is " in only_problem(store)


def test_a_damaged_record(store: Store, made: Record) -> None:
    path = store.folder(made.id) / "record.json"
    path.write_text(path.read_text()[:200])
    assert f"{made.id}/record.json'" in only_problem(store)


def test_a_record_of_another_identity(store: Store, made: Record) -> None:
    path = store.folder(made.id) / "record.json"
    path.write_text(path.read_text().replace('"convnet3"', '"convnet4"'))
    assert "its checksum differs" in only_problem(store)
    data = json.loads(path.read_text())
    del data["checksum"]  # as in the first release
    path.write_text(json.dumps(data))
    assert "its identity is that of cell" in only_problem(store)


def test_a_record_in_another_cells_place(store: Store, made: Record) -> None:
    store.folder(made.id).rename(store.root / "cells" / ("0" * 20))
    assert f"it is the record of cell {made.id}" in only_problem(store)


def test_an_evaluation_of_what_is_no_distilled_set(store: Store, made: Record) -> None:
    first = put(store, evaluate_json())
    put(store, evaluate_json(distil=first.id))
    assert f"it evaluates {first.id}, which is no distilled set" in only_problem(store)


def test_an_artefact_that_is_no_file(store: Store, made: Record) -> None:
    store.artefact(made.id).unlink()
    store.artefact(made.id).mkdir()
    assert "artefact.safetensors'" in only_problem(store)


def test_a_link_among_the_cells(store: Store, made: Record) -> None:
    (store.root / "cells" / "x").symlink_to(store.folder(made.id))
    assert "is not the folder of a cell" in only_problem(store)


def test_records_of_other_versions_are_counted(store: Store, made: Record) -> None:
    path = store.folder(made.id) / "record.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    assert verify_store(store.root) == Verdict(records=2, other_versions=1)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no store at"):
        verify_store(tmp_path / "absent")


def test_ids_are_hashes() -> None:
    assert hashed(evaluate_json()).id != hashed(evaluate_json(mode="frozen")).id
