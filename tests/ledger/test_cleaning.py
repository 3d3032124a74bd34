"""What a store does not need goes, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.cleaning import Waste, find_waste, remove
from bench.ledger.holder import PATIENCE
from bench.ledger.lock import cell_lock
from bench.ledger.requests import RequestedCell, SavedRequest, save_request
from bench.ledger.store import Store


def put(path: Path, age: float = 3600, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    touched = time.time() - age
    os.utime(path, (touched, touched))
    return path


def names(store: Store, waste: list[Waste]) -> set[str]:
    return {str(each.path.relative_to(store.root)) for each in waste}


def test_a_clean_store_has_no_waste(store: Store) -> None:
    store.write(record(distil_json("d0")))
    store.artefact("d0").write_bytes(b"x")
    store.write(record(evaluate_json("e0")))
    store.log("e0", "text")
    assert find_waste(store.root) == []


def test_what_is_waste(store: Store) -> None:
    store.write(record(evaluate_json("done")))
    store.write(record(failed_json("failed")))
    store.write_request("only", {})
    store.write_request("begun", {})
    for name in ("done", "failed", "begun"):
        put(store.folder(name) / "checkpoint.safetensors")
    put(store.folder("done") / ".record.json.abc.tmp")
    put(store.folder("done") / ".tmpXYZ")
    put(store.folder("done") / ".record.json.young.tmp", age=0)
    put(store.folder("done") / "record.damaged.json")
    put(store.folder("done") / "artefact.damaged")
    put(store.folder("begun") / "lock", age=PATIENCE + 60, content='{"host": "gone", "pid": 1}')
    put(store.root / "shared" / "x.damaged")
    put(store.root / "shared" / ".x.tmp")
    put(store.root / "requests" / ".x.tmp", age=120)  # a large file may still be written
    put(store.root / "shared" / "made.safetensors")
    put(store.root / "shared" / "made.checkpoint.safetensors")
    put(store.root / "shared" / "begun.checkpoint.safetensors")
    waste = find_waste(store.root)
    assert names(store, waste) == {
        "cells/done/checkpoint.safetensors", "cells/done/.record.json.abc.tmp",
        "cells/done/.tmpXYZ", "cells/done/record.damaged.json", "cells/done/artefact.damaged",
        "cells/only", "cells/begun/lock", "shared/x.damaged", "shared/.x.tmp",
        "shared/made.checkpoint.safetensors",
    }  # fmt: skip
    assert all(each.size > 0 for each in waste)
    assert remove(store, waste) == sum(each.size for each in waste)
    assert find_waste(store.root) == []
    assert store.read("done") is not None
    assert store.read("failed") is not None
    assert sorted(p.name for p in store.folder("begun").iterdir()) == [
        "checkpoint.safetensors", "request.json"
    ]  # fmt: skip
    assert not store.folder("only").exists()


def test_the_state_that_a_set_of_more_steps_goes_on_from_is_kept(store: Store) -> None:
    part = distil_json("part")
    store.write(record({**part, "identity": {**part["identity"], "percent": 75}}))
    put(store.folder("part") / "checkpoint.safetensors")
    assert find_waste(store.root) == []


def test_failed_cells_go_if_asked(store: Store) -> None:
    store.write(record(failed_json("f0")))
    store.log("f0", "a traceback")
    put(store.folder("f0") / "checkpoint.safetensors")
    store.write(record({**failed_json("s0"), "status": "skipped"}))
    assert names(store, find_waste(store.root)) == set()
    waste = find_waste(store.root, failed=True)
    assert names(store, waste) == {"cells/f0"}
    remove(store, waste)
    assert [p.name for p in (store.root / "cells").iterdir()] == ["s0"]


def test_logs_of_slurm_jobs_go_with_failed_cells_once_the_jobs_have_ended(store: Store) -> None:
    put(store.root / "slurm" / "bench-ended" / "1_0_log.err")
    put(store.root / "slurm" / "bench-running" / "2_0_log.err")
    put(store.root / "slurm" / "bench-running.json")
    put(store.root / "slurm" / ".bench-killed.json.abc.tmp")
    assert names(store, find_waste(store.root)) == {"slurm/.bench-killed.json.abc.tmp"}
    waste = find_waste(store.root, failed=True)
    assert names(store, waste) == {"slurm/bench-ended", "slurm/.bench-killed.json.abc.tmp"}
    remove(store, waste)
    left = sorted(path.name for path in (store.root / "slurm").iterdir())
    assert left == ["bench-running", "bench-running.json"]


def test_a_cell_that_somebody_works_on_is_left_alone(store: Store) -> None:
    store.write(record(failed_json("f0")))
    store.write_request("r0", {})
    waste = find_waste(store.root, failed=True)
    assert names(store, waste) == {"cells/f0", "cells/r0"}
    with cell_lock(store.folder("f0")), cell_lock(store.folder("r0")):
        assert find_waste(store.root, failed=True) == []
        assert remove(store, waste) == 0
    assert store.read("f0") is not None
    assert (store.folder("r0") / "request.json").exists()


def test_a_cell_that_is_done_by_now_is_left_alone(store: Store) -> None:
    store.write(record(failed_json("e0")))
    store.write_request("e1", {})
    waste = find_waste(store.root, failed=True)
    store.write(record(evaluate_json("e0")))
    store.write(record(evaluate_json("e1")))
    assert remove(store, waste) == 0
    assert store.read("e0") is not None
    assert store.read("e1") is not None


def made(store: Store, cell_id: str, **identity: str) -> None:
    data = distil_json(cell_id)
    store.write(record({**data, "identity": {**data["identity"], **identity}}))
    store.artefact(cell_id).write_bytes(b"artefact")


def test_artefacts_go_if_asked_and_if_nothing_depends_on_them(store: Store) -> None:
    for name in ("evaluated", "half", "not-evaluated", "start", "promised"):
        made(store, name)
    store.write(record(evaluate_json("e0", distil="evaluated")))
    store.write(record(evaluate_json("e1", distil="half")))
    store.write_request("e2", {"kind": "evaluate", "distil": "half"})
    store.write(record(evaluate_json("e3", distil="start")))
    store.write(record({**failed_json("next", "distil"),
                "identity": {"ipc": 1, "prerequisite": "start"}}))  # fmt: skip
    store.write(record(evaluate_json("e4", distil="promised")))
    left = RequestedCell("e5", "evaluate", "t", "digits", "dm", "promised", None)
    first = RequestedCell("promised", "distil", "t", "digits", "dm", None, None)
    save_request(store.root, SavedRequest({"request": {}}, (first, left), ""))
    assert "cells/evaluated" not in "".join(names(store, find_waste(store.root)))
    waste = [w for w in find_waste(store.root, artefacts=True) if w.kind.startswith("artefacts")]
    assert names(store, waste) == {"cells/evaluated/artefact.safetensors"}
    assert waste[0].seconds == 2.5
    remove(store, waste)
    assert not store.artefact("evaluated").exists()
    assert store.read("evaluated") is not None


def test_what_cannot_be_removed_is_no_error(store: Store) -> None:
    assert remove(store, [Waste(store.root / "absent", "x", 3)]) == 0


def test_a_link_is_removed_and_not_followed(store: Store, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("x")
    store.write_request("x", {})
    (store.folder("x") / "x.damaged").symlink_to(elsewhere)
    remove(store, find_waste(store.root))
    assert (elsewhere / "precious").exists()
    assert not store.folder("x").exists()
