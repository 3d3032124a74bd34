"""Two runs on one store share the work: no cell is computed twice, and none is lost."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from processes.bench_processes import BenchProcesses
from processes.event_log import EventLog
from store_contents import read_contents, read_records, unexpected_files

IPCS = (1, 2, 3)
GRID = ("toy-drift,toy-byproducts", "--ipc", ",".join(map(str, IPCS)))


def expected() -> Counter[str]:
    lines = [*(f"step {i}" for i in range(8)), "done"]
    return Counter(
        f"{method} {ipc} {line}"
        for method in ("toy-drift", "toy-byproducts")
        for ipc in IPCS
        for line in lines
    )


def test_at_once(processes: BenchProcesses, tmp_path: Path) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments, runs = processes.grid(store, *GRID), []
    # The second meets the first at work, and both go on side by side.
    begun = ("toy-drift 1 step 0", "toy-drift 2 step 0")
    log.pause(0.02)
    for place in begun:
        log.hold(place)
        run = processes.start(*arguments, **log.env())
        run.until(lambda place=place: place in log.events())
        runs.append(run)
    for place in begun:
        log.release(place)
    ended = [run.wait() for run in runs]
    assert [e.code for e in ended] == [0, 0], [e.err for e in ended]
    assert Counter(log.events()) == expected()
    assert len(read_records(store)) == 4 * len(IPCS)
    assert unexpected_files(store) == []
    alone = tmp_path / "alone"
    assert processes.run(*processes.grid(alone, *GRID)).code == 0
    assert read_contents(store) == read_contents(alone)
    # Each evaluation was done by the run that came first to it.
    lines = [line for each in ended for line in each.err.splitlines()]
    evaluated = [line for line in lines if " smoke-v1, seed 0: ok " in line]
    assert len(evaluated) == 2 * len(IPCS)


def test_a_dead_worker(processes: BenchProcesses, tmp_path: Path) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments = processes.grid(store, *GRID, "--checkpoint-every", "0")
    place, passed = "toy-drift 1 step 5", "toy-byproducts 1 step 0"
    log.hold(place)
    first = processes.start(*arguments, **log.env())
    first.until(lambda: place in log.events())
    log.hold(passed)
    second = processes.start(*arguments, **log.env())
    log.pause(0.02)
    # The second passes over what the first holds, and does all the rest.
    second.until(lambda: passed in log.events())
    assert "toy-drift 1 step 6" not in log.events()
    assert (held := list(store.rglob("lock"))), held
    first.kill()
    log.release(place)
    log.release(passed)
    ended = second.wait()
    assert ended.code == 0
    third = processes.run(*arguments, **log.env())
    assert third.code == 0
    assert len(read_records(store)) == 4 * len(IPCS)
    # The step in which it died is the only one that was begun twice.
    assert Counter(log.events()) - expected() == Counter({"toy-drift 1 step 5": 1})
    assert unexpected_files(store) == []


def test_the_second_waits_for_what_the_first_computes(
    processes: BenchProcesses, tmp_path: Path
) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    place = "toy-drift 1 step 5"
    log.hold(place)
    first = processes.start(*processes.grid(store, "toy-drift"), **log.env())
    first.until(lambda: place in log.events())
    hurried = processes.run(*processes.grid(store, "toy-drift,random", "--no-wait"), **log.env())
    assert hurried.code == 1
    (line,) = [line for line in hurried.out.splitlines() if " busy: " in line]
    assert line.strip() == (
        "toy-drift on digits (IPC 1; stored; convnet1(width=4); profile smoke; seed 0): "
        "2 cells busy: another run is computing it."
    )
    second = processes.start(*processes.grid(store, "toy-drift,random"), **log.env())
    second.until(lambda: "waiting for 'toy-drift on digits ipc 1 seed 0'" in second.err)
    log.release(place)
    assert [first.wait().code, second.wait().code] == [0, 0]
    assert "toy-drift" in second.wait().out
    assert max(Counter(log.events()).values()) == 1
    assert unexpected_files(store) == []


def test_ctrl_c_ends_the_waiting(processes: BenchProcesses, tmp_path: Path) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    place = "toy-drift 1 step 5"
    log.hold(place)
    first = processes.start(*processes.grid(store, "toy-drift"), **log.env())
    first.until(lambda: place in log.events())
    second = processes.start(*processes.grid(store, "toy-drift"), **log.env())
    second.until(lambda: "waiting for" in second.err)
    second.send(signal.SIGINT)
    assert second.wait().code == 130
    log.release(place)
    assert first.wait().code == 0
