"""The index of a store saves time and nothing else: the records alone say what a store holds."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from large_store import cells, fill

from bench.ledger import index as index_module
from bench.ledger import store as store_module
from bench.ledger.cell_state import read_states
from bench.ledger.index import INDEX
from bench.ledger.lock import cell_lock
from bench.ledger.record_rows import load_rows
from bench.ledger.recorded_data import recorded_data
from bench.ledger.rows import Rows
from bench.ledger.status import read_status
from bench.ledger.store import Store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store of twenty cells that are worth an index, as soon as they are written."""
    for module in (index_module, store_module):
        monkeypatch.setattr(module, "WORTH_AN_INDEX", 1)
    monkeypatch.setattr(index_module, "SETTLED_NS", 0)
    fill(tmp_path / "store", cells(4))
    time.sleep(0.02)  # the times of files have steps of some milliseconds
    return tmp_path / "store"


def without_index(root: Path) -> Rows:
    """Return the rows of a store as its records alone say."""
    (root / INDEX).unlink(missing_ok=True)
    return load_rows(root)


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(store_module, "read_json", refuse)


def an_evaluation(root: Path) -> Path:
    """Return the path of a record that has accuracies."""
    return root / "cells" / load_rows(root).evaluations[0].cell_id / "record.json"


def set_accuracy(path: Path) -> None:
    """Change a digit of the first accuracy; the size stays."""
    text = path.read_text()
    number = json.loads(text)["result"]["accuracies"][0]
    changed = str(number)[:-1] + str((int(str(number)[-1]) + 1) % 10)
    assert text.count(str(number)) >= 1
    path.write_text(text.replace(str(number), changed, 1))


def test_records_and_folders_are_not_read_again(root: Path, monkeypatch) -> None:
    rows, states = load_rows(root), read_states(Store(root))
    assert (root / INDEX).exists()
    forbid_reading(monkeypatch)
    monkeypatch.setattr(os, "listdir", only_the_cells(root))
    assert load_rows(root) == rows
    assert read_states(Store(root)) == states


def only_the_cells(root: Path) -> Callable[[Any], list[str]]:
    listdir = os.listdir

    def list_cells(path: Any) -> list[str]:
        assert os.fspath(path) == str(root / "cells")
        return listdir(path)

    return list_cells


def test_the_index_holds_all_of_each_record(root: Path, monkeypatch) -> None:
    plain = {record.id: record for record in Store(root).records()}
    assert any(record.environment for record in plain.values())
    forbid_reading(monkeypatch)
    assert {record.id: record for record in Store(root).records()} == plain


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "half": lambda data: data[: len(data) // 2],
    "no digest": lambda data: data[:14] + data[46:],
    "another format": lambda data: data.replace(b"index 1", b"index 2", 1),
    "longer": lambda data: data + b"\x00",
    "random": lambda data: bytes(range(256)) * 8,
    "nested": lambda data: b"\x91" * 100_000,
    "json": lambda data: b'{"cells": {}}',
    **{
        f"flipped at {share} %": lambda data, share=share: flipped(data, len(data) * share // 100)
        for share in (1, 20, 50, 80, 99)
    },
}


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_not_used_and_is_replaced(root: Path, damage: str) -> None:
    rows, status = load_rows(root), read_status(root).to_json()
    good = (root / INDEX).read_bytes()
    (root / INDEX).write_bytes(DAMAGE[damage](good))
    notes: list[str] = []
    assert load_rows(root, note=notes.append) == rows
    assert read_status(root).to_json() == status
    assert notes == []
    assert (root / INDEX).read_bytes()[:46] == good[:46] or len(good) == (
        root / INDEX
    ).stat().st_size


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "pipe"])
def test_what_is_no_file_is_not_used(root: Path, tmp_path: Path, kind: str) -> None:
    rows = load_rows(root)
    copy = tmp_path / "elsewhere"
    (root / INDEX).rename(copy)
    if kind == "folder":
        (root / INDEX).mkdir()
    elif kind == "pipe":
        os.mkfifo(root / INDEX)
    else:
        (root / INDEX).symlink_to(copy if kind == "link" else tmp_path / "nothing")
    before = copy.read_bytes()
    assert load_rows(root) == rows
    assert copy.read_bytes() == before


def test_an_edited_digit_counts_though_size_and_mtime_stay(root: Path) -> None:
    path = an_evaluation(root)
    before, times = load_rows(root), path.stat()
    set_accuracy(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    after = load_rows(root)
    assert after != before
    assert after == without_index(root)


def test_an_edit_right_after_reading_counts(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(index_module, "SETTLED_NS", 2_000_000_000)
    before = load_rows(root)
    set_accuracy(an_evaluation(root))
    assert load_rows(root) != before


def test_the_index_of_a_copy_says_nothing_of_its_records(root: Path, tmp_path: Path) -> None:
    load_rows(root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)  # with the times of every file
    set_accuracy(copy / an_evaluation(root).relative_to(root))
    assert (copy / INDEX).exists()
    copied = load_rows(copy)
    assert copied == without_index(copy)
    assert copied.evaluations[0].accuracies != load_rows(root).evaluations[0].accuracies


def remove_record(root: Path) -> None:
    an_evaluation(root).unlink()


def remove_cell(root: Path) -> None:
    shutil.rmtree(an_evaluation(root).parent)


def swap_records(root: Path) -> None:
    one, two = (root / "cells" / e.cell_id for e in load_rows(root).evaluations[:2])
    (one / "record.json").rename(root / "aside")
    (two / "record.json").rename(one / "record.json")
    (root / "aside").rename(two / "record.json")


def damage_record(root: Path) -> None:
    path = an_evaluation(root)
    path.write_text(path.read_text().replace("}", "]", 1))


def replace_record(root: Path) -> None:
    path = an_evaluation(root)
    new = path.with_name("new")
    new.write_text(path.read_text())
    set_accuracy(new)
    new.replace(path)


@pytest.mark.parametrize(
    "change", [remove_record, remove_cell, swap_records, damage_record, replace_record]
)
def test_a_changed_store_is_read_as_it_is(
    root: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    load_rows(root)
    change(root)
    twin = tmp_path / "twin"
    shutil.copytree(root, twin)
    (twin / INDEX).unlink()
    notes, twin_notes = list[str](), list[str]()
    rows, status = load_rows(root, note=notes.append), read_status(root).to_json()
    expected = load_rows(twin, note=twin_notes.append), read_status(twin).to_json()
    plain = json.dumps([rows, status], default=vars).replace(str(root), str(twin))
    assert plain == json.dumps(expected, default=vars)
    assert [note.replace(str(root), str(twin)) for note in notes] == twin_notes


def test_a_damaged_record_is_named_each_time(root: Path) -> None:
    path = an_evaluation(root)
    damage_record(root)
    for _ in range(2):
        notes: list[str] = []
        load_rows(root, note=notes.append)
        assert [path.parent.name in note for note in notes] == [True]
        path.with_name("record.damaged.json").rename(path)


def test_a_folder_replaced_by_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    load_rows(root)
    folder = an_evaluation(root).parent
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    notes: list[str] = []
    rows = load_rows(root, note=notes.append)
    assert folder.name not in {e.cell_id for e in rows.evaluations}
    assert ["is a link" in note for note in notes] == [True]


def test_what_processes_do_is_seen(root: Path) -> None:
    folder = an_evaluation(root).parent
    read_states(Store(root))
    (folder / "record.json").unlink()
    with cell_lock(folder):
        assert read_states(Store(root))[folder.name].state == "running"
    assert read_states(Store(root))[folder.name].state == "interrupted"


def test_new_cells_join_the_index(root: Path, monkeypatch) -> None:
    load_rows(root)
    known = set(os.listdir(root / "cells"))
    new = [record for record in cells(6) if record.id not in known]
    fill(root, new)
    time.sleep(0.02)
    rows = load_rows(root)
    assert len(rows.evaluations) == 6 * 4
    forbid_reading(monkeypatch)
    assert load_rows(root) == rows


def test_two_writers_leave_a_good_index(root: Path, monkeypatch) -> None:
    one, two = Store(root), Store(root)
    with one.indexed(20), two.indexed(20):
        ids = sorted(os.listdir(root / "cells"))
        for store, part in ((one, ids[:12]), (two, ids[8:])):
            for cell_id in part:
                assert store.read(cell_id) is not None
    assert load_rows(root) == without_index(root)


def test_a_store_that_cannot_be_written_is_read(root: Path) -> None:
    rows = load_rows(root)
    (root / INDEX).unlink()
    (root / INDEX).mkdir()  # not even root can put a file in its place
    assert load_rows(root) == rows
    assert os.listdir(root / INDEX) == []
    assert not [name for name in os.listdir(root) if name.endswith(".tmp")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_store_is_read(root: Path) -> None:
    rows = without_index(root)
    (root / INDEX).unlink()
    root.chmod(0o555)
    try:
        assert load_rows(root) == rows
        assert not (root / INDEX).exists()
    finally:
        root.chmod(0o755)


def test_values_that_the_index_cannot_hold_are_read_each_time(root: Path) -> None:
    path = an_evaluation(root)
    for odd in (2**70, "\ud800"):
        data = json.loads(path.read_text())
        data["labels"]["odd"] = odd
        path.write_text(json.dumps(data))
        time.sleep(0.02)
        for _ in range(2):
            record = Store(root).read(path.parent.name)
            records = {each.id: each for each in Store(root).records()}
            assert records[path.parent.name] == record
            assert record is not None
            assert record.labels["odd"] == odd


def test_the_data_that_records_name_come_from_the_index_too(root: Path) -> None:
    plain = recorded_data(root)
    load_rows(root)
    assert recorded_data(root) == plain != {}


def test_a_small_store_has_no_index(tmp_path: Path) -> None:
    fill(tmp_path, cells(2))
    load_rows(tmp_path)
    read_states(Store(tmp_path))
    assert not (tmp_path / INDEX).exists()
