"""The ray executor: on two nodes and on one less, interrupted, and where it cannot work."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes.event_log import is_running
from processes.toy_runs import ToyRuns
from processes.wait_until import wait_until
from store_contents import read_results

from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop

pytest.importorskip("ray", reason="needs the ray extra")
from bench.executors.ray.executor import RayExecutor

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster(toy_folder: Path) -> Iterator[Any]:
    """A cluster of two nodes on this machine, each with one CPU."""
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args=size)
    nodes.add_node(**size)
    yield nodes
    nodes.shutdown()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_cluster_that_was_started_here_ends_with_the_run(
    toys: ToyRuns, number: signal.Signals
) -> None:
    toys.hold("step 1")
    run = toys.start("store", "toy-drift", fresh=True, executor="ray")
    wait_until("a step is done", lambda: ("toy-drift-1", 1) in toys.steps())
    run.send(number)
    if number == signal.SIGTERM:
        toys.release_after_stop()
    ended = run.wait()
    wait_until("all processes have ended", lambda: not toys.processes())
    if number == signal.SIGTERM:
        assert ended.code == 128 + number, ended.err
        assert ended.err.splitlines()[-1].startswith("stopped by SIGTERM")
        toys.assert_resumes("store")


def test_a_run_that_is_stopped_can_be_resumed(
    cluster: Any, toys: ToyRuns, beside: Callable[..., None]
) -> None:
    toys.hold("step 1")
    stop = Stop()
    session, seen = toys.open("store", "toy-drift", stop=stop)

    def request_stop() -> None:
        stop.request("SIGTERM", 143)
        toys.release_after_stop()

    beside("a step is done", lambda: ("toy-drift-1", 1) in toys.steps(), request_stop)
    with pytest.raises(Interrupted, match="SIGTERM"):
        session.run(execute=RayExecutor(cluster.address))
    assert [status for status, _ in seen.ended.values()] == ["stopped"]
    toys.assert_resumes("store")


def test_cells_that_no_node_can_hold_wait_until_the_run_is_stopped(
    cluster: Any, toys: ToyRuns
) -> None:
    stop = Stop()
    session, seen = toys.open("store", "toy-drift", stop=stop)

    def note(text: str) -> None:
        assert "no node of the Ray cluster has 64 CPUs and 0 GPUs" in text
        stop.request("SIGINT", 130)

    seen.note = note  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="SIGINT"):
        session.run(execute=RayExecutor(cluster.address, cpus_per_cell=64))
    assert not seen.ended


def test_a_store_that_a_node_cannot_see_is_named(
    cluster: Any, toys: ToyRuns, tmp_path: Path
) -> None:
    session, _ = toys.open("store", "toy-drift")
    site = session.runner.site
    site.site = replace(site.site, store=str(tmp_path / "elsewhere"))
    with pytest.raises(BenchError, match=r"cannot see the store '.*elsewhere': .* share"):
        session.run(execute=RayExecutor(cluster.address))


def test_no_more_cells_run_than_there_are_cpus(
    cluster: Any, toys: ToyRuns, beside: Callable[..., None]
) -> None:
    def count() -> None:
        time.sleep(3)  # in which a cell too many would begin
        seen.append(len(toys.workers()))
        toys.release()

    seen: list[int] = []
    toys.hold("step 0")
    session, _ = toys.open("store", "toy-drift", ipcs=[1, 2, 3, 4])
    beside("both nodes compute", lambda: len(toys.workers()) >= 2, count)
    session.run(execute=RayExecutor(cluster.address))
    assert seen == [2]


def test_a_lost_node_loses_nothing(
    cluster: Any, toys: ToyRuns, beside: Callable[..., None]
) -> None:
    toys.hold("step 0")
    ipcs = [1, 2, 3]
    session, seen = toys.open("store", "toy-drift", ipcs=ipcs)
    node = cluster.list_all_nodes()[1]

    def lose() -> None:
        cluster.remove_node(node, allow_graceful=False)
        wait_until("its process has ended", lambda: sum(map(is_running, toys.workers())) == 1)
        toys.release()

    beside("both nodes compute", lambda: len(toys.workers()) == 2, lose)
    outcome = session.run(execute=RayExecutor(cluster.address))
    assert outcome.counts == {"ok": 2 * len(ipcs)}
    assert any("its process died; another resumes it" in note for note in seen.notes)
    here, _ = toys.open("here", "toy-drift", ipcs=ipcs)
    here.run()
    assert read_results(toys.folder / "store") == read_results(toys.folder / "here")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster at '127.0.0.1:1' .*refused"),
        ("ray://127.0.0.1:1", "'ray://127.0.0.1:1' is not allowed: it must be HOST:PORT or auto"),
        ("somewhere", "'somewhere' is not allowed"),
    ],
)
def test_an_address_without_a_cluster_is_named(address: str, said: str, toys: ToyRuns) -> None:
    session, _ = toys.open("store", "toy-drift")
    with pytest.raises(BenchError, match=said):
        session.run(execute=RayExecutor(address))
