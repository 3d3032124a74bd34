"""Stores of several machines become one; what differs is told, never dropped."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from record_builders import distil_json, evaluate_json, failed_json, hashed

from bench.ledger.lock import cell_lock
from bench.ledger.merging import Merged, merge_store
from bench.ledger.record import Record
from bench.ledger.requests import RequestedCell, SavedRequest, load_requests, save_request
from bench.ledger.store import Store
from bench.ledger.verifying import verify_store
from bench.support.errors import BenchError


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    old, new = Store(tmp_path / "old"), Store(tmp_path / "new")
    old.prepare()
    new.prepare()
    return old, new


def merge(stores: tuple[Store, Store]) -> Merged:
    return merge_store(stores[0].root, stores[1].root)


def put_distil(store: Store, content: bytes = b"artefact", **identity: Any) -> Record:
    data = distil_json()
    data["result"]["artefact_sha256"] = hashlib.sha256(content).hexdigest()
    made = hashed(data, **identity)
    store.write(made)
    store.artefact(made.id).write_bytes(content)
    return made


def put(store: Store, data: dict[str, Any], **changes: Any) -> Record:
    made = hashed({**data, **changes})
    store.write(made)
    return made


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_absent_is_copied_and_the_source_is_only_read(stores) -> None:
    old, new = stores
    made = put_distil(old)
    evaluated = put(old, evaluate_json(distil=made.id))
    put(old, failed_json())
    old.log(made.id, "text")
    old.write_request("unfinished", {})
    (old.root / "shared").mkdir()
    (old.root / "shared" / "x.safetensors").write_bytes(b"shared")
    cell = RequestedCell("a", "k", "t", "d", "m", None, None)
    save_request(old.root, SavedRequest({"request": {}}, (cell,), ""))
    before = snapshot(old.root)
    merged = merge(stores)
    assert merged.counts == {"copied": 3, "unfinished": 1, "shared": 1}
    assert merged.problems == []
    assert snapshot(old.root) == before
    assert {k: v for k, v in before.items() if "unfinished" not in k} == snapshot(new.root)
    assert new.read(evaluated.id) == evaluated
    assert len(load_requests(new.root, print)) == 1
    assert verify_store(new.root).problems == []
    assert merge(stores).counts == {"equal": 2, "kept": 1, "unfinished": 1}


def test_a_result_replaces_a_failure_and_never_the_other_way(stores) -> None:
    old, new = stores
    data = evaluate_json()
    ok = put(old, data)
    failed = {**failed_json(), "identity": data["identity"]}
    assert put(new, failed).id == ok.id
    new.log(ok.id, "its traceback")
    (new.folder(ok.id) / "checkpoint.safetensors").write_bytes(b"of the failure")
    assert merge(stores).counts == {"replaced": 1}
    assert new.read(ok.id) == ok
    assert sorted(p.name for p in new.folder(ok.id).iterdir()) == ["log.txt", "record.json"]
    assert merge((new, old)).counts == {"equal": 1}
    put(old, failed)
    assert merge(stores).counts == {"kept": 1}
    assert new.read(ok.id) == ok


def test_results_that_differ_in_times_and_machine_are_equal(stores) -> None:
    old, new = stores
    put(old, evaluate_json())
    slower = {"seconds": 9.0, "distil_seconds": 1.0, "distil_steps": 20}
    mine = put(new, evaluate_json(), cost=slower, finished="2026-01-01", environment={
        "device": "cuda"})  # fmt: skip
    assert merge(stores).counts == {"equal": 1}
    assert new.read(mine.id) == mine


def test_results_that_differ_are_conflicts(stores) -> None:
    old, new = stores
    data = evaluate_json()
    put(old, data)
    mine = put(new, data, result={**data["result"], "accuracies": [61.5, 70.125]})
    theirs, ours = put_distil(old, b"theirs"), put_distil(new, b"ours")
    assert theirs.id == ours.id
    merged = merge(stores)
    assert merged.counts == {"conflicts": 2}
    for line in merged.problems:
        assert line.startswith("conflict: ")
    told = "\n".join(merged.problems)
    assert "61.50, 70.12" in told
    assert "61.50, 63.25" in told
    assert theirs.files["artefact.safetensors"][:12] in told
    assert new.read(mine.id) == mine
    assert new.artefact(ours.id).read_bytes() == b"ours"


def test_an_artefact_that_is_missing_is_completed(stores) -> None:
    old, new = stores
    made = put_distil(old)
    put_distil(new)
    new.artefact(made.id).unlink()
    assert merge(stores).counts == {"completed": 1}
    assert new.artefact(made.id).read_bytes() == b"artefact"


def test_a_damaged_artefact_is_told_and_left_out(stores) -> None:
    old, new = stores
    made = put_distil(old)
    old.artefact(made.id).write_bytes(b"artefacT")
    merged = merge(stores)
    assert merged.counts == {"copied": 1}
    (line,) = merged.problems
    assert "artefact.safetensors' is left out: it is not what its record says" in line
    assert sorted(p.name for p in new.folder(made.id).iterdir()) == ["record.json"]


def test_what_a_killed_process_left_is_replaced(stores) -> None:
    old, new = stores
    made = put_distil(old)
    new.folder(made.id).mkdir()
    new.artefact(made.id).write_bytes(b"without a record")
    assert merge(stores).counts == {"copied": 1}
    assert verify_store(new.root).artefacts == 1


@pytest.mark.parametrize("damage", ["truncated", "another identity", "another version", "link"])
def test_records_that_are_not_right_are_told_and_left_out(stores, damage: str) -> None:
    old, new = stores
    made = put(old, evaluate_json())
    path = old.folder(made.id) / "record.json"
    text = path.read_text()
    if damage == "truncated":
        path.write_text(text[:100])
    elif damage == "another identity":
        path.write_text(text.replace('"stored"', '"frozen"'))
    elif damage == "another version":
        path.write_text(text.replace('"schema_version": 1', '"schema_version": 7'))
    else:
        path.rename(old.root / "elsewhere.json")
        path.symlink_to(old.root / "elsewhere.json")
    before = snapshot(old.root)
    merged = merge(stores)
    assert merged.counts == {}
    (line,) = merged.problems
    assert "is left out" in line
    assert snapshot(old.root) == before
    assert list((new.root / "cells").iterdir()) == []


def test_a_cell_that_the_destination_computes_is_left_out(stores) -> None:
    old, new = stores
    made = put(old, evaluate_json())
    with cell_lock(new.folder(made.id)):
        merged = merge(stores)
    assert merged.counts == {}
    assert "is computing it" in merged.problems[0]


def test_stores_that_cannot_be_merged(stores, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be merged into itself"):
        merge((stores[0], Store(tmp_path / "new" / ".." / "old")))
    with pytest.raises(BenchError, match="no store at"):
        merge_store(tmp_path / "absent", stores[1].root)
