"""Sets are evaluated before the last step of their distillation, which itself stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from processes.bench_processes import TOYS
from run_digits import accuracies, run_digits

import bench
from bench.cli import main
from bench.executors.local.executor import LocalExecutor
from bench.grid.saved_request import reopen_request
from bench.ledger.cell import percent_mark
from bench.ledger.frames import load_failures, load_frame, load_frames
from bench.ledger.requests import SavedRequest, load_requests
from bench.ledger.store import Store
from bench.registry.registry import METHODS
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted

AT = [50, 25, 75]


def steps_done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of every step that the toy does from now on."""
    done: list[int] = []
    monkeypatch.setattr(METHODS.get("toy-drift"), "faults", {"step": lambda _, i: done.append(i)})
    return done


def final(frame: Any) -> dict[str, Any]:
    """Return the result of the final set."""
    (row,) = frame[frame["percent"].isna()].to_dict("records")
    return dict(row)


def outcome(store: Path, cell_id: str) -> Any:
    record = Store(store).read(cell_id)
    assert record is not None
    return record.outcome


def test_the_final_set_and_its_cost_are_those_of_a_plain_run(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    plain, _ = run_digits(tmp_path / "plain", data_dir, "toy-drift", 2)
    done = steps_done(monkeypatch)
    frame, view = run_digits(tmp_path / "curve", data_dir, "toy-drift", 2, evaluate_at=AT)
    assert done == list(range(8))  # each step once: a set goes on from the one before
    assert view.count("ok") == 8
    names = ("cell_id", "distil_id", "accuracies", "distil_steps", "changed")
    assert [final(frame)[n] for n in names] == [final(plain)[n] for n in names]
    ours, theirs = (
        outcome(tmp_path / folder, final(plain)["distil_id"]) for folder in ("curve", "plain")
    )
    assert (ours.result, ours.budget) == (theirs.result, theirs.budget)
    assert (ours.cost.attempts, ours.cost.total_steps) == (1, 8)
    assert not list(tmp_path.rglob("checkpoint*"))
    assert not list(tmp_path.rglob("attempts"))


def test_each_percentage_is_a_result_of_its_own(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at="50,25")
    rows = frame.sort_values("distil_steps").to_dict("records")
    assert [(row["distil_steps"], row["changed"]) for row in rows] == [
        (2, percent_mark(25)), (4, percent_mark(50)), (8, ""),
    ]  # fmt: skip
    assert len({row["distil_id"] for row in rows}) == len({row["cell_id"] for row in rows}) == 3
    costs = [outcome(tmp_path, row["distil_id"]).cost.total_seconds for row in rows]
    assert [row["distil_seconds"] for row in rows] == costs


def test_curves_of_results_that_are_there(toys, tmp_path, data_dir, monkeypatch) -> None:
    plain, _ = run_digits(tmp_path, data_dir, "toy-drift", 2)
    done = steps_done(monkeypatch)
    frame, view = run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at=AT)
    assert (view.count("cached"), view.count("ok")) == (2, 6)
    assert done == list(range(6))
    assert final(frame) == final(plain)
    assert not list(tmp_path.rglob("checkpoint*"))  # the last one is not gone on from
    assert run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at=AT)[1].count("cached") == 8


def test_a_curve_that_was_interrupted_goes_on(toys, tmp_path, data_dir, monkeypatch) -> None:
    done: list[int] = []

    def stop_once(toy: Any, i: int) -> None:
        done.append(i)
        if done == list(range(6)):
            toy.ctx.stop.request("a test", 143)

    monkeypatch.setattr(METHODS.get("toy-drift"), "faults", {"step": stop_once})
    with pytest.raises(Interrupted):
        run_digits(tmp_path / "a", data_dir, "toy-drift", 2, evaluate_at=AT)
    frame, _ = run_digits(tmp_path / "a", data_dir, "toy-drift", 2, evaluate_at=AT)
    assert done == list(range(8))
    whole, _ = run_digits(tmp_path / "b", data_dir, "toy-drift", 2, evaluate_at=AT)
    assert list(frame["accuracies"]) == list(whole["accuracies"])
    assert not list((tmp_path / "a").rglob("checkpoint*"))


@pytest.mark.parametrize(
    ("last", "damaged", "steps"),
    # The set after 75 % of the steps has six of the eight.
    [(2, False, [6, 7]), (2, True, [6, 7]), (6, False, [7]), (6, True, [6, 7])],
)
def test_a_set_goes_on_from_where_the_work_got_furthest(
    toys, tmp_path, data_dir, monkeypatch, last: int, damaged: bool, steps: list[int]
) -> None:
    plain, _ = run_digits(tmp_path / "plain", data_dir, "toy-drift", 2)

    def stop(toy: Any, i: int) -> None:
        if i == last:
            toy.ctx.stop.request("a test", 143)

    monkeypatch.setattr(METHODS.get("toy-drift"), "faults", {"step": stop})
    with pytest.raises(Interrupted):
        run_digits(tmp_path / "a", data_dir, "toy-drift", 2)
    (checkpoint,) = (tmp_path / "a").rglob("checkpoint.safetensors")
    if damaged:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-7])
    done = steps_done(monkeypatch)
    frame, _ = run_digits(tmp_path / "a", data_dir, "toy-drift", 2, evaluate_at=[25, 75])
    assert done == [*range(6), *steps]
    assert final(frame)["accuracies"] == final(plain)["accuracies"]
    assert final(frame)["distil_steps"] == 8
    assert not list((tmp_path / "a").rglob("checkpoint.safetensors"))


def test_workers_give_the_same_curve(toys, tmp_path, data_dir) -> None:
    here, _ = run_digits(tmp_path / "here", data_dir, "toy-drift", 2, evaluate_at=AT)
    there, view = run_digits(
        tmp_path / "there", data_dir, "toy-drift", 2, evaluate_at=AT, plugins=[TOYS], threads=1,
        execute=LocalExecutor(2),
    )  # fmt: skip
    assert view.count("ok") == 8
    assert accuracies(there) == accuracies(here)
    assert not list((tmp_path / "there").rglob("checkpoint*"))


def test_a_saved_request_asks_for_its_curve_again(toys, tmp_path, data_dir) -> None:
    run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at=AT)
    ((saved,),) = [load_requests(tmp_path, lambda _: None)]
    assert list(reopen_request(saved)[0].evaluate_at) == AT
    # One that an earlier bench saved does not know of it.
    request = {k: v for k, v in saved.spec["request"].items() if k != "evaluate_at"}
    older = SavedRequest({**saved.spec, "request": request}, saved.cells, "2026-01-01")
    assert not reopen_request(older)[0].evaluate_at


def test_a_set_that_cannot_be_taken_early_costs_its_point_only(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    results: list[int] = []

    def fail_first(toy: Any, i: int) -> None:
        results.append(i)
        if len(results) == 1:
            raise RuntimeError("not yet")

    monkeypatch.setattr(METHODS.get("toy-drift"), "faults", {"result": fail_first})
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at=[25, 75])
    assert sorted(frame["percent"].dropna()) == [75]
    assert final(frame)["distil_steps"] == 8
    assert "not yet" in " ".join(load_failures(tmp_path)["reason"])


def test_what_selects_images_has_nothing_before(toys, tmp_path, data_dir) -> None:
    frame, view = run_digits(tmp_path, data_dir, ["random", "toy-first"], 1, evaluate_at=AT)
    assert len(frame) == 2
    assert len(view.ended) == 4


@pytest.mark.parametrize(
    ("method", "params"),
    [("toy-drift", {"iterations": 8}), ("dm", {"iterations": 4}), ("dc", {"iterations": 4})],
)
def test_it_is_the_set_of_a_shorter_run_where_no_schedule_says_otherwise(
    toys, data_dir: Path, method: str, params: dict[str, int]
) -> None:
    real = bench.load_dataset("digits", device="cpu", data_dir=data_dir).train
    ((name, steps),) = params.items()

    def images(length: int, percent: int | None) -> torch.Tensor:
        made = bench.distil(
            method, real, ipc=1, arch="convnet1(width=4)", profile="smoke",
            params={name: length}, percent=percent,
        )  # fmt: skip
        return made.distilled.tensors()["images"]

    half = images(steps, 50)
    assert torch.equal(half, images(steps // 2, None))
    assert not torch.equal(half, images(steps, None))


@pytest.mark.parametrize(
    ("percentages", "message"),
    [
        ([0], "percentage 0 is not allowed: it must be a whole number from 1 up"),
        ([100], "percentage 100 is not allowed: at most 99 are"),
        (["half"], "percentage 'half' is not allowed"),
        (list(range(1, 30)), "evaluate_at names 29 percentages: at most 20 are allowed"),
    ],
)
def test_wrong_percentages(toys, tmp_path, data_dir, percentages, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        run_digits(tmp_path, data_dir, "toy-drift", 1, evaluate_at=percentages)


@pytest.fixture
def curve_store(toys: Any, tmp_path: Path, data_dir: Path) -> Path:
    run_digits(tmp_path, data_dir, "toy-drift", 2, evaluate_at=[25])
    return tmp_path


@pytest.fixture
def invoke(curve_store: Path) -> Callable[..., str]:
    def run(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, "--store", str(curve_store)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_tables_hold_final_sets_only(curve_store: Path, invoke: Callable[..., str]) -> None:
    assert list(load_frame(curve_store)["percent"].isna()) == [True]
    assert len(load_frames(curve_store, unfinished=True)[0]) == 2
    (row,) = json.loads(invoke("table", "--format", "json"))["results"]
    assert (row["distil_steps"], row["changed"]) == (8, "")
    for words in (["table"], ["table", "--layout", "paper"]):
        assert "25 %" not in invoke(*words)


def test_the_plot_and_the_cell_show_it(
    curve_store: Path, invoke: Callable[..., str], tmp_path: Path
) -> None:
    invoke("plot", "learning", "-o", str(tmp_path / "plots"))
    assert (tmp_path / "plots" / "learning.png").exists()
    frame = load_frames(curve_store, unfinished=True)[0]
    (early,) = frame[frame["percent"] == 25].to_dict("records")
    assert "changed: after 25 % of the steps" in invoke("show", early["cell_id"])
    assert "percent: 25" in invoke("show", early["distil_id"])


def test_an_archive_has_all_of_it(
    curve_store: Path, invoke: Callable[..., str], tmp_path: Path
) -> None:
    invoke("archive", "-o", str(tmp_path / "all.zip"))
    merged = CliRunner().invoke(
        main, ["merge", str(tmp_path / "all.zip"), "--store", str(tmp_path / "other")]
    )
    assert merged.exit_code == 0, merged.output
    frames = [load_frames(root, unfinished=True)[0] for root in (curve_store, tmp_path / "other")]
    assert accuracies(frames[0]) == accuracies(frames[1])
    assert len(frames[1]) == 2
