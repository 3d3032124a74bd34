"""What is said of processes that died, and how their locks are waited for."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from bench.executors import process_deaths as deaths
from bench.executors.process_deaths import await_end, how_it_died
from bench.ledger.lock import cell_lock


@pytest.mark.parametrize(
    ("code", "times", "said"),
    [
        (3, 1, "its process ended with exit code 3"),
        (3, 2, "its process ended with exit code 3 on each of 2 attempts"),
        (-15, 1, "its process was killed by SIGTERM"),
        (-9, 3, "its process was killed by SIGKILL on each of 3 attempts, as the system does"),
        (-60, 1, "its process was killed by signal 60"),
    ],
)
def test_how_it_died(code: int, times: int, said: str) -> None:
    assert how_it_died(code, times).startswith(said)
    assert ("memory" in how_it_died(code, times)) == (code == -9)


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
    monkeypatch.setattr(deaths.time, "sleep", sleep)
    await_end(tmp_path)
    assert looks == [True] * 3


def test_one_that_does_not_end_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(deaths.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(deaths.time, "sleep", lambda _: None)
    with cell_lock(tmp_path):
        await_end(tmp_path)
    assert next(now) < 20


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_nobody_is_waited_for_who_is_elsewhere_or_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(deaths.time, "sleep", lambda _: pytest.fail("waited"))
    await_end(tmp_path)
    pid = os.getpid() if host == "elsewhere" else 2**22 + 1  # above every number of a process
    (tmp_path / "lock").write_text(json.dumps({"host": host, "pid": pid}))
    await_end(tmp_path)
