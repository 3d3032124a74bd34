"""How deaths of processes are described, and how their locks are waited for."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from bench.executors import base
from bench.executors.base import await_holder_end, describe_death
from bench.ledger.lock import cell_lock


@pytest.mark.parametrize(
    ("code", "times", "said"),
    [
        (3, 1, "its process ended with exit code 3"),
        (3, 2, "its process ended with exit code 3 on each of 2 attempts"),
        (-11, 1, "its process was killed by SIGSEGV"),
        (-15, 1, "its process was killed by SIGTERM"),
        (-9, 3, "its process was killed by SIGKILL on each of 3 attempts, as the system does"),
        (-60, 1, "its process was killed by signal 60"),
    ],
)
def test_deaths_in_words(code: int, times: int, said: str) -> None:
    assert describe_death(code, times).startswith(said)
    assert ("memory" in describe_death(code, times)) == (code == -9)


def test_a_lock_is_waited_for_until_its_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, gone = [], threading.Event()

    def sleep(_: float) -> None:
        looks.append((tmp_path / "lock").exists())
        if len(looks) == 3:
            gone.set()
            holding.join()

    def hold() -> None:
        with cell_lock(tmp_path):
            begun.set()
            gone.wait()

    begun = threading.Event()
    holding = threading.Thread(target=hold)
    holding.start()
    begun.wait()
    monkeypatch.setattr(base.time, "sleep", sleep)
    await_holder_end(tmp_path)
    assert looks == [True] * 3


def test_a_process_that_does_not_end_is_waited_for_only_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(base.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(base.time, "sleep", lambda _: None)
    with cell_lock(tmp_path):
        await_holder_end(tmp_path)
    assert next(now) < 20


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_process_that_is_elsewhere_or_dead_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(base.time, "sleep", lambda _: pytest.fail("waited"))
    await_holder_end(tmp_path)
    pid = os.getpid() if host == "elsewhere" else 2**22 + 1  # above every number of a process
    (tmp_path / "lock").write_text(json.dumps({"host": host, "pid": pid}))
    await_holder_end(tmp_path)
