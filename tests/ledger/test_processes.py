"""A process is known by its number and its start."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.python_process import kill_unnoticed, needs_proc, python_process

from bench.ledger import processes
from bench.ledger.processes import Process, find_process


@needs_proc
def test_a_running_process_keeps_its_start() -> None:
    mine = find_process(os.getpid())
    with python_process() as other:
        theirs = find_process(other.pid)
        assert mine is not None
        assert theirs is not None
        assert (theirs.started or 0) >= (mine.started or 1)
        assert (mine.pid, theirs.pid) == (os.getpid(), other.pid)
        assert find_process(os.getpid()) == mine
    assert find_process(other.pid) is None


@needs_proc
def test_one_that_ended_is_gone_before_its_parent_looks() -> None:
    with python_process() as other:
        kill_unnoticed(other)
        os.kill(other.pid, 0)  # its number is still taken
        assert find_process(other.pid) is None


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**70])
def test_no_number_of_a_process(pid: int) -> None:
    assert find_process(pid) is None


def test_another_users_is_found() -> None:
    found = find_process(1)
    assert found is not None
    assert found.pid == 1


@pytest.mark.parametrize("stat", [None, "", "1 (x) S", "1 (x) S " + "no " * 30])
def test_a_system_that_does_not_tell(
    stat: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / str(os.getpid())
    folder.mkdir()
    if stat is not None:
        (folder / "stat").write_text(stat)
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert find_process(os.getpid()) == Process(os.getpid(), None)


def test_a_name_with_brackets_and_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / str(os.getpid())
    folder.mkdir()
    (folder / "stat").write_text("7 (a) Z (b) S " + " ".join(str(n) for n in range(1, 40)))
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert find_process(os.getpid()) == Process(os.getpid(), 19)


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the file with the number of a machine that is no container."""
    monkeypatch.setattr(processes, "MACHINE_ID", tmp_path / "machine-id")
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    monkeypatch.delenv("container", raising=False)
    processes.machine_id.cache_clear()
    yield tmp_path / "machine-id"
    processes.machine_id.cache_clear()


def test_a_machine_is_its_number_and_its_name(bare_machine: Path) -> None:
    bare_machine.write_text("0123456789abcdef" * 2 + "\n")
    assert processes.machine_id() == "0123456789abcdef" * 2 + f" {socket.gethostname()}"


@pytest.mark.parametrize("content", ["", "uninitialized\n", "0123", None])
def test_a_machine_without_a_number_is_not_known(bare_machine: Path, content: str | None) -> None:
    if content is not None:
        bare_machine.write_text(content)
    assert processes.machine_id() == ""


def test_a_container_is_not_known(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare_machine.write_text("0123456789abcdef" * 2)
    monkeypatch.setenv("container", "podman")
    assert processes.machine_id() == ""
