"""Cells are computed once, failures are recorded, and the others go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_digits import accuracies, run_digits

from bench.datasets.real_set import RealSet
from bench.distilled.image_set import ImageSet
from bench.grid import cell_records
from bench.grid.site import OpenSite
from bench.ledger.frames import load_failures
from bench.ledger.lock import cell_lock
from bench.ledger.store import Store
from bench.ledger.verifying import verify_store
from bench.registry.registry import METHODS
from bench.support.errors import BenchError


def test_second_run_computes_nothing_and_gives_the_same(toys, tmp_path, data_dir) -> None:
    first, view = run_digits(tmp_path, data_dir, ["toy-first", "toy-drift"], [1, 2])
    assert view.count("ok") == 8
    second, again = run_digits(tmp_path, data_dir, ["toy-first", "toy-drift"], [1, 2])
    assert again.count("cached") == 8
    assert again.count("ok") == 0
    assert accuracies(first) == accuracies(second)


def test_adding_methods_and_ipcs_shifts_no_number(toys, tmp_path, data_dir) -> None:
    alone, _ = run_digits(tmp_path / "a", data_dir, "toy-first", 2)
    beside, _ = run_digits(tmp_path / "b", data_dir, ["toy-drift", "toy-first"], [1, 2], seeds=2)
    both = accuracies(beside)
    assert accuracies(alone).items() <= both.items()
    assert len(both) == 8


def test_a_failure_is_recorded_and_the_others_go_on(toys, tmp_path, data_dir) -> None:
    frame, view = run_digits(tmp_path, data_dir, ["toy-fails", "toy-first"], [1, 2])
    assert len(frame) == 3
    assert view.count("failed") == 2  # the distillation, and the evaluation that depends on it
    failures = load_failures(tmp_path)
    assert set(failures["status"]) == {"failed"}
    assert any("the toy broke" in reason for reason in failures["reason"])
    logs = [p.read_text() for p in tmp_path.glob("cells/*/log.txt")]
    assert any("Traceback" in text and "the toy broke" in text for text in logs)


def test_a_failed_cell_is_tried_again(toys, tmp_path, data_dir) -> None:
    run_digits(tmp_path, data_dir, "toy-fails", 1)
    _, view = run_digits(tmp_path, data_dir, "toy-fails", 1)
    assert view.count("failed") == 2
    assert view.count("cached") == 0


def test_nan_stops_the_cell_with_the_step(toys, tmp_path, data_dir) -> None:
    overrides = {"toy-drift": {"nan_at": 1}}
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 1, overrides=overrides)
    assert len(frame) == 0
    reasons = list(load_failures(tmp_path)["reason"])
    assert any("loss is nan at step 1" in reason for reason in reasons)


def test_skips_carry_their_reason(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-skips", [1, 2])
    assert list(frame["ipc"]) == [2]
    failures = load_failures(tmp_path)
    assert list(failures["status"]) == ["skipped"]
    assert list(failures["reason"]) == ["needs at least two images per class"]


def test_a_rule_that_skips_later_takes_no_result_away(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    first, _ = run_digits(tmp_path, data_dir, "toy-first", 1)
    monkeypatch.setattr(METHODS.get("toy-first"), "skip", lambda _: 1 / 0)
    again, view = run_digits(tmp_path, data_dir, "toy-first", [1, 2])
    assert accuracies(again) == accuracies(first)
    assert (view.count("cached"), view.count("skipped")) == (1, 1)
    (reason,) = load_failures(tmp_path)["reason"]
    assert "ZeroDivisionError" in reason
    record = tmp_path / "cells" / load_failures(tmp_path)["cell_id"][0] / "record.json"
    before = record.stat().st_mtime_ns
    run_digits(tmp_path, data_dir, "toy-first", [1, 2])
    assert record.stat().st_mtime_ns == before


def test_what_is_tried_again_elsewhere_condemns_no_cell(toys, tmp_path, data_dir) -> None:
    run_digits(tmp_path, data_dir, "toy-fails", 1)
    failures = load_failures(tmp_path).set_index("cell_id")
    (distil,) = [i for i, reason in failures.reason.items() if "needs" not in reason]
    with cell_lock(tmp_path / "cells" / distil):
        _, view = run_digits(tmp_path, data_dir, "toy-fails", 1, no_wait=True)
    assert view.count("busy") == 2
    assert view.count("failed") == 0


def test_data_that_changed_since_the_run_began_are_refused(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    split = OpenSite.split

    def imported_anew(self: OpenSite, dataset: str, part: str) -> RealSet:
        real = split(self, dataset, part)
        return replace(real, sha256="0" * 64) if part == "test" else real

    monkeypatch.setattr(OpenSite, "split", imported_anew)
    frame, view = run_digits(tmp_path, data_dir, "toy-first", 1)
    assert len(frame) == 0
    assert (view.count("ok"), view.count("failed")) == (1, 1)
    (reason,) = load_failures(tmp_path)["reason"]
    assert reason == "the dataset 'digits' is not what it was when this run began"


def test_numbers_may_be_numpys(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-first", np.array([1, 2]), seeds=np.int64(1))
    assert list(frame["ipc"]) == [1, 2]
    for wrong in (True, 1.5, "x"):
        with pytest.raises(BenchError, match="must be a whole number"):
            run_digits(tmp_path, data_dir, "toy-first", wrong)


def test_a_lost_or_damaged_record_is_computed_again(toys, tmp_path, data_dir) -> None:
    first, _ = run_digits(tmp_path, data_dir, "toy-first", 1)
    record = tmp_path / "cells" / first["cell_id"][0] / "record.json"
    record.write_text(record.read_text()[:100])
    second, view = run_digits(tmp_path, data_dir, "toy-first", 1)
    assert view.count("ok") == 1
    assert any("is damaged" in note for note in view.notes)
    assert accuracies(first) == accuracies(second)


def test_a_damaged_artefact_is_made_again(toys, tmp_path, data_dir) -> None:
    first, _ = run_digits(tmp_path, data_dir, "toy-first", 1)
    artefact = Path(first["artefact"][0])
    artefact.write_bytes(artefact.read_bytes()[:-10])
    run_digits(tmp_path, data_dir, "toy-first", 1, eval_nets=1)
    again, view = run_digits(tmp_path, data_dir, "toy-first", 1, eval_nets=1)
    assert len(again) == 1, view.ended


def test_results_outlive_their_artefact(toys, tmp_path, data_dir) -> None:
    first, _ = run_digits(tmp_path, data_dir, "toy-drift", [1, 2])
    for path in tmp_path.glob("cells/*/artefact.safetensors"):
        path.unlink()
    second, view = run_digits(tmp_path, data_dir, "toy-drift", [1, 2])
    assert view.count("cached") == 4
    assert accuracies(first) == accuracies(second)
    _, more = run_digits(tmp_path, data_dir, "toy-drift", [1, 2], eval_nets=1)
    assert more.count("ok") == 4  # new evaluations need the artefacts: they are made again


def test_a_cell_that_another_process_works_on_is_left_to_it(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path / "a", data_dir, "toy-drift", 1)
    with cell_lock(tmp_path / "b" / "cells" / frame["distil_id"][0]) as held:
        assert held
        empty, view = run_digits(tmp_path / "b", data_dir, "toy-drift", 1, no_wait=True)
    assert view.count("busy") == 2
    assert len(empty) == 0
    assert len(load_failures(tmp_path / "b")) == 0
    assert len(run_digits(tmp_path / "b", data_dir, "toy-drift", 1)[0]) == 1


def test_the_record_says_what_was_done(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 2)
    path = tmp_path / "cells" / frame["cell_id"][0] / "record.json"
    record = json.loads(path.read_text())
    assert record["budget"]["nominal_ipc"] == 2
    assert record["budget"]["distinct_images"] == 20
    assert record["budget"]["stored_bytes"] == 20 * 16 * 16 * 4
    assert record["cost"]["distil_steps"] == 8
    assert record["result"]["selection"] == "last"
    assert len(record["labels"]["dataset_sha256"]) == 64
    assert record["environment"]["packages"]["torch"]
    assert "steps" not in record["environment"], "nothing is replayed on a CPU"


def test_the_record_says_how_steps_ran_on_a_gpu(toys, tmp_path, data_dir, monkeypatch) -> None:
    reasons = {"evaluation step": "called: 2.00 ms by replay, 2.10 by call"}
    monkeypatch.setattr(cell_records, "take_reasons", lambda: reasons)
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 1, eval_nets=1)
    path = tmp_path / "cells" / frame["cell_id"][0] / "record.json"
    assert json.loads(path.read_text())["environment"]["steps"] == reasons


def test_generator_serves_every_ipc_from_one_artefact(tmp_path, data_dir, no_diagnostics) -> None:
    frame, view = run_digits(tmp_path, data_dir, "gan", [1, 2], overrides={"gan": {"max_steps": 2}})
    assert sorted(zip(frame["ipc"], frame["mode"], strict=True)) == [
        (1, "frozen"), (1, "stream"), (2, "frozen"), (2, "stream"),
    ]  # fmt: skip
    assert frame["distil_id"].nunique() == 1
    assert sum(title.startswith("gan on digits seed") for title in view.ended_titles) == 1
    by_mode = frame.set_index(["ipc", "mode"])
    assert by_mode.loc[(2, "frozen"), "stored_bytes"] == 20 * 256
    assert by_mode.loc[(1, "stream"), "stored_bytes"] == by_mode.loc[(2, "stream"), "stored_bytes"]
    assert by_mode.loc[(2, "frozen"), "distinct_images"] == 20
    assert by_mode.loc[(2, "stream"), "distinct_images"] > 20


def test_dim_starts_from_the_same_gan(tmp_path, data_dir, no_diagnostics) -> None:
    few = {"gan": {"max_steps": 2}, "dim": {"gan_max_steps": 2, "max_steps": 1}}
    frame, view = run_digits(
        tmp_path, data_dir, ["gan", "dim"], 1, mode="stream", eval_nets=1, overrides=few
    )
    distilled = [title for title in view.ended_titles if "ipc" not in title]
    assert len(distilled) == 2
    steps = frame.set_index("method")["distil_steps"]
    assert (steps["gan"], steps["dim"]) == (2, 3)


@pytest.mark.parametrize("steps", [-5, 1.5, "3", True, None, float("nan")])
def test_steps_are_a_whole_number(steps, toys, tmp_path, data_dir, monkeypatch) -> None:
    monkeypatch.setattr(METHODS.get("toy-drift"), "steps", lambda _: steps)
    _, view = run_digits(tmp_path, data_dir, "toy-drift")
    assert f"steps() of the method 'toy-drift' returned {steps!r}" in view.texts("failed")[0]
    assert view.count("failed") == 2
    assert verify_store(tmp_path).problems == []


@pytest.mark.parametrize("version", ["1.0", 1.5, 0, -1, True, None, 2**63])
def test_a_version_is_refused_before_anything_runs(
    version, toys, tmp_path, data_dir, monkeypatch
) -> None:
    monkeypatch.setattr(METHODS.get("toy-drift"), "version", version)
    with pytest.raises(BenchError, match="of the method 'toy-drift' is not allowed"):
        run_digits(tmp_path, data_dir, "toy-drift")


def test_a_result_that_cannot_be_recorded_fails(toys, tmp_path, data_dir, monkeypatch) -> None:
    monkeypatch.setattr(METHODS.get("toy-drift"), "steps", lambda _: np.int64(3))
    run_digits(tmp_path / "a", data_dir, "toy-drift")
    assert verify_store(tmp_path / "a").records == 2
    monkeypatch.setattr(ImageSet, "storage_bytes", property(lambda _: -1))
    _, view = run_digits(tmp_path / "b", data_dir, "toy-first")
    reason = "its result cannot be recorded: field 'budget.stored_bytes' is out of range"
    assert reason in "".join(view.texts("failed"))
    assert verify_store(tmp_path / "b").problems == []


def test_an_evaluation_says_which_file_it_evaluated(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift")
    store = Store(tmp_path)
    made, evaluated = store.read(frame["distil_id"][0]), store.read(frame["cell_id"][0])
    assert made is not None
    assert evaluated is not None
    assert evaluated.to_json()["result"]["artefact_sha256"] == made.files["artefact.safetensors"]
