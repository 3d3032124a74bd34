"""A checkpoint is kept now and then, found again, and never a reason to lose a run."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bench.ledger.state_file
from bench.ledger.checkpoint import Checkpoint

CPU = torch.device("cpu")


def make(folder: Path, every: float = 60.0, cell: str = "c0") -> tuple[Checkpoint, list[str]]:
    notes: list[str] = []
    return Checkpoint(folder / "checkpoint.safetensors", cell, every, notes.append), notes


def test_what_was_saved_is_loaded_and_removed(tmp_path: Path) -> None:
    checkpoint, notes = make(tmp_path)
    assert checkpoint.load(CPU) is None
    assert checkpoint.save({"step": 3, "x": torch.ones(2)})
    found = make(tmp_path)[0].load(CPU)
    assert found is not None
    assert found["step"] == 3
    assert torch.equal(found["x"], torch.ones(2))
    checkpoint.remove()
    assert checkpoint.load(CPU) is None
    checkpoint.remove()
    assert notes == []


def test_zero_seconds_is_always_and_an_hour_is_not_now(tmp_path: Path) -> None:
    always, rarely = make(tmp_path, 0.0)[0], make(tmp_path, 3600.0)[0]
    assert always.due()
    always.save({})
    assert always.due()
    assert not rarely.due()


def test_a_slow_disk_gets_fewer_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.ledger.checkpoint.time.monotonic", lambda: now[0])

    def slow(*args: object) -> None:
        now[0] += 10.0

    monkeypatch.setattr(bench.ledger.state_file, "save_state", slow)
    checkpoint, _ = make(tmp_path, 60.0)
    now[0] = 60.0
    assert checkpoint.due()
    checkpoint.save({})
    now[0] = 70.0 + 499.0
    assert not checkpoint.due()  # 10 seconds in 500 are 2 %
    now[0] = 70.0 + 500.0
    assert checkpoint.due()


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, notes = make(tmp_path)
    checkpoint.save({"step": 1})

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench.ledger.state_file, "save_state", full)
    assert not checkpoint.save({"step": 2})
    assert len(notes) == 1
    assert "No space left on device" in notes[0]
    assert checkpoint.load(CPU) == {"step": 1}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "another cell's", "not a state"])
def test_a_file_of_no_use_is_named_and_set_aside(damage: str, tmp_path: Path) -> None:
    checkpoint, notes = make(tmp_path)
    checkpoint.save({"x": torch.arange(100)})
    path = checkpoint.path
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-5])
    elif damage == "flipped":
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "another cell's":
        make(tmp_path, cell="c1")[0].save({"x": 1})
    else:
        bench.ledger.state_file.save_state({"cell": "c0", "state": 3}, path)
    assert checkpoint.load(CPU) is None
    assert len(notes) == 1
    assert str(path) in notes[0]
    assert "from the beginning" in notes[0]
    assert not path.exists()
    assert (tmp_path / "checkpoint.damaged").exists()


def test_attempts_are_counted_until_the_work_is_done(tmp_path: Path) -> None:
    numbers = [_counting(tmp_path).count_attempt() for _ in range(3)]
    assert numbers == [1, 2, 3]
    _counting(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []
    assert _counting(tmp_path).count_attempt() == 1


def _plant_link(path: Path) -> None:
    path.symlink_to(path.with_name("victim"))


def _plant_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("plant", [_plant_link, os.mkfifo, Path.mkdir, _plant_large])
def test_a_planted_file_counts_no_attempts(plant: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("x")
    plant(tmp_path / "attempts")
    assert [_counting(tmp_path).count_attempt() for _ in range(2)] == [1, 1]
    assert (tmp_path / "victim").read_text() == "x"


def _counting(folder: Path) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.safetensors", "c", 60.0, pytest.fail)
