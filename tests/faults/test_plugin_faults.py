"""What breaks inside a plugin fails its cell, with a reason, and nothing else."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses, Ended
from processes.event_log import EventLog
from store_contents import only_record, read_checkpoints, read_records

EVERYWHERE = {
    "toy-setup-error": "KeyError: 'no such key'",
    "toy-step-error": "ValueError: the first line the second line",
    "toy-state-error": "TypeError: a state must not hold object",
    "toy-result-error": "AssertionError",
    "toy-exits": "SystemExit: I have had enough",
    "toy-nan": "NotFiniteError: loss is nan at step 5",
    "toy-inf": "NotFiniteError: loss is inf at step 5",
}
# Their step 2 raises, their step 5 is the first bad one, the other never gets that far.
KEPT = {"toy-step-error": 2, "toy-nan": 5, "toy-inf": 5, "toy-result-error": 8}
ROOM = 3 * 2**30


@pytest.fixture(scope="module")
def broken(
    processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, Path]:
    """Run every broken method, and one that works after them."""
    store = tmp_path_factory.mktemp("broken") / "store"
    methods = ",".join([*EVERYWHERE, "toy-drift"])
    ended = processes.run(*processes.grid(store, methods, "--checkpoint-every", "0"))
    return ended, store


def test_others_go_on(broken: tuple[Ended, Path]) -> None:
    ended, store = broken
    assert ended.code == 1
    assert "Traceback" not in ended.out + ended.err
    for kind in ("distil", "evaluate"):
        assert only_record(store, "toy-drift", kind).status == "ok"


@pytest.mark.parametrize("method", EVERYWHERE)
def test_reason_and_log(broken: tuple[Ended, Path], method: str) -> None:
    ended, store = broken
    record = only_record(store, method, "distil")
    assert record.status == "failed"
    assert record.reason is not None
    assert record.reason.startswith(EVERYWHERE[method])
    log = (store / "cells" / record.id / "log.txt").read_text()
    assert log.startswith("Traceback")
    assert EVERYWHERE[method].split(":")[0] in log
    (line,) = [x for x in ended.err.splitlines() if f"{method} on digits ipc 1 seed 0: " in x]
    assert f"failed {EVERYWHERE[method]}" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("method", EVERYWHERE)
def test_what_depends_on_it(broken: tuple[Ended, Path], method: str) -> None:
    _, store = broken
    reason = only_record(store, method, "evaluate").reason
    assert reason is not None
    assert reason.startswith(f"it needs '{method} on digits ipc 1 seed 0', which failed: ")


@pytest.mark.parametrize("method", EVERYWHERE)
def test_the_last_good_checkpoint_stays(broken: tuple[Ended, Path], method: str) -> None:
    _, store = broken
    found = read_checkpoints(store / "cells" / only_record(store, method, "distil").id)
    assert [c["state"]["done"] for c in found] == ([KEPT[method]] if method in KEPT else [])


def test_no_lock_stays(broken: tuple[Ended, Path]) -> None:
    _, store = broken
    assert not list(store.rglob("lock"))


@pytest.mark.parametrize(
    ("method", "size"), [("toy-torch-memory", "4 TiB"), ("toy-numpy-memory", "4.00 TiB")]
)
def test_out_of_memory(processes: BenchProcesses, tmp_path: Path, method: str, size: str) -> None:
    # What this process has mapped, twice over: enough for torch, not for a terabyte.
    arguments = processes.grid(tmp_path, f"{method},random")
    ended = processes.run(*arguments, memory=_mapped() + ROOM)
    assert ended.code == 1, ended.err
    reason = only_record(tmp_path, method, "distil").reason
    assert reason is not None
    assert reason.startswith(f"out of memory, {size} were asked for: ")
    assert "needs less" in reason
    assert "Traceback" not in ended.err
    assert only_record(tmp_path, "random", "evaluate").status == "ok"


def _mapped() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def test_a_checkpoint_that_the_plugin_refuses(processes: BenchProcesses, tmp_path: Path) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments = processes.grid(store, "toy-load-error", "--checkpoint-every", "0")
    first = processes.run(*arguments, **log.env())
    assert first.code == 1
    assert "RuntimeError: stopped here" in first.err
    second = processes.run(*arguments, **log.env())
    assert "older version of this plugin" in second.err
    assert "starts from the beginning" in second.err
    assert second.code == 0, second.err
    assert {record.status for record in read_records(store).values()} == {"ok"}
