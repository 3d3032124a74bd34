"""SIGTERM and SIGINT end a run after its step; the next run goes on from there."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from bench_runs import Benches, Run
from store_files import essence, unfinished

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}
STEPS, EPOCHS, NETS = 8, 40, 2


def wait_for(diary: Path, lines: int, run: Run) -> None:
    """Wait until so much was done."""
    until = time.monotonic() + 120
    while _lines(diary) < lines:
        assert time.monotonic() < until, run.err
        assert not run.ends_within(0.01), run.err


def _lines(diary: Path) -> int:
    return len(diary.read_text().splitlines()) if diary.exists() else 0


@pytest.fixture(scope="module")
def uninterrupted(benches: Benches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both grids of this file."""
    store = tmp_path_factory.mktemp("uninterrupted")
    for arch in ("convnet1(width=4)", "fault-net"):
        assert benches.run(*benches.grid(store, "fault-slow", "--eval-arch", arch)).code == 0
    return store


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize("where", ["distillation", "evaluation"])
def test_ends_and_goes_on(
    benches: Benches, tmp_path: Path, uninterrupted: Path, number: signal.Signals, where: str
) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary"
    arch = "fault-net" if where == "evaluation" else "convnet1(width=4)"
    arguments = benches.grid(store, "fault-slow", "--eval-arch", arch)
    # In the fourth step, or in the evaluation's sixth; a step takes long enough to be hit.
    run = benches.start(*arguments, FAULT_DIARY=str(diary), FAULT_PAUSE="0.1")
    wait_for(diary, 4 if where == "distillation" else STEPS + 1 + 6, run)
    run.send(number)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    assert f"{number.name}: stopping after this step; the next one stops at once" in ended.err
    assert ended.err.rstrip().splitlines()[-1] == (
        f"stopped by {number.name}; the same command continues where it stopped"
    )
    assert "Traceback" not in ended.out + ended.err
    assert len(unfinished(store)) == 1
    assert not list(store.rglob("lock"))
    assert benches.run(*arguments, FAULT_DIARY=str(diary)).code == 0
    done = Counter(diary.read_text().splitlines())
    expected = Counter({f"fault-slow 1 step {i}": 1 for i in range(STEPS)})
    expected["fault-slow 1 done"] = 1
    expected["fault-net step"] = EPOCHS * NETS * (where == "evaluation")
    assert done == expected
    wanted = essence(uninterrupted)
    assert essence(store) == {id_: wanted[id_] for id_ in essence(store)}
    assert len(essence(store)) == 2


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
def test_the_second_signal_stops_at_once(
    benches: Benches, tmp_path: Path, uninterrupted: Path, number: signal.Signals
) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary"
    arguments = benches.grid(store, "fault-slow", "--checkpoint-every", "0")
    run = benches.start(*arguments, FAULT_DIARY=str(diary), FAULT_HANG="5")
    wait_for(diary, 6, run)
    run.send(number)
    until = time.monotonic() + 120
    while "the next one stops at once" not in run.err and time.monotonic() < until:
        time.sleep(0.01)
    assert not run.ends_within(0.2)
    run.send(number)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    assert ended.err.rstrip().splitlines()[-1] == f"stopped at once by {number.name}"
    assert "Traceback" not in ended.out + ended.err
    assert not list(store.rglob("lock"))
    assert benches.run(*arguments, FAULT_DIARY=str(diary)).code == 0
    done = Counter(diary.read_text().splitlines())
    assert done["fault-slow 1 step 4"] == 1
    assert done["fault-slow 1 step 5"] == 2
    wanted = essence(uninterrupted)
    assert essence(store) == {id_: wanted[id_] for id_ in essence(store)}
