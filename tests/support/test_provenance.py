"""The commit that made a number, and the command that asked for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.support import provenance
from bench.support.machine import describe_environment
from bench.support.provenance import command_line, git_state_of, tell_command_line


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
    provenance.git_state()

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("git was asked again")

    monkeypatch.setattr(subprocess, "run", refuse)
    found = describe_environment(torch.device("cpu"))
    assert (found["git_commit"] is None) == (found["git_dirty"] is None)
    assert found["git_commit"] == (provenance.git_state() or (None,))[0]


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_told", [])
    monkeypatch.setattr(sys, "argv", ["/venv/bin/bench", "run", "--arch", "convnet1(width=4)"])
    assert command_line() == "bench run --arch 'convnet1(width=4)'"
    module = Path(provenance.__file__).parents[1] / "__main__.py"
    monkeypatch.setattr(sys, "argv", [str(module), "table"])
    assert command_line() == "bench table"
    monkeypatch.setattr(sys, "argv", ["mine.py", "x y"])
    assert command_line() == "mine.py 'x y'"
    tell_command_line("bench run -m dm")
    assert command_line() == "bench run -m dm"
    assert describe_environment(torch.device("cpu"))["command"] == "bench run -m dm"
