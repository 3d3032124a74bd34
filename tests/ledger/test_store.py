"""Cells on disk: what is damaged is named and set aside, what cannot be used says why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.store import Store
from bench.support.errors import BenchError

as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


def filled(root: Path) -> Store:
    store = Store(root)
    for data in (evaluate_json("e1"), distil_json("d0"), failed_json("f0")):
        store.write(record(data))
    return store


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert Store(tmp_path).read("e1") == record(evaluate_json("e1"))
    assert [r.id for r in Store(tmp_path).records()] == ["d0", "e1", "f0"]
    assert store.read("absent") is None
    assert store.damaged == []


def test_paths_are_inside_the_cell(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.folder("x") == tmp_path / "cells" / "x"
    assert store.artefact("x").parent == store.byproducts("x").parent == store.folder("x")
    assert not store.folder("x").exists()


def test_requests_and_logs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_request("x", {"b": 1, "a": None})
    store.log("x", "one\n")
    store.log("x", "two é \udcff")
    assert json.loads((store.folder("x") / "request.json").read_text()) == {"a": None, "b": 1}
    log = (store.folder("x") / "log.txt").read_text(encoding="utf-8")
    assert log == "one\ntwo é \\udcff\n"
    assert store.read("x") is None


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda b: b[:100],
    "not utf-8": lambda b: b"\xff" + b,
    "not json": lambda _: b"hello",
    "a list": lambda _: b"[]",
    "nested": lambda _: b"[" * 100_000,
    "huge number": lambda b: b.replace(b'"seed": 0', b'"seed": ' + b"9" * 5000),
    "NaN": lambda b: b.replace(b"63.25", b"NaN"),
    "wrong field": lambda b: b.replace(b'"status"', b'"statsu"'),
    "no percentage": lambda b: b.replace(b"63.25", b"-63.25"),
    "another cell's": lambda b: b.replace(b'"e1"', b'"e2"'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_named_and_set_aside(tmp_path: Path, damage: str) -> None:
    store = filled(tmp_path)
    path = store.folder("e1") / "record.json"
    before = path.read_bytes()
    path.write_bytes(DAMAGE[damage](before))
    assert path.read_bytes() != before
    assert store.read("e1") is None
    (line,) = store.damaged
    assert str(path) in line
    assert "is damaged" in line
    assert "set aside as record.damaged.json" in line
    assert not path.exists()
    assert (store.folder("e1") / "record.damaged.json").read_bytes() == DAMAGE[damage](before)
    assert [r.id for r in store.records()] == ["d0", "f0"]
    store.write(record(evaluate_json("e1")))
    assert store.read("e1") is not None


def test_a_folder_in_the_place_of_a_record_is_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.folder("x") / "record.json").mkdir(parents=True)
    assert store.read("x") is None
    assert len(store.damaged) == 1


def test_a_record_of_another_version_stays(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.folder("e1") / "record.json"
    path.write_text(json.dumps({**evaluate_json("e1"), "schema_version": 2, "new": 1}))
    assert [r.id for r in store.records()] == ["d0", "f0"]
    assert path.exists()
    (line,) = store.damaged
    assert "written by another version of bench (schema_version 2" in line
    assert "upgrade to bench" in line


def test_a_store_full_of_another_version_is_told_in_a_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for i in range(50):
        store.write(record(evaluate_json(f"e{i}")))
        path = store.folder(f"e{i}") / "record.json"
        path.write_text(json.dumps({**evaluate_json(f"e{i}"), "schema_version": i % 2 * 2}))
    assert list(store.records()) == []
    assert len(store.damaged) == 2
    assert all("left alone, like all such records" in line for line in store.damaged)
    assert len(list(tmp_path.rglob("record.json"))) == 50


def test_a_damaged_record_that_cannot_be_moved_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    path = store.folder("e1") / "record.json"
    path.write_text("hello")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert store.read("e1") is store.read("e1") is None
    (line,) = store.damaged
    assert "could not be set aside" in line
    assert path.read_text() == "hello"


def test_stray_files_among_the_cells_do_no_harm(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tmp_path / "cells" / ".DS_Store").write_bytes(b"\x00")
    (tmp_path / "cells" / "empty").mkdir()
    assert [r.id for r in store.records()] == ["d0", "e1", "f0"]
    assert store.damaged == []


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_no_byte_of_a_record_is_fatal(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    store.write(record(evaluate_json("e1")))
    path = store.folder("e1") / "record.json"
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    found = store.read("e1")
    assert (found is None) == (len(store.damaged) == 1)
    if found is not None:
        store.write(found)
        assert store.read("e1") == found


# --- stores that cannot be used ----------------------------------------------------------------


def test_preparing_makes_the_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "b")
    store.prepare()
    store.write(record(evaluate_json("e1")))
    store.prepare()
    store.check_readable()
    assert store.read("e1") is not None


@pytest.mark.parametrize("place", ["file", "file/inner", "folder"])
def test_a_store_that_is_a_file_cannot_be_prepared(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "cells").write_text("x")
    with pytest.raises(BenchError, match=f"store '.*{place}' cannot be used: "):
        Store(tmp_path / place).prepare()


@pytest.mark.parametrize("place", ["absent", "file", "file/inner", "empty", "folder"])
def test_a_store_that_is_not_there_cannot_be_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "cells").write_text("x")
    store = Store(tmp_path / place)
    with pytest.raises(BenchError, match=f"no store at '.*{place}': run `bench run` first"):
        store.check_readable()
    with pytest.raises(BenchError, match="no store at"):
        list(store.records())


@pytest.mark.parametrize(("refused", "words"), [(os.W_OK, "read and written"), (os.R_OK, "read")])
def test_a_store_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int, words: str
) -> None:
    """Root may do everything, so what the system answers is made up here."""
    store = filled(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & refused)
    with pytest.raises(BenchError, match=r"cannot be read and written by this user"):
        store.prepare()
    if refused == os.R_OK:
        with pytest.raises(BenchError, match=f"cannot be {words} by this user"):
            store.check_readable()
    else:
        store.check_readable()
        assert len(list(store.records())) == 3


def test_a_record_that_cannot_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BenchError, match=r"record.json' cannot be read: Permission denied"):
        store.read("e1")
    assert store.damaged == []


@as_root
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_store_without_permission(tmp_path: Path, mode: int) -> None:
    store = filled(tmp_path / "store")
    (store.root / "cells").chmod(mode)
    try:
        with pytest.raises(BenchError, match="cannot be read and written"):
            store.prepare()
        if mode:
            assert len(list(store.records())) == 3
        else:
            with pytest.raises(BenchError, match="cannot be read"):
                store.check_readable()
    finally:
        (store.root / "cells").chmod(0o700)


@as_root
def test_a_damaged_record_of_a_read_only_store(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (store.folder("e1") / "record.json").write_text("hello")
    store.folder("e1").chmod(0o500)
    try:
        assert store.read("e1") is None
        assert "could not be set aside" in store.damaged[0]
    finally:
        store.folder("e1").chmod(0o700)
