"""SIGTERM and SIGINT end a run after its step; the next run goes on from there."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses
from processes.event_log import EventLog
from store_contents import read_contents, unfinished_cells

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}
STEPS, EPOCHS, NETS = 8, 40, 2


@pytest.fixture(scope="module")
def uninterrupted(processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both grids of this file."""
    store = tmp_path_factory.mktemp("uninterrupted")
    for arch in ("convnet1(width=4)", "toy-net"):
        assert processes.run(*processes.grid(store, "toy-drift", "--eval-arch", arch)).code == 0
    return store


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("arch", "place"),
    [("convnet1(width=4)", "toy-drift 1 step 3"), ("toy-net", "toy-net step 5")],
    ids=["distillation", "evaluation"],
)
def test_ends_and_goes_on(
    processes: BenchProcesses, tmp_path: Path, uninterrupted: Path, number: signal.Signals,
    arch: str, place: str,
) -> None:  # fmt: skip
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments = processes.grid(store, "toy-drift", "--eval-arch", arch)
    log.hold(place)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: place in log.events())
    run.send(number)
    run.until(lambda: "stopping after this step" in run.err)
    log.release(place)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    assert f"{number.name}: stopping after this step; the next one stops at once" in ended.err
    assert ended.err.rstrip().splitlines()[-1] == (
        f"stopped by {number.name}; the same command continues where it stopped"
    )
    assert "Traceback" not in ended.out + ended.err
    assert len(unfinished_cells(store)) == 1
    assert not list(store.rglob("lock"))
    assert processes.run(*arguments, **log.env()).code == 0
    trained = [line for line in log.events() if line.startswith("toy-net")]
    assert len(trained) == EPOCHS * NETS * (arch == "toy-net")
    expected = Counter({f"toy-drift 1 step {i}": 1 for i in range(STEPS)})
    expected["toy-drift 1 done"] = 1
    assert Counter(log.events()) - Counter(trained) == expected
    wanted = read_contents(uninterrupted)
    assert read_contents(store) == {id_: wanted[id_] for id_ in read_contents(store)}
    assert len(read_contents(store)) == 2


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
def test_the_second_signal_stops_at_once(
    processes: BenchProcesses, tmp_path: Path, uninterrupted: Path, number: signal.Signals
) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments = processes.grid(store, "toy-drift", "--checkpoint-every", "0")
    place = "toy-drift 1 step 5"
    log.hold(place)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: place in log.events())
    run.send(number)
    run.until(lambda: "the next one stops at once" in run.err)
    run.send(number)
    ended = run.wait()
    assert ended.code == SIGNALS[number]
    log.release(place)
    assert ended.err.rstrip().splitlines()[-1] == f"stopped at once by {number.name}"
    assert "Traceback" not in ended.out + ended.err
    assert not list(store.rglob("lock"))
    assert processes.run(*arguments, **log.env()).code == 0
    assert log.events().count("toy-drift 1 step 4") == 1
    assert log.events().count(place) == 2
    wanted = read_contents(uninterrupted)
    assert read_contents(store) == {id_: wanted[id_] for id_ in read_contents(store)}
