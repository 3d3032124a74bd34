"""A record is written only if it can be read back, and an edited one is known as such."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_builders import distil_json, evaluate_json, failed_json, hashed

from bench.ledger.merging import merge_store
from bench.ledger.record import Record
from bench.ledger.record_file import load_record
from bench.ledger.record_rows import load_rows
from bench.ledger.record_tables import DistilOutcome
from bench.ledger.store import Store
from bench.ledger.verifying import verify_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in JSON that is no table or list."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        if isinstance(each, dict | list):
            yield from leaves(each, (*path, key))
        else:
            yield (*path, key)


def edit(path: Path, place: tuple[Any, ...]) -> None:
    """Change one value in a record's file to another one of its type."""
    data = json.loads(path.read_text())
    table = data
    for key in place[:-1]:
        table = table[key]
    value = table[place[-1]]
    others: dict[type, Any] = {str: f"{value}x", type(None): "x", bool: not value}
    table[place[-1]] = others[type(value)] if type(value) in others else value + 1
    path.write_text(json.dumps(data, indent=2, sort_keys=True))


EXAMPLES = {"distil": distil_json(), "evaluate": evaluate_json(), "failed": failed_json()}
PLACES = [(kind, place) for kind, data in EXAMPLES.items() for place in leaves(data)]


@pytest.mark.parametrize(("kind", "place"), PLACES, ids=str)
def test_any_edited_value_is_noticed(kind: str, place: tuple[Any, ...], store: Store) -> None:
    record = hashed(EXAMPLES[kind])
    store.write(record)
    path = store.folder(record.id) / "record.json"
    assert load_record(path, record.id) == record
    edit(path, place)
    verification, notes = verify_store(store.root), list[str]()
    if verification.other_versions:
        return  # an edited schema version says that another bench must read it
    assert len(verification.problems) == 1
    rows = load_rows(store.root, note=notes.append)
    assert (rows.evaluations, rows.failures) == ([], [])
    assert len(notes) == 1
    assert str(path) in notes[0]


def test_an_edited_digit_is_named(store: Store) -> None:
    record = hashed(evaluate_json())
    store.write(record)
    path = store.folder(record.id) / "record.json"
    path.write_text(path.read_text().replace("61.5", "91.5"))
    (line,) = verify_store(store.root).problems
    assert line == f"'{path}': it was changed after it was written: its checksum differs"


def test_the_look_of_the_file_does_not_matter(store: Store) -> None:
    record = hashed(evaluate_json())
    store.write(record)
    path = store.folder(record.id) / "record.json"
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert load_record(path, record.id) == record


def test_a_record_without_a_checksum_is_read(store: Store) -> None:
    record = hashed(evaluate_json())
    path = store.folder(record.id) / "record.json"
    path.parent.mkdir()
    path.write_text(json.dumps(record.to_json()))
    assert load_record(path, record.id) == record
    assert verify_store(store.root).problems == []


@pytest.mark.parametrize("checksum", ["", "0" * 64, 3, [], {}])
def test_a_wrong_checksum(checksum: object, store: Store) -> None:
    record = hashed(evaluate_json())
    path = store.folder(record.id) / "record.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**record.to_json(), "checksum": checksum}))
    with pytest.raises(ValueError, match="its checksum differs"):
        load_record(path, record.id)


def test_merging_keeps_the_checksum(store: Store, tmp_path: Path) -> None:
    record = hashed(evaluate_json())
    store.write(record)
    merge_store(store.root, tmp_path / "all")
    name = f"cells/{record.id}/record.json"
    assert (tmp_path / "all" / name).read_text() == (store.root / name).read_text()
    (store.root / name).write_text((store.root / name).read_text().replace("61.5", "91.5"))
    merged = merge_store(store.root, tmp_path / "other")
    assert "checksum differs" in merged.problems[0]
    assert not (tmp_path / "other" / name).exists()


def bad_outcomes() -> dict[str, Record]:
    made = hashed(distil_json())
    assert isinstance(made.outcome, DistilOutcome)

    def with_result(**values: Any) -> Record:
        assert isinstance(made.outcome, DistilOutcome)
        return replace(
            made, outcome=replace(made.outcome, result=replace(made.outcome.result, **values))
        )

    return {
        "result.steps' is out of range": with_result(steps=-5),
        "result.steps' is missing or of the wrong type": with_result(steps=1.5),
        "Out of range float values": with_result(scalars={"loss": float("nan")}),
        "is not JSON serializable": with_result(scalars={"loss": object()}),
        "bytes; at most": with_result(scalars={"x" * 9_000_000: 1.0}),
        "labels.method_version": replace(made, labels={**made.labels, "method_version": "1.0"}),
    }


@pytest.mark.parametrize(("words", "record"), bad_outcomes().items())
def test_what_could_not_be_read_back_is_not_written(
    words: str, record: Record, store: Store
) -> None:
    with pytest.raises(ValueError, match=words):
        store.write(record)
    assert not (store.folder(record.id) / "record.json").exists()


def test_an_evaluation_of_another_set_than_the_recorded_one(store: Store) -> None:
    made = hashed(distil_json())
    store.write(made)
    for sha256, wrong in (("cd" * 32, 0), (None, 0), ("00" * 32, 1)):
        data = evaluate_json(distil=made.id)
        data["result"] |= {} if sha256 is None else {"artefact_sha256": sha256}
        record, notes = hashed(data), list[str]()
        store.write(record)
        load_rows(store.root, note=notes.append)
        problems = verify_store(store.root).problems
        assert problems == notes == wrong * [
            f"cell {record.id}: it evaluated another distilled set than the one that the store "
            "records"
        ]  # fmt: skip
