"""Two runs on one store share the work: no cell is computed twice, and none is lost."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from bench_runs import Benches
from store_files import cells, essence, strangers

IPCS = (1, 2, 3)
GRID = ("fault-slow,fault-twin", "--ipc", ",".join(map(str, IPCS)))


def wait_for(diary: Path, line: str) -> None:
    until = time.monotonic() + 120
    while not diary.exists() or line not in diary.read_text().splitlines():
        assert time.monotonic() < until
        time.sleep(0.005)


def computed(diary: Path) -> Counter[str]:
    return Counter(diary.read_text().splitlines())


def expected() -> Counter[str]:
    lines = [*(f"step {i}" for i in range(8)), "done"]
    return Counter(
        f"{method} {ipc} {line}"
        for method in ("fault-slow", "fault-twin")
        for ipc in IPCS
        for line in lines
    )


def test_at_once(benches: Benches, tmp_path: Path) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary"
    runs = [
        benches.start(*benches.grid(store, *GRID), FAULT_DIARY=str(diary), FAULT_PAUSE="0.02")
        for _ in range(2)
    ]
    ended = [run.wait() for run in runs]
    assert [e.code for e in ended] == [0, 0], [e.err for e in ended]
    assert computed(diary) == expected()
    assert len(cells(store)) == 4 * len(IPCS)
    assert strangers(store) == []
    alone = tmp_path / "alone"
    assert benches.run(*benches.grid(alone, *GRID)).code == 0
    assert essence(store) == essence(alone)
    # Each evaluation was done by one of them, whoever came first.
    judged = [line for e in ended for line in e.err.splitlines() if " smoke, seed 0: ok " in line]
    assert len(judged) == 2 * len(IPCS)


def test_a_dead_worker(benches: Benches, tmp_path: Path) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary"
    arguments = benches.grid(store, *GRID, "--checkpoint-every", "0")
    first = benches.start(*arguments, FAULT_DIARY=str(diary), FAULT_HANG="5")
    wait_for(diary, "fault-slow 1 step 5")
    second = benches.start(*arguments, FAULT_DIARY=str(diary), FAULT_PAUSE="0.02")
    # The second passes over what the first holds, and does all the rest.
    wait_for(diary, "fault-twin 1 step 0")
    assert "fault-slow 1 step 6" not in computed(diary)
    assert (held := list(store.rglob("lock"))), held
    first.kill()
    ended = second.wait()
    assert ended.code == 0
    third = benches.run(*arguments, FAULT_DIARY=str(diary))
    assert third.code == 0
    assert len(cells(store)) == 4 * len(IPCS)
    # The step in which it died is the only one that was begun twice.
    assert computed(diary) - expected() == Counter({"fault-slow 1 step 5": 1})
    assert strangers(store) == []
