"""The holder of a lock: waited for while its process ends."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from bench.ledger import holder
from bench.ledger.holder import await_holder_end
from bench.ledger.lock import cell_lock


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
    monkeypatch.setattr(holder.time, "sleep", sleep)
    await_holder_end(tmp_path)
    assert looks == [True] * 3


def test_a_process_that_does_not_end_is_waited_for_only_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(holder.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(holder.time, "sleep", lambda _: None)
    with cell_lock(tmp_path):
        await_holder_end(tmp_path)
    assert next(now) < 20


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_process_that_is_elsewhere_or_dead_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(holder.time, "sleep", lambda _: pytest.fail("waited"))
    await_holder_end(tmp_path)
    pid = os.getpid() if host == "elsewhere" else 2**22 + 1  # above every number of a process
    (tmp_path / "lock").write_text(json.dumps({"host": host, "pid": pid}))
    await_holder_end(tmp_path)
