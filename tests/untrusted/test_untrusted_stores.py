"""What status, clean, merge and verify do with a store that someone sent."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_files import ESCAPES, JSON_TEXTS, JSON_VALUES, PICKLES
from record_builders import distil_json, evaluate_json, record

from bench.executors.slurm.array import load_arrays
from bench.ledger.cell import hash_identity
from bench.ledger.checkpoint import summarise_checkpoint
from bench.ledger.cleaning import find_waste, remove
from bench.ledger.merging import merge_store
from bench.ledger.requests import load_requests
from bench.ledger.state_file import save_state
from bench.ledger.status import read_status
from bench.ledger.store import Store
from bench.ledger.verifying import verify_store
from bench.support.errors import BenchError

REQUEST = {
    "spec": {"request": {"methods": ["random"]}, "command": "bench run"},
    "cells": [{"id": "c0", "kind": "distil", "title": "a cell", "dataset": "digits",
               "method": "random", "rests_on": None, "seconds": 1.5}],
    "asked": "2025-01-01T00:00:00+00:00",
}  # fmt: skip


def honest(data: dict[str, Any]) -> dict[str, Any]:
    """Give a record the id of its identity."""
    return {**data, "id": hash_identity(data["identity"])}


@pytest.fixture
def sent(tmp_path: Path) -> Store:
    """A store with a distillation, its evaluation and a request."""
    store = Store(tmp_path / "sent")
    made = honest(distil_json())
    store.write(record(made))
    store.write(record(honest(evaluate_json(distil=made["id"]))))
    (store.root / "requests").mkdir()
    (store.root / "requests" / "0123.json").write_text(json.dumps(REQUEST))
    return store


def distil_id() -> str:
    return str(honest(distil_json())["id"])


def read_all(store: Store, destination: Path) -> list[str]:
    """Use every command that reads a store; return what they told."""
    status = read_status(store.root)
    json.dumps(status.to_json())
    find_waste(store.root, failed=True, artefacts=True)
    verdict = verify_store(store.root)
    merged = merge_store(store.root, destination)
    load_arrays(store)
    return [*status.notes, *verdict.problems, *merged.problems]


def test_a_good_store_is_read(sent: Store, tmp_path: Path) -> None:
    assert len(load_requests(sent.root, pytest.fail)) == 1
    assert read_all(sent, tmp_path / "mine") == []


def _bad_jsons() -> list[bytes]:
    whole = json.dumps(REQUEST)
    values = [whole.replace("1.5", text).encode() for text in JSON_VALUES.values()]
    return [*JSON_TEXTS.values(), *values]


@pytest.mark.parametrize("place", ["requests/0123.json", "slurm/bench-0123456789ab.json"])
@pytest.mark.parametrize("raw", _bad_jsons(), ids=lambda raw: repr(raw[:20]))
def test_requests_and_batches_that_are_none(
    sent: Store, tmp_path: Path, place: str, raw: bytes
) -> None:
    path = sent.root / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    told = read_all(sent, tmp_path / "mine")
    assert load_arrays(sent) == []
    assert all(place in line and "left out" in line for line in told)
    assert bool(told) == place.startswith("requests")


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_is_opened_nowhere(
    sent: Store, tmp_path: Path, write: Callable[[Path, Path], None]
) -> None:
    folder = sent.folder(distil_id())
    for path in (
        sent.root / "requests" / "0123.json", folder / "artefact.safetensors",
        folder / "byproducts.safetensors", folder / "checkpoint.safetensors",
        folder / "request.json", folder / "lock", sent.root / "shared" / "x.safetensors",
        sent.root / "slurm" / "bench-0123456789ab.json",
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        write(path, tmp_path / "executed")
    read_all(sent, tmp_path / "mine")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("make", [
    os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to(path),
])  # fmt: skip
def test_what_is_no_file_is_not_waited_for(
    sent: Store, tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    folder = sent.folder(distil_id())
    for path in (
        sent.root / "requests" / "0123.json", folder / "artefact.safetensors",
        folder / "checkpoint.safetensors", folder / "request.json", folder / "log.txt",
        folder / "lock", sent.root / "shared" / "x.safetensors",
        sent.root / "slurm" / "bench-0123456789ab.json",
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        make(path)
    told = read_all(sent, tmp_path / "mine")
    assert told


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 7, "../../x", ESCAPES])
@pytest.mark.parametrize("name", ["distil", "prerequisite", "dataset", "method", "kind"])
def test_a_cells_request_may_say_anything(
    sent: Store, tmp_path: Path, name: str, value: Any
) -> None:
    sent.write_request("c1", {"kind": "evaluate", name: value})
    read_all(sent, tmp_path / "mine")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../x"},
        {"rests_on": "../../x"},
        {"id": 5},
        {"seconds": -1},
        {"title": 5},
        {"x": 1},
    ],
    ids=str,
)
def test_a_request_of_cells_that_are_none(
    sent: Store, tmp_path: Path, change: dict[str, Any]
) -> None:
    (cell,) = REQUEST["cells"]
    data = {**REQUEST, "cells": [{**cell, **change}]}  # type: ignore[dict-item]
    (sent.root / "requests" / "0123.json").write_text(json.dumps(data))
    assert "is no request of bench" in read_all(sent, tmp_path / "mine")[0]


def test_cells_of_a_batch_that_lead_elsewhere(sent: Store) -> None:
    batch = {"cells": ["../../x"], "stamps": [None], "job": "7"}
    (sent.root / "slurm").mkdir()
    (sent.root / "slurm" / "bench-0123456789ab.json").write_text(json.dumps(batch))
    assert load_arrays(sent) == []


# --- merge: nothing of this machine is copied into a store, nothing else's is overwritten --------


@pytest.mark.parametrize(
    "place", ["log.txt", "request.json", "artefact.safetensors", "../../shared/x.safetensors"]
)
def test_merge_does_not_follow_links(sent: Store, tmp_path: Path, place: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine alone")
    path = sent.folder(distil_id()) / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(secret)
    merged = merge_store(sent.root, tmp_path / "mine")
    assert any("it is a link" in line for line in merged.problems)
    copied = [p.read_text() for p in (tmp_path / "mine").rglob("*") if p.is_file()]
    assert len(copied) >= 3
    assert not any("mine alone" in text for text in copied)


def test_merge_does_not_fill_the_disk_with_holes(sent: Store, tmp_path: Path) -> None:
    for place in ("shared/x.safetensors", f"cells/{distil_id()}/log.txt"):
        path = sent.root / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.truncate(path, 2**42)
    merged = merge_store(sent.root, tmp_path / "mine")
    assert sum("more than this machine's memory" in line for line in merged.problems) == 2


def test_merge_refuses_records_under_the_id_of_another(sent: Store, tmp_path: Path) -> None:
    mine = Store(tmp_path / "mine")
    wrong = evaluate_json("0123456789abcdef0123")
    sent.write(record(wrong))
    merged = merge_store(sent.root, mine.root)
    assert mine.read("0123456789abcdef0123") is None
    assert any("its identity is that of another cell" in line for line in merged.problems)
    assert any("its identity is that of cell" in line for line in verify_store(sent.root).problems)


# --- clean: nothing outside the store is removed -------------------------------------------------


def _aged(path: Path) -> Path:
    then = time.time() - 10**6
    os.utime(path, (then, then), follow_symlinks=False)
    return path


def test_clean_removes_links_not_what_they_lead_to(sent: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("precious.damaged", ".tmp-precious"):
        (outside / name).touch()
        _aged(outside / name)
    folder = sent.folder(distil_id())
    (folder / "x.damaged").symlink_to(outside)
    (folder / "y.damaged").mkdir()
    (folder / "y.damaged" / "link").symlink_to(outside)
    (sent.root / "shared").mkdir()
    (sent.root / "shared" / "z.damaged").symlink_to(outside)
    (sent.root / "cells" / "c9").mkdir()
    (sent.root / "cells" / "c9" / "stray").symlink_to(outside)
    waste = find_waste(sent.root, failed=True, artefacts=True)
    assert {w.path.name for w in waste} == {"x.damaged", "y.damaged", "z.damaged", "c9"}
    assert all(w.size < 10_000 for w in waste)
    remove(Store(sent.root), waste)
    assert not os.path.lexists(folder / "x.damaged")
    assert sorted(p.name for p in outside.iterdir()) == [".tmp-precious", "precious.damaged"]


def test_clean_leaves_cells_that_are_links(sent: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.damaged").touch()
    (sent.root / "cells" / "c9").symlink_to(outside)
    assert find_waste(sent.root, failed=True) == []
    (sent.root / "shared").symlink_to(outside)
    with pytest.raises(BenchError, match="is a link"):
        find_waste(sent.root)


# --- status: what a checkpoint says of itself ----------------------------------------------------


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_checkpoint_that_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_state({"state": {"done": 3, "cost": {"seconds": 1.5}}}, path)
    kept = summarise_checkpoint(path)
    assert kept is not None
    assert (kept.steps, kept.seconds) == (3, 1.5)
    raw = JSON_TEXTS[text]
    for header in (raw, json.dumps({"__metadata__": {"bench": raw.decode("latin1")}}).encode()):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert summarise_checkpoint(path) is None
    path.write_bytes((2**62).to_bytes(8, "little"))
    assert summarise_checkpoint(path) is None
