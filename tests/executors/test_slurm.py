"""The slurm executor on a real SLURM: same records as here, and nothing lost whatever happens."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import SlurmCluster, running_cluster

from bench.api import Session, open_session
from bench.cells import Cell, DistilCell
from bench.control import Control
from bench.errors import BenchError
from bench.executors.slurm import slurm_execution
from bench.executors.spec import RunSpec
from bench.grid import Request
from bench.interrupts import Interrupted, Stop
from bench.plan import Outcome
from bench.registry import METHODS, load_plugin_file
from bench.view import View

pytestmark = pytest.mark.slurm

TOYS = Path(__file__).with_name("slurm_toys.py")
# Jobs need seconds to import torch, and minutes where the machine is busy with other things.
PATIENCE = 300.0


class Seen(View):
    """Remembers how each cell ended, and what was said."""

    def __init__(self) -> None:
        self.ended: dict[str, tuple[str, str]] = {}
        self.notes: list[str] = []

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        self.ended[cell.id] = (status, text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def statuses(self) -> list[str]:
        return sorted(status for status, _ in self.ended.values())


class Runs:
    """Runs of one store."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.store, self.data_dir, self.diary = folder / "store", data_dir, folder / "diary"
        self.seen, self.stop = Seen(), Stop()

    def open(self, *methods: str, **more: Any) -> Session:
        self.seen, self.stop = Seen(), Stop()
        settings = {"ipcs": [1], "archs": ["convnet1(width=4)"], "eval_nets": 1, "profile": "smoke"}
        request = Request(methods=methods, datasets=["digits"], **{**settings, **more})
        spec = RunSpec(
            request, str(self.store), str(self.data_dir), "cpu", (str(TOYS),), checkpoint_every=0
        )
        return open_session(spec, Control(self.seen, self.stop))

    def go(self, session: Session, *options: str, detach: bool = False, judge: bool = True) -> Any:
        """Run on SLURM; without ``judge``, distil only."""
        make = slurm_execution(["poll=0.3", *options], detach=detach)

        def execute(runner: Any, spec: RunSpec) -> Callable[[Any], None]:
            work = make(runner, spec)
            return lambda cells: work([c for c in cells if judge or isinstance(c, DistilCell)])

        return session.run(execute=execute)

    def records(self) -> dict[str, Any]:
        """Return what must not depend on where and how often a cell was run."""
        records = [json.loads(p.read_text()) for p in self.store.glob("cells/*/record.json")]
        kept = ("kind", "status", "reason", "identity", "labels", "result", "budget")
        return {record["id"]: {key: record[key] for key in kept} for record in records}

    def steps(self) -> list[int]:
        """Return the steps that were done, in order."""
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        return [int(line.split()[-1]) for line in lines]


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[SlurmCluster]:
    with running_cluster() as made:
        yield made


@pytest.fixture
def cluster(shared_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    yield shared_cluster
    shared_cluster.run("scancel", "--user=root")
    shared_cluster.wait_until("the queue is empty", lambda: not jobs(shared_cluster))


@pytest.fixture
def runs(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, data_dir)
    monkeypatch.setenv("SLURM_TOY_DIARY", str(made.diary))
    monkeypatch.setenv("SLURM_TOY_PAUSE", "0")
    load_plugin_file(TOYS)
    yield made
    for name in METHODS.names():
        if name.startswith("slurm-"):
            METHODS.unregister(name)


@pytest.fixture
def beside(runs: Runs) -> Iterator[Callable[..., Future[Outcome]]]:
    """Gives what starts a run beside the test, which waits for it in the end."""
    with ThreadPoolExecutor(1) as pool:

        def begin(session: Session, *options: str, **more: Any) -> Future[Outcome]:
            return pool.submit(runs.go, session, *options, **more)

        yield begin
        runs.stop.request("the test is over", 1)


def jobs(cluster: SlurmCluster) -> list[str]:
    """Return the ids of the jobs that are queued or run, each of an array by itself."""
    return cluster.run("squeue", "--noheader", "--array", "--format=%i").split()


def here(runs: Runs, tmp_path: Path, *methods: str, **more: Any) -> dict[str, Any]:
    """Return the records of the same run in this process."""
    other = Runs(tmp_path / "here", runs.data_dir)
    other.open(*methods, **more).run()
    return other.records()


def slowly(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.5) -> None:
    monkeypatch.setenv("SLURM_TOY_PAUSE", str(seconds))


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(monkeypatch, 0.0)


def walk(iterations: int) -> dict[str, Any]:
    return {"overrides": {"slurm-walk": {"iterations": iterations}}}


def test_same_records_as_in_one_process_and_a_death_is_a_failure(cluster, runs, tmp_path) -> None:
    assert not cluster.run("sacct"), "the point is that there is no accounting"
    methods = ["slurm-walk", "slurm-nan", "slurm-raises"]
    expected = here(runs, tmp_path, *methods)
    outcome = runs.go(runs.open(*methods, "slurm-dies"), "retries=0")
    assert outcome.counts == {"ok": 2, "failed": 6}
    records = runs.records()
    assert {key: records.pop(key) for key in expected} == expected
    reasons = sorted(record["reason"] for record in records.values())
    assert reasons[0].startswith("it needs 'slurm-dies on digits ipc 1 seed 0', which failed")
    assert reasons[1].startswith("its process was killed by SIGKILL, as the system does")
    again = runs.go(runs.open("slurm-walk"))
    assert again.counts == {"cached": 2}


def test_a_requeued_job_goes_on_from_its_checkpoint(
    cluster, runs, beside, tmp_path, monkeypatch
) -> None:
    slowly(monkeypatch)
    session = runs.open("slurm-walk", **walk(8))
    run = beside(session, judge=False)
    cluster.wait_until("three steps are done", lambda: len(runs.steps()) >= 3, PATIENCE)
    cluster.run("scontrol", "requeue", jobs(cluster)[0])
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert runs.steps() == list(range(8))
    at_once(monkeypatch)
    expected = here(runs, tmp_path, "slurm-walk", **walk(8))
    assert runs.records().items() <= expected.items()


def test_a_preempted_job_requeues_itself(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch)
    run = beside(
        runs.open("slurm-walk", **walk(8)), "partition=main", "cpus-per-task=2", judge=False
    )
    cluster.wait_until("three steps are done", lambda: len(runs.steps()) >= 3, PATIENCE)
    assert cluster.run("sbatch", "--partition=urgent", "--wrap=sleep 1", "--output=/dev/null")
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert runs.steps() == list(range(8))


def test_the_time_limit_is_no_end(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch, 1.0)
    run = beside(runs.open("slurm-walk", **walk(55)), "time=1", "grace=10", judge=False)
    cluster.wait_until("a step is done", lambda: len(runs.steps()) >= 1, PATIENCE)
    # SLURM looks every half minute whether to warn, and warns half a minute too early.
    cluster.run("scontrol", "update", f"JobId={jobs(cluster)[0]}", "EndTime=now+41")
    cluster.wait_until("the job is requeued", lambda: "BeginTime" in pending(cluster), PATIENCE)
    done = len(runs.steps())
    assert 0 < done < 55
    at_once(monkeypatch)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert runs.steps() == list(range(55))


def pending(cluster: SlurmCluster) -> str:
    return cluster.run("squeue", "--noheader", "--array", "--states=PENDING", "--format=%r")


def test_a_cancelled_job_stops_its_cell_and_what_rests_on_it(
    cluster, runs, beside, monkeypatch
) -> None:
    slowly(monkeypatch)
    run = beside(runs.open("slurm-walk", "slurm-stroll", **walk(40)))
    cluster.wait_until("three steps are done", lambda: walked(runs) >= 3, PATIENCE)
    array = jobs(cluster)[0].split("_")[0]
    cluster.run("scancel", f"{array}_0")
    assert run.result(PATIENCE).counts == {"ok": 2, "stopped": 2}
    texts = sorted(text for status, text in runs.seen.ended.values() if status == "stopped")
    assert texts[0].startswith("it rests on 'slurm-walk on digits ipc 1 seed 0', which was stopped")
    assert texts[1].startswith("its SLURM job was cancelled; the next run submits it again")
    done = walked(runs)
    at_once(monkeypatch)
    assert runs.go(runs.open("slurm-walk", **walk(40)), judge=False).counts == {"ok": 1}
    assert done < 40 == walked(runs)


def walked(runs: Runs) -> int:
    return runs.diary.read_text().count("slurm-walk") if runs.diary.exists() else 0


def test_a_slurmd_that_dies_takes_nothing_along(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch, 0.3)
    run = beside(runs.open("slurm-walk", "slurm-stroll"))
    cluster.wait_until("a step is done", lambda: len(runs.steps()) >= 1, PATIENCE)
    cluster.kill_slurmd()
    time.sleep(3)
    cluster.start_slurmd()
    assert run.result(PATIENCE).counts == {"ok": 4}
    assert sorted(runs.steps()) == sorted([*range(5), *range(5)])


def test_a_node_that_crashes_loses_no_more_than_a_step(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch)
    run = beside(runs.open("slurm-walk", **walk(8)), judge=False)
    cluster.wait_until("three steps are done", lambda: len(runs.steps()) >= 3, PATIENCE)
    cluster.crash_node()
    cluster.wait_until("SLURM knows", lambda: cluster.node_state().startswith("down"), 90)
    cluster.start_slurmd()
    time.sleep(5)  # SLURM would have it wait two minutes; less than seconds, and it kills it again
    assert "BeginTime" in pending(cluster)
    cluster.run("scontrol", "update", f"JobId={jobs(cluster)[0]}", "StartTime=now")
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert sorted(set(runs.steps())) == list(range(8))
    assert len(runs.steps()) <= 9


def test_who_stops_watching_finds_the_jobs_again(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch)
    run = beside(runs.open("slurm-walk", **walk(20)))
    cluster.wait_until("a step is done", lambda: len(runs.steps()) >= 1, PATIENCE)
    runs.stop.request("SIGINT", 130)
    with pytest.raises(Interrupted):
        run.result(PATIENCE)
    array = jobs(cluster)[0].split("_")[0]
    said = f"the jobs go on; the same command watches them, `scancel {array}` ends them"
    assert said in runs.seen.notes
    outcome = runs.go(runs.open("slurm-walk", **walk(20)))
    assert outcome.counts == {"ok": 2}
    assert "2 cells are with SLURM already" in runs.seen.notes
    assert runs.steps() == list(range(20))
    assert not list((runs.store / "slurm").iterdir())


def test_detached_jobs_need_nobody(cluster, runs) -> None:
    assert runs.go(runs.open("slurm-walk"), detach=True).counts == {}
    assert any(note.startswith("2 cells are with SLURM; ") for note in runs.seen.notes)
    cluster.wait_until("the jobs are done", lambda: not jobs(cluster), PATIENCE)
    assert runs.open("slurm-walk").missing() == []


def test_one_array_whose_limit_holds_for_all(cluster, runs, beside, monkeypatch) -> None:
    run = beside(runs.open("slurm-walk", "slurm-stroll"), "limit=1")
    running = set()
    while not run.done():
        running.add(cluster.run("squeue", "--noheader", "--states=RUNNING").count("\n"))
        time.sleep(0.2)
    assert run.result().counts == {"ok": 4}
    assert max(running) == 1


def test_what_slurm_refuses_is_one_line_and_leaves_nothing_queued(cluster, runs) -> None:
    with pytest.raises(BenchError, match=r"SLURM refuses the jobs: .*invalid partition"):
        runs.go(runs.open("slurm-walk"), "partition=nowhere")
    assert jobs(cluster) == []


def test_a_slurmctld_that_is_away_is_waited_for(cluster, runs, beside, monkeypatch) -> None:
    slowly(monkeypatch)
    run = beside(runs.open("slurm-walk"), judge=False)
    cluster.wait_until("a step is done", lambda: len(runs.steps()) >= 1, PATIENCE)
    monkeypatch.setattr("bench.executors.slurm_queue._PATIENCE", 2.0)
    cluster.restart_slurmctld(pause=4.0)
    assert run.result(PATIENCE).counts == {"ok": 1}
    assert any("waiting" in note for note in runs.seen.notes)


def test_no_daemon_is_left(tmp_path: Path) -> None:
    with running_cluster() as made:
        folder = made.folder
        made.run("sbatch", "--wrap=sleep 600", "--output=/dev/null")
        made.wait_until("the job runs", lambda: made.node_state() == "mixed")
    assert not folder.exists()
    found = subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, check=False)
    assert found.returncode == 1
