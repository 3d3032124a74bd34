"""The commands that the slurm executor sends and how it reads the answers; needs no SLURM."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bench.executors.slurm import array, commands
from bench.executors.slurm.array import (
    JobArray,
    array_folder,
    cancel_interrupted,
    load_arrays,
    remove_array,
    submit_arrays,
)
from bench.executors.slurm.commands import JobState
from bench.executors.slurm.executor import SlurmExecutor
from bench.executors.slurm.options import SlurmOptions
from bench.grid.site import Site
from bench.ledger.cell import Cell
from bench.ledger.store import Store
from bench.support.errors import BenchError


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that SLURM would have received; they answer with nothing."""
    calls: list[tuple[str, ...]] = []

    def run(*command: str) -> str:
        calls.append(command)
        return ""

    monkeypatch.setattr(commands, "run", run)
    return calls


def test_options_are_read_and_the_rest_goes_to_sbatch() -> None:
    options = SlurmOptions.parse(
        ["partition=gpu", "time=8h", "gpus_per_task=1", "limit=4", "--qos=long", "exclusive"]
    )
    assert (options.time, options.limit) == ("480", 4)
    assert options.sbatch == {
        "partition": "gpu", "gpus-per-task": "1", "qos": "long", "exclusive": True,
    }  # fmt: skip


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
        ("time", "needs a value"),
        ("limit=0", ">= 1"),
        ("grace=two", "grace=two is not allowed: expected `int`"),
        ("poll=0", "poll=0 is not allowed: expected `float` > 0"),
        ("limit", "needs a value"),
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
        "7_0    FAILED   36608   NonZeroExitCode   \n"
        "7_1    FAILED   35072   NonZeroExitCode\n"
        "7_2    PENDING  0       Nodes required for job are down\n"
        "9      RUNNING  0       None\n"
    )
    monkeypatch.setattr(commands, "run", lambda *command: answer)
    states = commands.job_states(["bench-0123456789ab", "bench-ba9876543210"])
    stopped, killed, waits, runs = (states[job] for job in ("7_0", "7_1", "7_2", "9"))
    assert JobState("TIMEOUT").describe() == "its SLURM job ended: timeout"
    assert stopped.ended
    assert not stopped.is_death
    assert killed.describe().startswith("its process was killed by SIGKILL")
    assert killed.is_death
    assert waits == JobState("PENDING", "Nodes required for job are down")
    assert not waits.ended
    assert not runs.ended


def test_nothing_is_asked_of_slurm_about_no_jobs(sent: list[tuple[str, ...]]) -> None:
    assert commands.job_states([]) == {}
    assert sent == []


def test_an_absent_command_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchError, match="'scontrol' is not on this machine"):
        commands.largest_array()


def test_an_absent_submitit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(BenchError, match=r"pip install 'distillation-bench\[slurm\]'"):
        SlurmExecutor()


@pytest.mark.parametrize("logs", [True, False])
def test_arrays_are_saved_and_removed(
    logs: bool, tmp_path: Path, sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array, "sbatch", lambda *_: "12")
    store = Store(tmp_path)
    (saved,) = submit(store, cells("a", "b"))
    assert load_arrays(store) == [saved]
    assert saved.jobs == {"a": "12_0", "b": "12_1"}
    folder = array_folder(store, saved.name)
    folder.mkdir()
    remove_array(folder, logs=logs)
    assert load_arrays(store) == []
    assert folder.exists() is not logs


LEFT = "bench-0123456789ab"


@pytest.mark.parametrize(
    ("name", "age", "beside", "removed"),
    [
        (LEFT, 601, "", True),
        (LEFT, 599, "", False),
        (LEFT, 601, f"{LEFT}.json", False),
        (LEFT, 601, f"{LEFT}/12_0_log.err", False),
        ("bench-a,others", 601, "", False),
    ],
)
def test_an_interrupted_submission_is_cancelled(
    name: str, age: int, beside: str, removed: bool, tmp_path: Path, sent: list[tuple[str, ...]]
) -> None:
    folder = tmp_path / "slurm" / name
    folder.mkdir(parents=True)
    if beside:
        (tmp_path / "slurm" / beside).write_text("")
    then = time.time() - age
    os.utime(folder, (then, then))
    cancel_interrupted(Store(tmp_path))
    assert sent == ([("scancel", f"--name={LEFT}")] if removed else [])
    assert folder.exists() is not removed


def test_an_array_of_one_is_a_plain_job() -> None:
    assert JobArray("bench-0123456789ab", ("a",), "12").jobs == {"a": "12"}


def test_an_array_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    values = {"name": "bench-0123456789ab", "cells": ["a"], "stamps": [[5, 7]], "job": "12"}
    (tmp_path / "slurm/bench-0123456789ab.json").write_text(json.dumps(values))
    assert load_arrays(Store(tmp_path)) == [JobArray("bench-0123456789ab", ("a",), "12")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bench-0123456789ab", "{"),
        ("bench-0123456789ab", "[" * 100_000),
        ("bench-0123456789ab", "[]"),
        ("bench-0123456789ab", json.dumps({"cells": [], "job": None})),
        ("bench-0123456789ab", json.dumps({"cells": ["../a"], "job": None})),
        ("bench-0123456789ab", json.dumps({"cells": ["a"], "job": "1 2"})),
        ("bench-0123456789ab", json.dumps({"cells": ["a"], "job": "12\n"})),
        ("bench-0123456789ab", json.dumps({"cells": 3, "job": "1"})),
        ("bench-x,everyone", json.dumps({"cells": ["a"], "job": "1"})),
    ],
)
def test_an_array_that_somebody_made_up_is_left_out(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / f"{name}.json").write_text(content)
    assert load_arrays(Store(tmp_path)) == []


def test_an_array_that_is_a_pipe_or_a_link_is_left_out(tmp_path: Path) -> None:
    store, elsewhere = Store(tmp_path / "store"), Store(tmp_path / "elsewhere")
    saved = JobArray("bench-0123456789ab", ("a",), "12")
    for folder in ("store/slurm", "elsewhere/slurm"):
        (tmp_path / folder).mkdir(parents=True)
    values = {"cells": saved.cells, "job": saved.job}
    array_folder(elsewhere, saved.name).with_suffix(".json").write_text(json.dumps(values))
    assert load_arrays(elsewhere) == [saved]
    (tmp_path / f"store/slurm/{saved.name}.json").symlink_to(
        tmp_path / f"elsewhere/slurm/{saved.name}.json"
    )
    os.mkfifo(tmp_path / "store/slurm/bench-ba9876543210.json")
    assert load_arrays(store) == []


def cells(*chains: str) -> list[Cell]:
    """Return cells, as far as submission reads them, from ``id`` and ``id needs id``."""
    parts = [chain.partition(" needs ") for chain in chains]
    return [cast("Cell", SimpleNamespace(id=p[0], depends_on=p[2] or None)) for p in parts]


def submit(
    store: Store,
    cells: list[Cell],
    options: SlurmOptions | None = None,
    queued: Mapping[str, str] | None = None,
) -> list[JobArray]:
    options = options or SlurmOptions()
    return list(submit_arrays(store, Site(str(store.root), "data"), cells, options, queued or {}))


def test_the_last_of_a_chain_receives_its_dependency_first(
    tmp_path: Path, sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array, "sbatch", lambda *_: "7")
    chain = ["gan", "dim needs gan", "one needs dim", "two needs dim", "late needs early"]
    submitted = submit(Store(tmp_path), cells(*chain), queued={"early": "3_4"})
    assert [command[2:] for command in sent if command[1] != "show"] == [
        ("JobId=7_4", "Dependency=afterany:3_4"),
        ("JobId=7_3,7_2", "Dependency=afterany:7_1"),
        ("JobId=7_1", "Dependency=afterany:7_0"),
        ("7",),
    ]
    assert load_arrays(Store(tmp_path)) == submitted


def test_an_array_without_its_dependencies_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = []

    def run(*command: str) -> str:
        programs.append(command[0])
        if command[:2] == ("scontrol", "update"):
            raise BenchError("SLURM's scontrol failed")
        return ""

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(array, "sbatch", lambda *_: "7")
    with pytest.raises(BenchError, match="scontrol failed"):
        submit(Store(tmp_path), cells("a", "b needs a"))
    assert programs == ["scontrol", "scontrol", "scancel"]
    assert load_arrays(Store(tmp_path)) == []


def test_more_cells_than_an_array_holds_become_several(
    tmp_path: Path, sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def sbatch(folder: Path, site: Site, part: list[Cell], options: SlurmOptions) -> str:
        limits.append(options.limit)
        return str(len(limits))

    monkeypatch.setattr(array, "sbatch", sbatch)
    monkeypatch.setattr(commands, "largest_array", lambda: 2)
    arrays = submit(Store(tmp_path), cells(*"abcd", "e needs a"), SlurmOptions(limit=9))
    jobs = {cell_id: job for each in arrays for cell_id, job in each.jobs.items()}
    assert [jobs[cell_id] for cell_id in "abcde"] == ["1_0", "1_1", "2_0", "2_1", "3"]
    assert limits == [3, 3, 3]
    assert [command[2:] for command in sent] == [
        ("1",), ("2",), ("JobId=3", "Dependency=afterany:1_0"), ("3",)
    ]  # fmt: skip
