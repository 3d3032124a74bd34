"""The store as frames: the same columns and types whatever it holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.frames import (
    FAILURE_COLUMNS,
    FRAME_COLUMNS,
    load_failures,
    load_frame,
    load_frames,
)
from bench.ledger.store import Store
from bench.support.errors import BenchError

NUMBERS = {
    "n_test": "int64", "ipc": "Int64", "seed": "int64", "nets": "int64", "distil_steps": "int64",
    "distil_seconds": "float64", "eval_seconds": "float64", "stored_bytes": "int64",
    "distinct_images": "int64", "training_steps": "int64", "method_version": "int64",
    "threads": "int64", "distil_threads": "int64", "percent": "Int64",
}  # fmt: skip


def put(store: Store, *records: dict) -> None:  # type: ignore[type-arg]
    for data in records:
        store.write(record(data))


def test_an_evaluation_is_a_row(store: Store) -> None:
    put(store, distil_json("d0"), evaluate_json("e0"))
    frame, failures = load_frames(store.root)
    assert len(failures) == 0
    assert list(frame.columns) == list(FRAME_COLUMNS)
    (row,) = frame.to_dict("records")
    assert row == {
        "dataset": "digits", "dataset_note": "tiny", "dataset_sha256": "ab" * 32, "n_test": 297,
        "method": "dm", "method_version": 1,
        "profile": "lite", "changed": "", "ipc": 10, "mode": "stored",
        "arch": "convnet3", "labels": "hard", "origin": "bench",
        "plugin_source": "", "percent": None, "eval_arch": "resnet18",
        "protocol": "quick-v1", "selection": "last",
        "precision": "fp32", "seed": 0, "accuracies": (61.5, 63.25), "nets": 2,
        "stored_as": "made", "diverged": (),
        "distil_id": "d0",
        "cell_id": "e0", "distil_steps": 20, "distil_seconds": 3.5, "eval_seconds": 4.0,
        "stored_bytes": 640, "distinct_images": 100, "training_steps": 300, "device": "cpu",
        "threads": 0, "distil_threads": 0,
        "artefact": str(store.artefact("d0")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "read"), [(3, 3), ("3", 0), (True, 0), (-1, 0), (10**9, 0), (None, 0)], ids=str
)
def test_threads_are_those_of_both_processes(store: Store, recorded: object, read: int) -> None:
    made, evaluated = distil_json("d0"), evaluate_json("e0")
    made["environment"] = {"threads": recorded}
    evaluated["environment"] |= {"threads": 2}
    put(store, evaluated, made)
    row = load_frame(store.root).iloc[0]
    assert (row["threads"], row["distil_threads"]) == (2, read)


def test_a_failure_is_a_row_of_its_own(store: Store) -> None:
    skipped = {**failed_json("s0"), "status": "skipped", "reason": "needs two"}
    skipped["identity"] = {"ipc": 1, "mode": "stored", "arch": "resnet18"}
    distil = failed_json("f0", "distil")
    distil["identity"] = {"ipc": None, "arch": "convnet3"}
    put(store, skipped, distil, evaluate_json("e0"))
    frame, failures = load_frames(store.root)
    assert list(frame["cell_id"]) == ["e0"]
    assert list(failures.columns) == list(FAILURE_COLUMNS)
    first, second = failures.astype(object).where(failures.notna(), None).to_dict("records")
    assert first == {
        "dataset": "digits", "method": "dm", "profile": "lite", "ipc": None, "mode": "",
        "eval_arch": "", "seed": 0, "status": "failed", "reason": "loss is nan at step 3",
        "cell_id": "f0", "protocol": "",
    }  # fmt: skip
    assert (second["status"], second["reason"], second["ipc"]) == ("skipped", "needs two", 1)
    assert (second["mode"], second["eval_arch"]) == ("stored", "resnet18")


@pytest.mark.parametrize("ipcs", [[], [10], [None], [1, None, 50]], ids=str)
def test_types_do_not_depend_on_the_rows(store: Store, ipcs: list[int | None]) -> None:
    for i, ipc in enumerate(ipcs):
        put(
            store,
            evaluate_json(f"e{i}", ipc=ipc),
            {**failed_json(f"f{i}"), "identity": {"ipc": ipc}},
        )
    frame, failures = load_frames(store.root)
    assert len(frame) == len(failures) == len(ipcs)
    for name in FRAME_COLUMNS:
        assert str(frame[name].dtype) == NUMBERS.get(name, "object"), name
    for name in FAILURE_COLUMNS:
        assert str(failures[name].dtype) == NUMBERS.get(name, "object"), name
    assert [None if pd.isna(v) else int(v) for v in frame["ipc"]] == ipcs


def test_an_empty_store_gives_empty_frames(store: Store) -> None:
    assert load_frame(store.root).shape == (0, len(FRAME_COLUMNS))
    assert load_failures(store.root).shape == (0, len(FAILURE_COLUMNS))


def test_whole_seconds_are_seconds(store: Store) -> None:
    data = evaluate_json("e0")
    data["cost"] = {"seconds": 4, "distil_seconds": 0, "distil_steps": 0}
    put(store, data)
    assert load_frame(store.root)["eval_seconds"].dtype == "float64"


def test_ids_choose_and_order_the_rows(store: Store) -> None:
    put(store, evaluate_json("a"), evaluate_json("b"), evaluate_json("c"), failed_json("f"))
    frame, failures = load_frames(store.root, ["c", "a", "absent"])
    assert list(frame["cell_id"]) == ["c", "a"]
    assert len(failures) == 0
    assert list(load_frames(store.root)[0]["cell_id"]) == ["a", "b", "c"]
    assert len(load_frames(store.root, [])[0]) == 0


def test_damage_is_told_and_the_rest_is_read(store: Store) -> None:
    put(store, evaluate_json("a"), evaluate_json("b"))
    path = store.folder("a") / "record.json"
    path.write_text(path.read_text().replace("distil_steps", "distil_stesp"))
    notes: list[str] = []
    frame, _ = load_frames(store.root, note=notes.append)
    assert list(frame["cell_id"]) == ["b"]
    (line,) = notes
    assert "field 'cost.distil_steps' is missing" in line


@pytest.mark.parametrize("place", ["absent", "file"])
def test_no_store_is_an_error_whatever_is_asked(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    for ids in (None, [], ["a"]):
        with pytest.raises(BenchError, match="no store at"):
            load_frames(tmp_path / place, ids)


def test_reading_a_store_needs_no_torch(store: Store) -> None:
    put(store, evaluate_json("a"))
    code = (
        "import sys; from pathlib import Path; from bench.ledger.frames import load_frames\n"
        "print(len(load_frames(Path(sys.argv[1]))[0]), 'torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
