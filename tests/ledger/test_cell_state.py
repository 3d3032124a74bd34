"""What a store holds, what is left of a request, and for how long."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.cell_state import STATES, CellState, read_state, read_states
from bench.ledger.checkpoint import summarise_checkpoint
from bench.ledger.holder import PATIENCE
from bench.ledger.lock import cell_lock
from bench.ledger.remaining import remaining
from bench.ledger.requests import RequestedCell, SavedRequest, save_request
from bench.ledger.state_file import save_state
from bench.ledger.status import read_status
from bench.ledger.store import Store
from bench.support.errors import BenchError


def states(store: Store) -> dict[str, CellState]:
    found = read_states(store)
    alone = {cell_id: read_state(store, cell_id) for cell_id in found}
    assert [(s.id, s.state, s.files) for s in alone.values()] == [
        (s.id, s.state, s.files) for s in found.values()
    ]
    return found


def ok_distil(store: Store, cell_id: str, artefact: bool = True) -> None:
    store.write(record(distil_json(cell_id)))
    if artefact:
        store.artefact(cell_id).write_bytes(b"x")


def checkpoint(store: Store, cell_id: str, state: dict[str, Any]) -> Path:
    path = store.folder(cell_id) / "checkpoint.safetensors"
    save_state({"cell": cell_id, "state": state}, path)
    return path


def test_every_state_of_a_cell(store: Store) -> None:
    ok_distil(store, "done")
    store.write(record(failed_json("failed")))
    store.write(record({**failed_json("skipped"), "status": "skipped"}))
    store.write_request("interrupted", {"method": "dm", "dataset": "digits"})
    checkpoint(store, "kept", {"done": 3})
    (store.folder("empty")).mkdir()
    store.write(record(evaluate_json("newer")))
    path = store.folder("newer") / "record.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    (store.root / "cells" / "stray").write_text("")
    os.symlink(store.folder("done"), store.root / "cells" / "link")
    with cell_lock(store.folder("running")), cell_lock(store.folder("again")):
        store.write_request("running", {})
        store.write(record(failed_json("again")))
        found = states(store)
        assert {id_: state.state for id_, state in found.items()} == {
            "done": "done", "failed": "failed", "skipped": "skipped", "interrupted": "interrupted",
            "kept": "interrupted", "empty": "left", "newer": "unusable", "running": "running",
            "again": "running",
        }  # fmt: skip
        holder = found["running"].holder
        assert holder is not None
        assert holder.pid == os.getpid()
    assert states(store)["again"].state == "failed"
    assert found["interrupted"].identity == {"method": "dm", "dataset": "digits"}


@pytest.mark.parametrize(
    ("finished", "state"), [("2026-01-01T00:00:00+00:00", "running"), (None, "done")]
)
def test_a_done_cell_that_is_computed_again_is_shown_as_running(
    store: Store, finished: str | None, state: str
) -> None:
    later = "2999-01-01T00:00:00+00:00"  # the holder of now wrote it, and is about to let go
    store.write(record({**distil_json("x"), "finished": finished or later}))
    store.artefact("x").write_bytes(b"x")
    with cell_lock(store.folder("x")):
        counts = read_status(store.root).counts
        assert read_state(store, "x").state == "done", "its result still counts"
    assert [dict(each) for each in counts.values()] == [{state: 1}]
    assert [dict(each) for each in read_status(store.root).counts.values()] == [{"done": 1}]


def test_a_lock_that_no_process_keeps_is_no_running(store: Store) -> None:
    store.write_request("x", {})
    lock = store.folder("x") / "lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    assert states(store)["x"].state == "running"
    old = time.time() - PATIENCE - 60
    os.utime(lock, (old, old))
    assert states(store)["x"].state == "interrupted"


def test_a_distilled_set_is_complete_with_its_files(store: Store) -> None:
    ok_distil(store, "a")
    ok_distil(store, "b", artefact=False)
    more = distil_json("c")
    more["result"]["byproducts_sha256"] = "00"
    store.write(record(more))
    store.artefact("c").write_bytes(b"x")
    store.write(record(evaluate_json("e")))
    complete = {id_: state.is_complete for id_, state in states(store).items()}
    assert complete == {"a": True, "b": False, "c": False, "e": True}
    store.byproducts("c").write_bytes(b"x")
    assert states(store)["c"].is_complete


def test_a_folder_that_cannot_be_read_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok_distil(store, "a" * 20)
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if not str(path).endswith("cells"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(BenchError, match="cannot be read: Permission denied"):
        read_states(store)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no store at"):
        read_status(tmp_path / "absent")


# --- requests ----------------------------------------------------------------------------------


def pair(name: str, *seconds: float | None) -> list[RequestedCell]:
    first, second = seconds or (None, None)
    return [
        RequestedCell(f"d{name}", "distil", f"make {name}", "digits", "dm", None, first),
        RequestedCell(f"e{name}", "evaluate", f"use {name}", "digits", "dm", f"d{name}", second),
    ]


def asked(*cells: list[RequestedCell]) -> SavedRequest:
    flat = tuple(cell for pair_ in cells for cell in pair_)
    return SavedRequest({"request": {}, "command": "bench run"}, flat, "2026-01-01T00:00:00+00:00")


def put_pair(store: Store, name: str, artefact: bool = True) -> None:
    ok_distil(store, f"d{name}", artefact)
    store.write(record(evaluate_json(f"e{name}", distil=f"d{name}")))


def counts(request: SavedRequest, store: Store) -> dict[str, int]:
    return {k: v for k, v in remaining(request, states(store)).counts.items() if v}


def test_how_the_cells_of_a_request_stand(store: Store) -> None:
    request = asked(pair("0"), pair("1"), pair("2"), pair("3"))
    assert counts(request, store) == {"left": 8}
    put_pair(store, "0")
    put_pair(store, "1", artefact=False)  # its evaluation is there: nothing is made again
    store.write(record(failed_json("d2", "distil")))
    store.write(record({**failed_json("e2"), "status": "skipped"}))
    store.write_request("d3", {})
    assert counts(request, store) == {
        "done": 4, "failed": 1, "skipped": 1, "interrupted": 1, "left": 1
    }  # fmt: skip
    (store.folder("e1") / "record.json").unlink()  # now the artefact is missed
    assert counts(request, store)["left"] == 3
    with cell_lock(store.folder("d3")):
        assert counts(request, store)["running"] == 1
    assert set(counts(request, store)) <= set(STATES)


def test_the_time_left_follows_what_was_measured(store: Store) -> None:
    # Measured: 2.5 s to distil and 4 s to evaluate.
    request = asked(pair("0", 5.0, 2.0), pair("1", 10.0, 3.0), pair("2", None, None))
    first = remaining(request, states(store))
    assert (first.seconds, first.unknown, first.unfinished) == (20.0, 2, 6)
    put_pair(store, "0")
    second = remaining(request, states(store))
    assert second.seconds == pytest.approx(10.0 * 0.5 + 3.0 * 2.0)
    assert (second.unknown, second.is_finished) == (2, False)


def test_what_a_running_cell_has_spent_is_not_left(store: Store) -> None:
    request = asked(pair("0", 100.0, 0.0))
    with cell_lock(store.folder("d0")):
        lock = store.folder("d0") / "lock"
        content = json.loads(lock.read_text())
        lock.write_text(json.dumps({**content, "since": "2020-01-01T00:00:00+00:00"}))
        assert remaining(request, states(store)).seconds == 0.0
        lock.write_text(json.dumps({**content, "since": "2999-01-01T00:00:00+00:00"}))
        assert remaining(request, states(store)).seconds == 100.0
        lock.write_text(json.dumps({**content, "since": "soon"}))
        assert remaining(request, states(store)).seconds == 100.0
        lock.write_text(json.dumps(content))


def test_where_nothing_was_measured_nothing_is_claimed(store: Store) -> None:
    request = asked(pair("0"))
    assert remaining(request, states(store)).seconds is None
    put_pair(store, "0")
    done = remaining(request, states(store))
    assert (done.seconds, done.unknown, done.is_finished) == (0, 0, True)


# --- checkpoints, names, everything together -----------------------------------------------------


def test_a_checkpoint_says_how_far_it_is(store: Store) -> None:
    state = {"done": 12, "total": 40, "cost": {"seconds": 3.25}, "method": {"x": torch.zeros(3)}}
    path = checkpoint(store, "d", state)
    kept = summarise_checkpoint(path)
    assert kept is not None
    assert (kept.steps, kept.total, kept.seconds) == (12, 40, 3.25)
    assert 0 <= kept.age < 60
    kept = summarise_checkpoint(checkpoint(store, "e", {"nets": {}, "cost": {"seconds": 1.0}}))
    assert kept is not None
    assert (kept.steps, kept.total, kept.seconds) == (None, None, 1.0)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, b"\x02" + b"\x00" * 7 + b"{}", b"\x02" + b"\x00" * 7 + b"[]", b"\x90" * 300],
)
def test_a_damaged_checkpoint_says_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert summarise_checkpoint(path) is None
    path.write_bytes(content)
    assert summarise_checkpoint(path) is None


@pytest.mark.parametrize("value", ["7", "null", "[]", "{}", "true", '"7"'])
def test_a_checkpoint_whose_metadata_is_no_json_text_says_nothing(
    tmp_path: Path, value: str
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    header = f'{{"__metadata__": {{"bench": {value}}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert summarise_checkpoint(path) is None


def test_names_come_from_records_requests_and_identities(store: Store) -> None:
    store.write(record(failed_json("f0")))
    store.write_request("d1", {})
    store.write_request("made", {"kind": "distil", "method": "dim", "dataset": "svhn"})
    store.write_request("evaluated", {"kind": "evaluate", "distil": "made"})
    store.write_request("lost", {})
    save_request(store.root, asked(pair("1")))
    found = read_status(store.root)
    named = {c.id: (c.title, c.dataset, c.method) for c in found.cells}
    assert named == {
        "f0": ("dm on digits", "digits", "dm"),
        "d1": ("make 1", "digits", "dm"),
        "made": ("dim on svhn (made)", "svhn", "dim"),
        "evaluated": ("dim on svhn, an evaluation (evaluated)", "svhn", "dim"),
        "lost": ("? on ? (lost)", "?", "?"),
    }
    assert found.counts[("digits", "dm")] == {"failed": 1, "interrupted": 1}
    assert found.of("failed")[0].reason == "loss is nan at step 3"


def test_status_is_plain_json_and_tells_of_damage(store: Store) -> None:
    put_pair(store, "0")
    checkpoint(store, "d1", {"done": 2})
    (store.root / "requests").mkdir()
    (store.root / "requests" / "bad.json").write_text("{")
    (store.folder("e0") / "record.json").write_text("{")
    save_request(store.root, msgspec.structs.replace(asked(pair("0", 1.0, 1.0)), asked="x"))
    found = read_status(store.root).to_json()
    assert json.loads(json.dumps(found)) == found
    assert len(found["notes"]) == 2
    (request,) = found["requests"]
    assert (request["cells"], request["done"], request["left"]) == (2, 1, 1)
    (cell,) = [c for c in found["cells"] if c["id"] == "d1"]
    assert cell["checkpoint"]["steps"] == 2
