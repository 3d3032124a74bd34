"""The slurm executor on a real SLURM: nothing is lost, whatever happens to jobs and daemons.

What every executor must do is in ``test_executors.py``. Here cells are only distilled, but where
the order of cells matters: each job takes seconds to start.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from processes.toy_runs import ToyRuns
from processes.wait_until import PATIENCE
from recording_reporter import RecordingReporter
from slurm_cluster import SlurmCluster, running_cluster
from store_contents import read_results

from bench.executors.slurm.executor import SlurmExecutor
from bench.grid.order import Outcome
from bench.grid.runner import Runner
from bench.grid.session import Session
from bench.ledger.cell import Cell, DistilCell
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop

pytestmark = pytest.mark.slurm

Begin = Callable[..., Future[Outcome]]


@pytest.fixture(scope="module")
def shared_cluster(toy_folder: Path) -> Iterator[SlurmCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    yield shared_cluster
    shared_cluster.run("scancel", "--user=root")
    shared_cluster.wait_until("the queue is empty", lambda: not jobs(shared_cluster))


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def begin(stop: Stop) -> Iterator[Begin]:
    """Gives what starts a run beside the test, which ends with it."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda session, *options, **more: pool.submit(go, session, *options, **more)
        stop.request("the test is over", 1)


def go(session: Session, *options: str, detach: bool = False, evaluate: bool = False) -> Outcome:
    """Run on SLURM; without ``evaluate``, distil only."""
    submit = SlurmExecutor(["poll=0.3", *options], detach=detach)

    def execute(runner: Runner, cells: Sequence[Cell]) -> None:
        submit(runner, [c for c in cells if evaluate or isinstance(c, DistilCell)])

    return session.run(execute=execute)


def opened(
    toys: ToyRuns, stop: Stop, iterations: int, *ipcs: int
) -> tuple[Session, RecordingReporter]:
    overrides = {"toy-drift": {"iterations": iterations}}
    return toys.open("store", "toy-drift", stop=stop, ipcs=ipcs or (1,), overrides=overrides)


def jobs(cluster: SlurmCluster) -> list[str]:
    """Return the ids of the jobs that are queued or run, each of an array by itself."""
    return cluster.run("squeue", "--noheader", "--array", "--format=%i").split()


def waits_for_its_time(cluster: SlurmCluster) -> bool:
    shown = cluster.run("squeue", "--noheader", "--array", "--states=PENDING", "--format=%r")
    return "BeginTime" in shown


def start_requeued(cluster: SlurmCluster) -> None:
    """Start requeued jobs, which SLURM has wait two minutes."""
    cluster.wait_until("a job is requeued", lambda: waits_for_its_time(cluster), PATIENCE)
    for job in cluster.run(
        "squeue", "--noheader", "--array", "--states=PENDING", "--format=%i"
    ).split():
        cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")


def wait_for_steps(cluster: SlurmCluster, toys: ToyRuns, count: int) -> None:
    cluster.wait_until(f"{count} steps are done", lambda: len(toys.steps()) >= count, PATIENCE)


def assert_each_step_once(toys: ToyRuns, count: int, *ipcs: int) -> None:
    assert toys.steps() == [(f"toy-drift-{ipc}", i) for ipc in ipcs or (1,) for i in range(count)]


def test_a_requeued_job_goes_on_from_its_checkpoint(cluster, toys, stop, begin) -> None:
    assert not cluster.run("sacct"), "the point is that there is no accounting"
    toys.pause(0.5)
    run = begin(opened(toys, stop, 8)[0])
    wait_for_steps(cluster, toys, 3)
    cluster.run("scontrol", "requeue", jobs(cluster)[0])
    start_requeued(cluster)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert_each_step_once(toys, 8)
    toys.pause(0)
    here, _ = toys.open("here", "toy-drift", overrides={"toy-drift": {"iterations": 8}})
    here.run()
    assert read_results(toys.folder / "store").items() <= read_results(toys.folder / "here").items()


def test_a_preempted_job_requeues_itself(cluster, toys, stop, begin) -> None:
    toys.pause(0.5)
    run = begin(opened(toys, stop, 200)[0], "partition=main", "cpus-per-task=2")
    wait_for_steps(cluster, toys, 3)
    assert cluster.run("sbatch", "--partition=urgent", "--wrap=sleep 1", "--output=/dev/null")
    start_requeued(cluster)
    cluster.wait_until("it goes on", lambda: len(toys.workers()) == 2, PATIENCE)
    toys.pause(0)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert_each_step_once(toys, 200)


def test_the_time_limit_is_no_end(cluster, toys, stop, begin) -> None:
    toys.pause(1.0)
    run = begin(opened(toys, stop, 55)[0], "time=1", "grace=10")
    wait_for_steps(cluster, toys, 1)
    # SLURM looks every half minute whether to warn, and warns half a minute too early.
    cluster.run("scontrol", "update", f"JobId={jobs(cluster)[0]}", "EndTime=now+41")
    cluster.wait_until("the job is requeued", lambda: waits_for_its_time(cluster), PATIENCE)
    assert 0 < len(toys.steps()) < 55
    toys.pause(0)
    start_requeued(cluster)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert_each_step_once(toys, 55)


def test_a_cancelled_job_stops_its_cell_and_its_dependents(cluster, toys, stop, begin) -> None:
    toys.pause(0.5)
    session, seen = opened(toys, stop, 30, 1, 2)
    run = begin(session, evaluate=True)
    cluster.wait_until("both run", lambda: len(toys.workers()) == 2, PATIENCE)
    cluster.run("scancel", f"{jobs(cluster)[0].split('_')[0]}_0")
    cluster.wait_until("one is stopped", lambda: seen.ended, PATIENCE)
    toys.pause(0)
    assert run.result(PATIENCE).counts == {"ok": 2, "stopped": 2}
    texts = seen.texts("stopped")
    assert texts[0].startswith(
        "it depends on 'toy-drift on digits ipc 1 seed 0', which was stopped"
    )
    assert texts[1].startswith("its SLURM job was cancelled; the next run submits it again")
    assert len(toys.steps()) < 60
    assert go(opened(toys, stop, 30, 1)[0]).counts == {"ok": 1}
    assert_each_step_once(toys, 30, 1, 2)


def test_a_slurmd_that_dies_takes_nothing_along(cluster, toys, stop, begin) -> None:
    toys.pause(0.5)
    run = begin(opened(toys, stop, 6, 1, 2)[0], evaluate=True)
    wait_for_steps(cluster, toys, 1)
    cluster.kill_slurmd()
    time.sleep(3)
    cluster.start_slurmd()
    assert run.result(PATIENCE).counts == {"ok": 4}
    assert_each_step_once(toys, 6, 1, 2)


def test_a_node_that_crashes_loses_no_more_than_a_step(cluster, toys, stop, begin) -> None:
    toys.pause(0.5)
    run = begin(opened(toys, stop, 8)[0])
    wait_for_steps(cluster, toys, 3)
    cluster.crash_node()
    cluster.wait_until("SLURM knows", lambda: cluster.node_state().startswith("down"), 90)
    cluster.start_slurmd()
    time.sleep(5)  # a job that starts at once may be killed again
    start_requeued(cluster)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert {i for _, i in toys.steps()} == set(range(8))
    assert len(toys.steps()) <= 9


def test_a_slurmctld_that_is_away_is_waited_for(cluster, toys, stop, begin) -> None:
    # SLURM's commands need ten seconds to fail: a cell that went on could end before that.
    toys.hold("step 1")
    session, seen = opened(toys, stop, 8)
    run = begin(session)
    wait_for_steps(cluster, toys, 2)
    with cluster.without_slurmctld():
        cluster.wait_until("it is missed", lambda: "waiting" in "".join(seen.notes), PATIENCE)
    toys.release()
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert_each_step_once(toys, 8)


def test_a_later_call_watches_the_jobs_of_an_interrupted_one(cluster, toys, stop, begin) -> None:
    toys.pause(0.5)
    session, seen = opened(toys, stop, 20)
    run = begin(session)
    wait_for_steps(cluster, toys, 1)
    stop.request("SIGINT", 130)
    with pytest.raises(Interrupted):
        run.result(PATIENCE)
    array = jobs(cluster)[0]
    assert seen.notes == [
        f"the jobs go on; the same command watches them, `scancel {array}` ends them"
    ]
    again, seen = opened(toys, Stop(), 20)
    assert go(again).counts == {"ok": 1}
    assert seen.notes == ["1 cells are with SLURM already"]
    assert_each_step_once(toys, 20)
    assert not list((toys.folder / "store/slurm").iterdir())


def test_detached_jobs_need_no_watching_run(cluster, toys, stop) -> None:
    session, seen = opened(toys, stop, 2)
    assert go(session, detach=True, evaluate=True).counts == {}
    (note,) = seen.notes
    assert note.startswith("2 cells are with SLURM; without --detach, the same command watches")
    cluster.wait_until("the jobs are done", lambda: not jobs(cluster), PATIENCE)
    assert opened(toys, stop, 2)[0].missing() == []


def test_one_limit_holds_for_all_jobs_of_a_run(cluster, toys, stop, begin) -> None:
    run = begin(opened(toys, stop, 2, 1, 2)[0], "limit=1")
    running = set()
    while not run.done():
        shown = cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%i")
        running.add(len(shown.split()))
        time.sleep(0.2)
    assert run.result().counts == {"ok": 2}
    assert max(running) == 1


def test_more_cells_than_an_array_holds_become_several(toys, stop) -> None:
    with running_cluster(max_array=3) as small:
        go(opened(toys, stop, 2, 1, 2)[0], "begin=now+1hour", detach=True, evaluate=True)
        shown = small.run("squeue", "--noheader", "--array", "--format=%F %K %E").splitlines()
    assert sorted(shown) == [
        "1 0 (null)", "1 1 afterany:1_0(unfulfilled)", "1 2 (null)",
        "3 N/A afterany:1_2(unfulfilled)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("partition=nowhere", "invalid partition"),
        ("cpus-per-task=two", 'Invalid numeric value "two"'),
        ("no-such-option=1", "unrecognized option"),
    ],
)
def test_what_slurm_refuses_is_one_line_and_leaves_nothing(
    cluster, toys, stop, option, said
) -> None:
    with pytest.raises(BenchError, match=f"^SLURM refuses the jobs: .*{said}"):
        go(opened(toys, stop, 2)[0], option)
    assert jobs(cluster) == []
    assert not list((toys.folder / "store/slurm").iterdir())


def test_no_daemon_is_left() -> None:
    with running_cluster() as cluster:
        folder = cluster.folder
        cluster.run("sbatch", "--wrap=sleep 600", "--output=/dev/null")
        cluster.wait_until("the job runs", lambda: cluster.node_state() == "mixed")
    assert not folder.exists()
    search = subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, check=False)
    assert search.returncode == 1
