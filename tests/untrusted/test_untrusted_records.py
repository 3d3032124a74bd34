"""Stores that someone sent: every file in them is what bench wrote, or set aside, or left alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_files import JSON_TEXTS, JSON_VALUES, PICKLES, in_small_memory, sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.artefacts import set_aside_damaged_artefact
from bench.ledger.frames import load_frames
from bench.ledger.holder import BEAT
from bench.ledger.lock import cell_lock
from bench.ledger.record import Record
from bench.ledger.store import Store
from bench.support.errors import BenchError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for data in (distil_json("d0"), evaluate_json("e0"), failed_json("f0")):
        made.write(record(data))
    return made


def record_path(store: Store) -> Path:
    return store.root / "cells" / "e0" / "record.json"


def assert_set_aside(store: Store) -> None:
    """The record is named, out of the way, and does not count; the others do."""
    told: list[str] = []
    frame, failures = load_frames(store.root, note=told.append)
    assert (len(frame), len(failures)) == (0, 1)
    assert len(told) == 1
    assert "e0/record.json" in told[0]
    assert "set aside as record.damaged.json" in told[0]
    assert "\n" not in told[0]
    assert not os.path.lexists(record_path(store))
    assert store.read("e0") is None


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_record_that_is_none(store: Store, text: str) -> None:
    record_path(store).write_bytes(JSON_TEXTS[text])
    assert_set_aside(store)


@pytest.mark.parametrize("text", JSON_VALUES)
@pytest.mark.parametrize("table", ["environment", "labels", "result", "cost", "identity"])
def test_json_that_bench_never_writes(store: Store, table: str, text: str) -> None:
    data = evaluate_json("e0")
    data[table]["extra"] = "HERE"
    record_path(store).write_text(json.dumps(data).replace('"HERE"', JSON_VALUES[text]))
    assert_set_aside(store)


def test_a_field_that_comes_twice(store: Store) -> None:
    text = record_path(store).read_text()
    record_path(store).write_text('{"status": "failed",' + text.strip()[1:])
    assert_set_aside(store)


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_for_a_record(store: Store, write: Callable[[Path, Path], None]) -> None:
    marker = store.root / "executed"
    write(record_path(store), marker)
    assert_set_aside(store)
    assert not marker.exists()


IDS = ["../../x", "/etc", "..", ".", "", "a/b", "a\\b", "x" * 65, "e0\n", "\x1b[31m", 7, ["e0"]]


@pytest.mark.parametrize("name", ["distil", "prerequisite"])
@pytest.mark.parametrize("value", IDS, ids=repr)
def test_an_id_that_leads_elsewhere(store: Store, name: str, value: Any) -> None:
    data = evaluate_json("e0")
    data["identity"][name] = value
    record_path(store).write_text(json.dumps(data))
    assert_set_aside(store)


@pytest.mark.parametrize("value", IDS[:-2], ids=repr)
def test_the_store_has_no_folder_for_such_an_id(store: Store, value: str) -> None:
    for ask in (store.folder, store.artefact, store.byproducts, store.read):
        with pytest.raises(BenchError, match="is not the id of a cell"):
            ask(value)
    with pytest.raises(BenchError, match="is not the id of a cell"):
        store.write(Record.from_json({**evaluate_json(), "id": value}))
    with pytest.raises(BenchError, match="is not the id of a cell"):
        store.log(value, "text")


@pytest.mark.parametrize(("name", "value"), [("mode", [1]), ("mode", {}), ("arch", 5)])
def test_a_failed_record_of_odd_types(store: Store, name: str, value: Any) -> None:
    data = failed_json("e0")
    data["identity"][name] = value
    record_path(store).write_text(json.dumps(data))
    assert_set_aside(store)


def test_a_record_that_is_a_pipe_or_leads_elsewhere(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    for make in (os.mkfifo, lambda p: p.symlink_to(secret), lambda p: p.symlink_to("/dev/zero")):
        record_path(store).unlink(missing_ok=True)
        make(record_path(store))
        assert_set_aside(store)
        store.write(record(evaluate_json("e0")))
    assert secret.read_text() == "mine"


def test_records_of_gigabytes_are_not_read(store: Store) -> None:
    sparse(record_path(store), 2**40)
    (answer,) = in_small_memory("bench.ledger.frames:load_frames", [store.root], imports="pandas")
    assert answer == "loaded"
    assert_set_aside_already(store)


def assert_set_aside_already(store: Store) -> None:
    assert not record_path(store).exists()
    assert record_path(store).with_name("record.damaged.json").exists()


# --- links -------------------------------------------------------------------------------------


def test_a_cell_that_is_a_link_is_left_alone(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "record.json").write_text(json.dumps(evaluate_json("link")))
    (store.root / "cells" / "link").symlink_to(outside)
    told: list[str] = []
    frame, _ = load_frames(store.root, note=told.append)
    assert len(frame) == 1
    assert told == [f"'{store.root / 'cells' / 'link'}' is a link: left out"]
    for ask in (store.folder, store.read, lambda name: store.log(name, "text")):
        with pytest.raises(BenchError, match="is a link: remove it"):
            ask("link")
    with pytest.raises(BenchError, match="is a link: remove it"):
        store.write(record(evaluate_json("link")))
    assert [p.name for p in outside.iterdir()] == ["record.json"]


@pytest.mark.parametrize("name", ["cells", "shared", "requests", "report", "slurm"])
def test_a_part_of_the_store_that_is_a_link(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "e0").mkdir()
    (store.root / name).is_dir() and (store.root / name).rename(tmp_path / "moved")
    (store.root / name).symlink_to(tmp_path / "outside")
    for ask in (store.check_readable, store.prepare, lambda: load_frames(store.root)):
        with pytest.raises(BenchError, match=f"{name}' is a link: a store holds its folders"):
            ask()


def test_a_log_that_is_a_link_or_a_pipe_is_not_written_to(store: Store, tmp_path: Path) -> None:
    startup = tmp_path / "profile"
    startup.write_text("mine\n")
    log = store.folder("e0") / "log.txt"
    log.symlink_to(startup)
    with pytest.raises(BenchError, match=r"log.txt' cannot be written: .* symbolic links"):
        store.log("e0", "text")
    assert startup.read_text() == "mine\n"
    log.unlink()
    os.mkfifo(log)
    with pytest.raises(BenchError, match="cannot be written"):  # instead of waiting for a reader
        store.log("e0", "text")


def test_records_and_requests_replace_links(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    for name in ("record.json", "request.json"):
        (store.folder("e0") / name).unlink(missing_ok=True)
        (store.folder("e0") / name).symlink_to(outside)
    store.write(record(evaluate_json("e0")))
    store.write_request("e0", {"a": 1})
    assert outside.read_text() == "mine"
    assert store.read("e0") is not None


@pytest.mark.parametrize("make", [
    os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.write_bytes(b"other"),
])  # fmt: skip
def test_an_artefact_that_is_no_file_is_set_aside(
    store: Store, make: Callable[[Path], Any]
) -> None:
    make(store.artefact("d0"))
    assert set_aside_damaged_artefact(store, "d0")
    assert not os.path.lexists(store.artefact("d0"))
    assert (store.folder("d0") / "artefact.damaged").is_symlink() or (
        store.folder("d0") / "artefact.damaged"
    ).exists()


# --- locks -------------------------------------------------------------------------------------


def _old(path: Path) -> None:
    then = time.time() - 2 * BEAT
    os.utime(path, (then, then), follow_symlinks=False)


@pytest.mark.parametrize("make", [
    os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("nowhere"),
    *(lambda path, text=text: path.write_bytes(text) for text in JSON_TEXTS.values()),
    lambda path: path.write_text('{"host": 1, "pid": 1e400}'),
])  # fmt: skip
def test_a_lock_that_is_none_is_taken_over(store: Store, make: Callable[[Path], Any]) -> None:
    path = store.folder("e0") / "lock"
    make(path)
    with cell_lock(store.folder("e0")) as held:
        assert not held  # it may be in the course of being written
    _old(path)
    with cell_lock(store.folder("e0")) as held:
        assert held
    assert not os.path.lexists(path)


# --- any damage --------------------------------------------------------------------------------


@settings(max_examples=80)
@given(
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=3),
    kept=st.none() | st.integers(0),
    kind=st.sampled_from([distil_json, evaluate_json, failed_json]),
)
def test_any_damage_is_set_aside_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    kept: int | None,
    kind: Callable[[str], dict[str, Any]],
) -> None:
    from bench.ledger.record_rows import load_rows
    from bench.report.tables import render

    store = Store(tmp_path_factory.mktemp("store"))
    store.write(record(kind("e0")))
    path = record_path(store)
    raw = bytearray(path.read_bytes())
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    path.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    told: list[str] = []
    rows = load_rows(store.root, note=told.append)
    assert len(told) <= 1
    assert path.exists() or "set aside" in told[0]
    for format_ in ("md", "latex", "csv", "json"):
        assert render(*rows, format=format_)
