"""Cells are computed once, failures are recorded, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
import bench.evaluating
from bench.api import open_session
from bench.control import Control
from bench.datasets.real_set import RealSet
from bench.errors import BenchError
from bench.evaluation import engine
from bench.executors.spec import RunSpec
from bench.grid import Request
from bench.interrupts import Interrupted, Stop
from bench.registry import METHODS, load_plugin_file
from bench.runner import Runner
from bench.seeds import make_generator
from bench.store.lock import cell_lock
from bench.store.query import load_failures
from bench.store.state_file import load_state
from bench.view import View

TOYS = Path(__file__).with_name("toys.py")
SMALL: dict[str, Any] = {"arch": "convnet1(width=4)", "eval_nets": 2, "profile": "smoke"}


class Counter(View):
    """Remembers how each cell ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def finish(self, cell, status, text, seconds):
        self.ended.append((cell.title, status))

    def note(self, text):
        self.notes.append(text)

    def count(self, status: str) -> int:
        return sum(s == status for _, s in self.ended)


@pytest.fixture
def toys() -> Iterator[None]:
    load_plugin_file(TOYS)
    yield
    for name in METHODS.names():
        if name.startswith("toy-"):
            METHODS.unregister(name)


def go(store: Path, data_dir: Path, method: str | list[str], ipc: Any = 1, **more: Any):
    view = Counter()
    frame = bench.run(
        method, "digits", ipc, store=store, data_dir=data_dir, view=view, **{**SMALL, **more}
    )
    return frame, view


def accuracies(frame) -> dict[str, list[float]]:
    return dict(zip(frame["cell_id"], frame["accuracies"], strict=True))


def test_second_run_computes_nothing_and_gives_the_same(toys, tmp_path, data_dir) -> None:
    first, view = go(tmp_path, data_dir, ["toy-first", "toy-drift"], [1, 2])
    assert view.count("ok") == 8
    second, again = go(tmp_path, data_dir, ["toy-first", "toy-drift"], [1, 2])
    assert again.count("cached") == 8
    assert again.count("ok") == 0
    assert accuracies(first) == accuracies(second)


def test_test_images_are_whitened_with_the_sets_own_statistics(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    seen = []

    def watch(*args, **named):
        seen.append(args[5])  # the test set
        return evaluate(*args, **named)

    evaluate = bench.evaluating.evaluate
    monkeypatch.setattr(bench.evaluating, "evaluate", watch)
    frame, _ = go(tmp_path, data_dir, ["toy-first", "toy-whitened"])
    assert len(frame) == 2
    plain, white = sorted(seen, key=lambda test: test.zca is not None)
    assert plain.zca is None
    index = torch.arange(5)
    assert torch.equal(white.gather(index), white.zca.whiten(plain.images[:5]))
    pixels = plain.images[:5] / 255
    assert torch.allclose(white.zca.unwhiten(white.gather(index)), pixels, atol=1e-4)


def test_adding_methods_and_ipcs_shifts_no_number(toys, tmp_path, data_dir) -> None:
    alone, _ = go(tmp_path / "a", data_dir, "toy-first", 2)
    beside, _ = go(tmp_path / "b", data_dir, ["toy-drift", "toy-first"], [1, 2], seeds=2)
    both = accuracies(beside)
    assert accuracies(alone).items() <= both.items()
    assert len(both) == 8


def test_a_failure_is_recorded_and_the_others_go_on(toys, tmp_path, data_dir) -> None:
    frame, view = go(tmp_path, data_dir, ["toy-fails", "toy-first"], [1, 2])
    assert len(frame) == 3
    assert view.count("failed") == 2  # the distillation, and the evaluation that rests on it
    failures = load_failures(tmp_path)
    assert set(failures["status"]) == {"failed"}
    assert any("the toy broke" in reason for reason in failures["reason"])
    logs = [p.read_text() for p in tmp_path.glob("cells/*/log.txt")]
    assert any("Traceback" in text and "the toy broke" in text for text in logs)


def test_a_failed_cell_is_tried_again(toys, tmp_path, data_dir) -> None:
    go(tmp_path, data_dir, "toy-fails", 1)
    _, view = go(tmp_path, data_dir, "toy-fails", 1)
    assert view.count("failed") == 2
    assert view.count("cached") == 0


def test_nan_stops_the_cell_with_the_step(toys, tmp_path, data_dir) -> None:
    overrides = {"toy-drift": {"nan_at": 1}}
    frame, _ = go(tmp_path, data_dir, "toy-drift", 1, overrides=overrides)
    assert len(frame) == 0
    reasons = list(load_failures(tmp_path)["reason"])
    assert any("loss is nan at step 1" in reason for reason in reasons)


def test_skips_carry_their_reason(toys, tmp_path, data_dir) -> None:
    frame, _ = go(tmp_path, data_dir, "toy-skips", [1, 2])
    assert list(frame["ipc"]) == [2]
    failures = load_failures(tmp_path)
    assert list(failures["status"]) == ["skipped"]
    assert list(failures["reason"]) == ["needs at least two images per class"]


def test_a_rule_that_skips_later_takes_no_result_away(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    first, _ = go(tmp_path, data_dir, "toy-first", 1)
    monkeypatch.setattr(METHODS.get("toy-first"), "skip", lambda _: 1 / 0)
    again, view = go(tmp_path, data_dir, "toy-first", [1, 2])
    assert accuracies(again) == accuracies(first)
    assert (view.count("cached"), view.count("skipped")) == (1, 1)
    (reason,) = load_failures(tmp_path)["reason"]
    assert "ZeroDivisionError" in reason
    record = tmp_path / "cells" / load_failures(tmp_path)["cell_id"][0] / "record.json"
    before = record.stat().st_mtime_ns
    go(tmp_path, data_dir, "toy-first", [1, 2])
    assert record.stat().st_mtime_ns == before


def test_what_is_tried_again_elsewhere_condemns_nobody(toys, tmp_path, data_dir) -> None:
    go(tmp_path, data_dir, "toy-fails", 1)
    failures = load_failures(tmp_path).set_index("cell_id")
    (distil,) = [i for i, reason in failures.reason.items() if "needs" not in reason]
    with cell_lock(tmp_path / "cells" / distil):
        _, view = go(tmp_path, data_dir, "toy-fails", 1)
    assert view.count("busy") == 2
    assert view.count("failed") == 0


def test_data_that_changed_since_the_run_began_are_refused(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    split = Runner.split

    def imported_anew(self: Runner, dataset: str, part: str) -> RealSet:
        real = split(self, dataset, part)
        return replace(real, sha256="0" * 64) if part == "test" else real

    monkeypatch.setattr(Runner, "split", imported_anew)
    frame, view = go(tmp_path, data_dir, "toy-first", 1)
    assert len(frame) == 0
    assert (view.count("ok"), view.count("failed")) == (1, 1)
    (reason,) = load_failures(tmp_path)["reason"]
    assert reason == "the dataset 'digits' is not what it was when this run began"


class Judged:
    """Remembers what networks were trained on, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._evaluate = bench.evaluating.evaluate
        monkeypatch.setattr(bench.evaluating, "evaluate", self)

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.calls.append((args, named))
        return self._evaluate(*args, **named)


def test_a_set_brings_its_own_rate_and_epochs(toys, tmp_path, data_dir, monkeypatch) -> None:
    judged = Judged(monkeypatch)
    frame, _ = go(tmp_path, data_dir, ["toy-own-pace", "toy-first"], 1)
    paces = {(named["learning_rate"], named["epochs"]) for _, named in judged.calls}
    assert paces == {(0.125, 3), (0.01, 40)}
    steps = frame.set_index("method")["training_steps"]
    assert (steps["toy-own-pace"], steps["toy-first"]) == (3, 40)
    record = json.loads(
        (tmp_path / "cells" / frame.set_index("method").cell_id["toy-own-pace"] / "record.json")
        .read_text()
    )  # fmt: skip
    assert (record["result"]["learning_rate"], record["result"]["epochs"]) == (0.125, 3)


def test_every_judge_of_a_frozen_set_sees_the_same_images(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    judged = Judged(monkeypatch)
    few = {"gan": {"max_steps": 1}}
    archs = ["convnet1(width=4)", "mlp(width=4)"]
    go(tmp_path, data_dir, "gan", 1, mode="frozen", eval_arch=archs, overrides=few)
    first, second = (args[0].epoch(make_generator(0)) for args, _ in judged.calls)
    assert torch.equal(first[0], second[0])
    assert judged.calls[0][0][2] != judged.calls[1][0][2]
    other = tmp_path / "other"
    go(other, data_dir, "gan", 1, mode="frozen", overrides=few, seeds=2)
    draws = [args[0].epoch(make_generator(0))[0] for args, _ in judged.calls[2:]]
    assert torch.equal(draws[0], first[0])
    assert not torch.equal(draws[1], first[0])


def test_the_judge_flips_what_the_dataset_allows_whatever_the_set_says(
    toys, tmp_path, data_dir, monkeypatch
) -> None:
    _, view = go(tmp_path, data_dir, "toy-flips", 1)
    assert view.count("failed") == 1
    (reason,) = load_failures(tmp_path)["reason"]
    assert "not made from digits: its flip is True, not False" in reason


def test_numbers_may_be_numpys(toys, tmp_path, data_dir) -> None:
    frame, _ = go(tmp_path, data_dir, "toy-first", np.array([1, 2]), seeds=np.int64(1))
    assert list(frame["ipc"]) == [1, 2]
    for wrong in (True, 1.5, "x"):
        with pytest.raises(BenchError, match="must be a whole number"):
            go(tmp_path, data_dir, "toy-first", wrong)


def test_a_lost_or_damaged_record_is_computed_again(toys, tmp_path, data_dir) -> None:
    first, _ = go(tmp_path, data_dir, "toy-first", 1)
    record = tmp_path / "cells" / first["cell_id"][0] / "record.json"
    record.write_text(record.read_text()[:100])
    second, view = go(tmp_path, data_dir, "toy-first", 1)
    assert view.count("ok") == 1
    assert any("is damaged" in note for note in view.notes)
    assert accuracies(first) == accuracies(second)


def test_a_damaged_artefact_is_made_again(toys, tmp_path, data_dir) -> None:
    first, _ = go(tmp_path, data_dir, "toy-first", 1)
    artefact = Path(first["artefact"][0])
    artefact.write_bytes(artefact.read_bytes()[:-10])
    go(tmp_path, data_dir, "toy-first", 1, eval_nets=1)
    again, view = go(tmp_path, data_dir, "toy-first", 1, eval_nets=1)
    assert len(again) == 1, view.ended


def test_results_outlive_their_artefact(toys, tmp_path, data_dir) -> None:
    first, _ = go(tmp_path, data_dir, "toy-drift", [1, 2])
    for path in tmp_path.glob("cells/*/artefact.safetensors"):
        path.unlink()
    second, view = go(tmp_path, data_dir, "toy-drift", [1, 2])
    assert view.count("cached") == 4
    assert accuracies(first) == accuracies(second)
    _, more = go(tmp_path, data_dir, "toy-drift", [1, 2], eval_nets=1)
    assert more.count("ok") == 4  # new evaluations need the artefacts: they are made again


def test_a_cell_that_another_process_works_on_is_left_to_it(toys, tmp_path, data_dir) -> None:
    frame, _ = go(tmp_path / "a", data_dir, "toy-drift", 1)
    with cell_lock(tmp_path / "b" / "cells" / frame["distil_id"][0]) as held:
        assert held
        empty, view = go(tmp_path / "b", data_dir, "toy-drift", 1)
    assert view.count("busy") == 2
    assert len(empty) == 0
    assert len(load_failures(tmp_path / "b")) == 0
    assert len(go(tmp_path / "b", data_dir, "toy-drift", 1)[0]) == 1


def test_the_record_says_what_was_done(toys, tmp_path, data_dir) -> None:
    frame, _ = go(tmp_path, data_dir, "toy-drift", 2)
    path = tmp_path / "cells" / frame["cell_id"][0] / "record.json"
    record = json.loads(path.read_text())
    assert record["budget"]["nominal_ipc"] == 2
    assert record["budget"]["distinct_images"] == 20
    assert record["budget"]["stored_bytes"] == 20 * 16 * 16 * 4
    assert record["cost"]["distil_steps"] == 2
    assert record["result"]["selection"] == "last"
    assert len(record["labels"]["dataset_sha256"]) == 64
    assert record["environment"]["packages"]["torch"]


def test_generator_serves_every_ipc_from_one_artefact(tmp_path, data_dir) -> None:
    frame, view = go(tmp_path, data_dir, "gan", [1, 2], overrides={"gan": {"max_steps": 2}})
    assert sorted(zip(frame["ipc"], frame["mode"], strict=True)) == [
        (1, "frozen"), (1, "stream"), (2, "frozen"), (2, "stream"),
    ]  # fmt: skip
    assert frame["distil_id"].nunique() == 1
    assert sum(title.startswith("gan on digits seed") for title, _ in view.ended) == 1
    by_mode = frame.set_index(["ipc", "mode"])
    assert by_mode.loc[(2, "frozen"), "stored_bytes"] == 20 * 256
    assert by_mode.loc[(1, "stream"), "stored_bytes"] == by_mode.loc[(2, "stream"), "stored_bytes"]
    assert by_mode.loc[(2, "frozen"), "distinct_images"] == 20
    assert by_mode.loc[(2, "stream"), "distinct_images"] > 20


def test_dim_starts_from_the_same_gan(tmp_path, data_dir) -> None:
    few = {"gan": {"max_steps": 2}, "dim": {"gan_max_steps": 2, "max_steps": 1}}
    frame, view = go(
        tmp_path, data_dir, ["gan", "dim"], 1, mode="stream", eval_nets=1, overrides=few
    )
    distilled = [title for title, _ in view.ended if "ipc" not in title]
    assert len(distilled) == 2
    steps = frame.set_index("method")["distil_steps"]
    assert (steps["gan"], steps["dim"]) == (2, 3)


class StopsAt(Counter):
    """Asks the run to end once a cell has come so far."""

    def __init__(self, title: str, done: int) -> None:
        super().__init__()
        self.title, self.at, self.stop = title, done, Stop()
        self.first: dict[str, int] = {}

    def progress(self, cell, done, total, unit, scalars):
        self.first.setdefault(cell.title, done)
        if self.title in cell.title and done >= self.at:
            self.stop.request("SIGTERM", 143)


def go_on(store: Path, data_dir: Path, view: StopsAt, *methods: str, **params: Any):
    """Run a small grid with a checkpoint after every step."""
    request = Request(
        list(methods), ["digits"], [1], ["convnet1(width=4)"], eval_nets=2, profile="smoke",
        overrides=params,
    )  # fmt: skip
    spec = RunSpec(request, str(store), str(data_dir), "cpu", checkpoint_every=0.0)
    session = open_session(spec, Control(view, view.stop))
    session.run()
    return session.frames()[0]


DRIFT = {"toy-drift": {"iterations": 20}}


@pytest.mark.parametrize(("where", "done"), [("digits ipc 1 seed", 7), ("stored", 3)])
def test_a_run_goes_on_where_it_was_told_to_end(
    where, done, toys, tmp_path, data_dir, monkeypatch
) -> None:
    # Networks in threads are looked at now and then: they may be trained before the first time.
    monkeypatch.setattr(engine._Job, "on_cores", engine._Job.in_turn)
    expected = go_on(tmp_path / "a", data_dir, StopsAt("none", 0), "toy-drift", **DRIFT)
    view = StopsAt(where, done)
    with pytest.raises(Interrupted, match="SIGTERM"):
        go_on(tmp_path / "b", data_dir, view, "toy-drift", **DRIFT)
    assert view.ended[-1][1] == "stopped"
    assert len(list((tmp_path / "b").glob("cells/*/checkpoint.safetensors"))) == 1
    again = StopsAt("none", 0)
    found = go_on(tmp_path / "b", data_dir, again, "toy-drift", **DRIFT)
    assert accuracies(found) == accuracies(expected)
    assert again.first[view.ended[-1][0]] > done
    for frame, store in ((expected, "a"), (found, "b")):
        assert Path(frame["artefact"][0]).is_relative_to(tmp_path / store)
    artefacts = [Path(frame["artefact"][0]).read_bytes() for frame in (expected, found)]
    assert artefacts[0] == artefacts[1]
    assert not list((tmp_path / "b").glob("cells/*/checkpoint*"))
    records = [json.loads(p.read_text()) for p in (tmp_path / "b").glob("cells/*/record.json")]
    assert sorted(r["cost"]["attempts"] for r in records) == [1, 2]


def test_a_cell_that_diverged_keeps_its_last_good_checkpoint(toys, tmp_path, data_dir) -> None:
    bad = {"toy-drift": {"iterations": 20, "nan_at": 12}}
    view = StopsAt("none", 0)
    go_on(tmp_path, data_dir, view, "toy-drift", "toy-first", **bad)
    assert view.count("failed") == 2
    assert view.count("ok") == 2
    (kept,) = tmp_path.glob("cells/*/checkpoint.safetensors")
    assert load_state(kept, torch.device("cpu"))["state"]["done"] == 12


def test_a_budget_that_is_spent_leaves_the_rest(toys, tmp_path, data_dir) -> None:
    view = Counter()
    frame = bench.run(
        ["toy-first", "toy-drift"], "digits", 1, store=tmp_path, data_dir=data_dir, view=view,
        time_budget=0, **SMALL,
    )  # fmt: skip
    assert len(frame) == 0
    assert view.ended == []
    assert view.notes == ["the time budget is spent: the next call does the rest"]


def test_a_damaged_checkpoint_is_told_and_the_cell_starts_over(toys, tmp_path, data_dir) -> None:
    expected = go_on(tmp_path / "a", data_dir, StopsAt("none", 0), "toy-drift", **DRIFT)
    with pytest.raises(Interrupted):
        go_on(tmp_path / "b", data_dir, StopsAt("seed", 7), "toy-drift", **DRIFT)
    (kept,) = (tmp_path / "b").glob("cells/*/checkpoint.safetensors")
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    view = StopsAt("none", 0)
    found = go_on(tmp_path / "b", data_dir, view, "toy-drift", **DRIFT)
    assert any("checkpoint" in note and "from the beginning" in note for note in view.notes)
    assert accuracies(found) == accuracies(expected)
