"""What the slurm executor says to SLURM and makes of its answers; needs no SLURM."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.executors import slurm_queue
from bench.executors.slurm_batch import (
    load_batches,
    new_batch,
    remove_batch,
    save_batch,
    with_job,
)
from bench.executors.slurm_options import SlurmOptions
from bench.executors.slurm_queue import TaskState
from bench.executors.slurm_submit import chunks, load_submitit, submit
from bench.ledger.store import Store
from bench.support.errors import BenchError


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Keeps what SLURM's commands would have been; they answer with nothing."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str) -> str:
        commands.append(command)
        return ""

    monkeypatch.setattr(slurm_queue, "_run", run)
    return commands


def test_options_are_read_and_the_rest_goes_to_sbatch() -> None:
    options = SlurmOptions.parse(
        ["partition=gpu", "time=8h", "gpus-per-task=1", "limit=4", "--qos=long", "exclusive"]
    )
    assert (options.partition, options.time, options.gpus_per_task) == ("gpu", "480", 1)
    assert options.limit == 4
    assert options.sbatch == {"qos": "long", "exclusive": True}


@pytest.mark.parametrize(
    ("text", "minutes"), [("90m", "90"), ("30s", "1"), ("1.5h", "90"), ("2d", "2880")]
)
def test_times_are_turned_into_minutes(text: str, minutes: str) -> None:
    assert SlurmOptions.parse([f"time={text}"]).time == minutes


@pytest.mark.parametrize("text", ["60", "1:30:00", "1-12", "2-00:00:00"])
def test_times_of_slurm_pass(text: str) -> None:
    assert SlurmOptions.parse([f"time={text}"]).time == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time=soon", "time=soon is not allowed"),
        ("time", "time= is not allowed"),
        ("limit=0", "from 1 up"),
        ("cpus-per-task=two", "from 1 up"),
        ("poll=0", "must be seconds"),
        ("partition", "needs a value"),
        ("=x", "not of the form KEY=VALUE"),
        ("qos=", "not of the form KEY=VALUE"),
        ("wc key=1", "not of the form KEY=VALUE"),
        ("array=0-3", "bench sets it itself"),
        ("job_name=x", "bench sets it itself"),
    ],
)
def test_a_wrong_option_is_named(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        SlurmOptions.parse([text])


def test_states_are_read_without_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (
        "bench-0123456789ab   7    0    FAILED   36608   0   NonZeroExitCode   \n"
        "bench-0123456789ab   7    1    FAILED   35072   0   NonZeroExitCode\n"
        "bench-0123456789ab   7    2    PENDING  0       3   BeginTime\n"
        "bench-ba9876543210   9    N/A  RUNNING  0       0   None\n"
    )
    monkeypatch.setattr(slurm_queue, "_run", lambda *command: answer)
    states = slurm_queue.tasks(["bench-0123456789ab", "bench-ba9876543210"])
    stopped, killed, waits, runs = (
        states["bench-0123456789ab", 0],
        states["bench-0123456789ab", 1],
        states["bench-0123456789ab", 2],
        states["bench-ba9876543210", 0],
    )
    assert TaskState("TIMEOUT").death() == "its SLURM job ended: timeout"
    assert stopped.over
    assert stopped.blameless
    assert killed.death(3).startswith("its process was killed by SIGKILL on each of 3 attempts")
    assert not killed.blameless
    assert waits == TaskState("PENDING", "BeginTime", restarts=3)
    assert not waits.over
    assert not runs.over


def test_nothing_is_asked_of_slurm_about_no_jobs(said: list[tuple[str, ...]]) -> None:
    assert slurm_queue.tasks([]) == {}
    slurm_queue.cancel([])
    assert said == []


def test_an_absent_command_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchError, match="'scontrol' is not on this machine"):
        slurm_queue.largest_array()


def test_an_absent_submitit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(BenchError, match=r"pip install 'distillation-bench\[slurm\]'"):
        load_submitit()


def test_batches_are_kept_and_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    batch = with_job(new_batch(store, ["a", "b"]), "12")
    save_batch(store, batch)
    assert load_batches(store) == [batch]
    assert (batch.job_of(1), batch.jobs_of([0, 1])) == ("12_1", "12_[0,1]")
    remove_batch(store, batch.name, logs=True)
    assert load_batches(store) == []


def test_an_array_of_one_is_a_plain_job(tmp_path: Path) -> None:
    batch = with_job(new_batch(Store(tmp_path), ["a"]), "12")
    assert (batch.job_of(0), batch.jobs_of([0])) == ("12", "12")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bench-0123456789ab", "{"),
        ("bench-0123456789ab", "[" * 100_000),
        ("bench-0123456789ab", json.dumps({"cells": ["a"], "stamps": [], "job": None})),
        ("bench-0123456789ab", json.dumps({"cells": ["a"], "stamps": [None], "job": "1 2"})),
        ("bench-0123456789ab", json.dumps({"cells": 3, "stamps": [None], "job": "1"})),
        ("bench-x,everyone", json.dumps({"cells": ["a"], "stamps": [None], "job": "1"})),
    ],
)
def test_a_batch_that_somebody_made_up_is_left_out(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / f"{name}.json").write_text(content)
    assert load_batches(Store(tmp_path)) == []


def test_whoever_is_last_in_a_chain_is_told_first_what_it_waits_for(
    tmp_path: Path, said: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.executors.slurm_submit._sbatch", lambda *rest: "7")
    store = Store(tmp_path)
    batch = new_batch(store, ["gan", "dim", "judged-1", "judged-2", "late"])
    waits = {"dim": "gan", "judged-1": "dim", "judged-2": "dim", "late": "early"}
    submitted = submit(store, batch, "", {}, SlurmOptions(), waits, {"early": "3_4"})
    assert [command[2:] for command in said] == [
        ("JobId=7_[2,3]", "Dependency=afterany:7_1"),
        ("JobId=7_[1]", "Dependency=afterany:7_0"),
        ("JobId=7_[4]", "Dependency=afterany:3_4"),
        ("7",),
    ]
    assert load_batches(store) == [submitted]


def test_what_cannot_be_ordered_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(*command: str) -> str:
        commands.append(command[0])
        if command[0] == "scontrol":
            raise BenchError("SLURM's scontrol failed")
        return ""

    monkeypatch.setattr(slurm_queue, "_run", run)
    monkeypatch.setattr("bench.executors.slurm_submit._sbatch", lambda *rest: "7")
    store = Store(tmp_path)
    with pytest.raises(BenchError, match="scontrol failed"):
        submit(store, new_batch(store, ["a", "b"]), "", {}, SlurmOptions(), {"b": "a"}, {})
    assert commands == ["scontrol", "scancel"]
    assert load_batches(store) == []


def test_more_cells_than_an_array_holds_are_cut() -> None:
    assert chunks("abcde", 2) == ["ab", "cd", "e"]


def test_a_batch_that_is_a_pipe_or_a_link_is_left_out(tmp_path: Path) -> None:
    store, elsewhere = Store(tmp_path / "store"), Store(tmp_path / "elsewhere")
    batch = with_job(new_batch(elsewhere, ["a"]), "12")
    save_batch(elsewhere, batch)
    (tmp_path / "store/slurm").mkdir(parents=True)
    (tmp_path / f"store/slurm/{batch.name}.json").symlink_to(
        tmp_path / f"elsewhere/slurm/{batch.name}.json"
    )
    os.mkfifo(tmp_path / "store/slurm/bench-0123456789ab.json")
    assert load_batches(store) == []
