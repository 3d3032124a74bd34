"""Devices, versions, the commit and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.support import machine
from bench.support.errors import BenchError
from bench.support.machine import command_line, describe_environment, git_state_of, pick_device


def environment(device: str = "cpu", command: str | None = None) -> dict[str, Any]:
    """Describe the environment with kernels that nothing has to compile."""
    kernels = "torch (a test)"
    return describe_environment(torch.device(device), kernels=lambda: kernels, command=command)


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(1, False, "cuda"), (2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")],
)
def test_auto_takes_the_fastest(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda, mps)
    assert pick_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 2, True)
    assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "cpu:7"])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 0, False)
    with pytest.raises(BenchError, match=f"device '{name}' is not available on this machine"):
        pick_device(name)


def test_a_gpu_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2, False)
    with pytest.raises(BenchError, match="device 'cuda:2' is not available"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    "name", ["", "gpu0", "CPU", "cpu:x", "cpu:", "cuda:x", "auto:0", "xpu", "meta", "cuda:-1"]
)
def test_what_is_no_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 1, True)
    with pytest.raises(BenchError, match=f"unknown device '{name}'.*Known: auto, cpu, cuda, mps"):
        pick_device(name)


def test_the_environment_is_plain_json_and_true() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["device"] == "cpu"
    assert found["device_name"]
    assert found["packages"]["torch"] == version("torch")
    assert found["packages"]["distillation-bench"] == version("distillation-bench")
    assert found["threads"] == torch.get_num_threads()
    assert found["kernels"] == "torch (a test)"


def test_a_package_that_is_not_installed_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.support.machine.PACKAGES", ("bench-absent-package",))
    monkeypatch.setattr("bench.support.machine.EXTRAS", ())
    found = environment()
    assert found["packages"] == {"bench-absent-package": "unknown"}


def test_an_extra_is_recorded_where_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.support.machine.EXTRAS", ("pytest", "bench_unused_extra"))
    packages = environment()["packages"]
    assert packages["pytest"] == version("pytest")
    assert "bench_unused_extra" not in packages


@pytest.mark.gpu
def test_the_environment_of_a_gpu() -> None:
    found = environment("cuda")
    assert found["device"] == "cuda"
    assert "kernels" not in found  # they are a CPU's
    assert found["device_name"] == torch.cuda.get_device_name()


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@x"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    return tmp_path


def test_a_checkout_has_a_commit_and_may_be_dirty(checkout: Path) -> None:
    assert git_state_of(checkout) is None  # no commit yet
    git(checkout, "commit", "-qm", "one")
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_state_of(checkout) == (commit, False)
    (checkout / "untracked").write_text("")
    assert git_state_of(checkout) == (commit, False)
    (checkout / "a.py").write_text("2")
    assert git_state_of(checkout) == (commit, True)


def test_what_is_no_checkout_has_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(checkout, "commit", "-qm", "one")
    inner = checkout / "site-packages"
    inner.mkdir()
    assert git_state_of(inner) is None  # in somebody else's repository
    monkeypatch.setenv("PATH", str(inner))  # no git there
    assert git_state_of(checkout) is None


def test_git_is_asked_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    machine.git_state()

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("git was asked again")

    monkeypatch.setattr(subprocess, "run", refuse)
    found = environment()
    assert (found["git_commit"] is None) == (found["git_dirty"] is None)
    assert found["git_commit"] == (machine.git_state() or (None,))[0]


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/bench", "run", "--arch", "convnet1(width=4)"])
    assert command_line() == "bench run --arch 'convnet1(width=4)'"
    module = Path(machine.__file__).parents[1] / "__main__.py"
    monkeypatch.setattr(sys, "argv", [str(module), "table"])
    assert command_line() == "bench table"
    monkeypatch.setattr(sys, "argv", ["mine.py", "x y"])
    assert command_line() == "mine.py 'x y'"
    assert environment()["command"] == "mine.py 'x y'"


def test_work_for_another_process_names_its_command_line() -> None:
    assert environment(command="bench run -m dm")["command"] == "bench run -m dm"
