"""SIGTERM and SIGINT end a run after its step; the next run goes on from there."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
from processes.bench_processes import Benches
from processes.event_log import Diary
from store_contents import read_contents, unfinished_cells

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}
STEPS, EPOCHS, NETS = 8, 40, 2


@pytest.fixture(scope="module")
def uninterrupted(benches: Benches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both grids of this file."""
    store = tmp_path_factory.mktemp("uninterrupted")
    for arch in ("convnet1(width=4)", "fault-net"):
        assert benches.run(*benches.grid(store, "fault-slow", "--eval-arch", arch)).code == 0
    return store


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("arch", "place"),
    [("convnet1(width=4)", "fault-slow 1 step 3"), ("fault-net", "fault-net step 5")],
    ids=["distillation", "evaluation"],
)
def test_ends_and_goes_on(
    benches: Benches, tmp_path: Path, uninterrupted: Path, number: signal.Signals,
    arch: str, place: str,
) -> None:  # fmt: skip
    store, diary = tmp_path / "store", Diary(tmp_path)
    arguments = benches.grid(store, "fault-slow", "--eval-arch", arch)
    run = benches.start(*arguments, **diary.env(place))
    run.until(lambda: place in diary.lines())
    run.send(number)
    run.until(lambda: "stopping after this step" in run.err)
    diary.open(place)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    assert f"{number.name}: stopping after this step; the next one stops at once" in ended.err
    assert ended.err.rstrip().splitlines()[-1] == (
        f"stopped by {number.name}; the same command continues where it stopped"
    )
    assert "Traceback" not in ended.out + ended.err
    assert len(unfinished_cells(store)) == 1
    assert not list(store.rglob("lock"))
    assert benches.run(*arguments, **diary.env()).code == 0
    trained = [line for line in diary.lines() if line.startswith("fault-net")]
    assert len(trained) == EPOCHS * NETS * (arch == "fault-net")
    expected = Counter({f"fault-slow 1 step {i}": 1 for i in range(STEPS)})
    expected["fault-slow 1 done"] = 1
    assert Counter(diary.lines()) - Counter(trained) == expected
    wanted = read_contents(uninterrupted)
    assert read_contents(store) == {id_: wanted[id_] for id_ in read_contents(store)}
    assert len(read_contents(store)) == 2


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
def test_the_second_signal_stops_at_once(
    benches: Benches, tmp_path: Path, uninterrupted: Path, number: signal.Signals
) -> None:
    store, diary = tmp_path / "store", Diary(tmp_path)
    arguments = benches.grid(store, "fault-slow", "--checkpoint-every", "0")
    place = "fault-slow 1 step 5"
    run = benches.start(*arguments, **diary.env(place))
    run.until(lambda: place in diary.lines())
    run.send(number)
    run.until(lambda: "the next one stops at once" in run.err)
    run.send(number)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    assert ended.err.rstrip().splitlines()[-1] == f"stopped at once by {number.name}"
    assert "Traceback" not in ended.out + ended.err
    assert not list(store.rglob("lock"))
    assert benches.run(*arguments, **diary.env()).code == 0
    assert diary.lines().count("fault-slow 1 step 4") == 1
    assert diary.lines().count(place) == 2
    wanted = read_contents(uninterrupted)
    assert read_contents(store) == {id_: wanted[id_] for id_ in read_contents(store)}
