"""Two runs on one store share the work: no cell is computed twice, and none is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from processes.bench_processes import Benches
from processes.event_log import Diary
from store_contents import read_contents, read_records, unexpected_files

IPCS = (1, 2, 3)
GRID = ("fault-slow,fault-twin", "--ipc", ",".join(map(str, IPCS)))


def expected() -> Counter[str]:
    lines = [*(f"step {i}" for i in range(8)), "done"]
    return Counter(
        f"{method} {ipc} {line}"
        for method in ("fault-slow", "fault-twin")
        for ipc in IPCS
        for line in lines
    )


def test_at_once(benches: Benches, tmp_path: Path) -> None:
    store, diary = tmp_path / "store", Diary(tmp_path)
    arguments, runs = benches.grid(store, *GRID), []
    # The second meets the first at work, and both go on side by side.
    begun = ("fault-slow 1 step 0", "fault-slow 2 step 0")
    for place in begun:
        run = benches.start(*arguments, **diary.env(place), FAULT_PAUSE="0.02")
        run.until(lambda place=place: place in diary.lines())
        runs.append(run)
    for place in begun:
        diary.open(place)
    ended = [run.wait() for run in runs]
    assert [e.code for e in ended] == [0, 0], [e.err for e in ended]
    assert Counter(diary.lines()) == expected()
    assert len(read_records(store)) == 4 * len(IPCS)
    assert unexpected_files(store) == []
    alone = tmp_path / "alone"
    assert benches.run(*benches.grid(alone, *GRID)).code == 0
    assert read_contents(store) == read_contents(alone)
    # Each evaluation was done by one of them, whoever came first.
    judged = [line for e in ended for line in e.err.splitlines() if " smoke, seed 0: ok " in line]
    assert len(judged) == 2 * len(IPCS)


def test_a_dead_worker(benches: Benches, tmp_path: Path) -> None:
    store, diary = tmp_path / "store", Diary(tmp_path)
    arguments = benches.grid(store, *GRID, "--checkpoint-every", "0")
    place, passed = "fault-slow 1 step 5", "fault-twin 1 step 0"
    first = benches.start(*arguments, **diary.env(place))
    first.until(lambda: place in diary.lines())
    second = benches.start(*arguments, **diary.env(passed), FAULT_PAUSE="0.02")
    # The second passes over what the first holds, and does all the rest.
    second.until(lambda: passed in diary.lines())
    assert "fault-slow 1 step 6" not in diary.lines()
    assert (held := list(store.rglob("lock"))), held
    first.kill()
    diary.open(passed)
    ended = second.wait()
    assert ended.code == 0
    third = benches.run(*arguments, **diary.env())
    assert third.code == 0
    assert len(read_records(store)) == 4 * len(IPCS)
    # The step in which it died is the only one that was begun twice.
    assert Counter(diary.lines()) - expected() == Counter({"fault-slow 1 step 5": 1})
    assert unexpected_files(store) == []
