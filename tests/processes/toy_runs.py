"""Runs of toys: opened in this process, or started as ``bench run`` in another."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from processes.bench_processes import TOYS, BenchProcess, BenchProcesses
from processes.event_log import EventLog
from processes.wait_until import PATIENCE, wait_until
from recording_reporter import RecordingReporter
from store_contents import read_results

from bench.grid.reporter import Control
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.site import Site
from bench.support.stopping import Stop

ARCH = "convnet1(width=4)"
STEPS = 8  # of a drifting toy at ``smoke``


class ToyRuns(EventLog):
    """Runs that share a folder of stores, packed datasets and an event log.

    Args:
        folder: for stores.
        data_dir: packed datasets.
        log: for the event log; also this process's ``TOY_FOLDER``.
        processes: starts other processes.
    """

    def __init__(self, folder: Path, data_dir: Path, log: Path, processes: BenchProcesses) -> None:
        super().__init__(log)
        self.folder, self._data_dir, self._processes = folder, data_dir, processes
        self._started: list[BenchProcess] = []

    def open(
        self,
        store: str,
        *methods: str,
        stop: Stop | None = None,
        threads: int | None = 1,
        **more: Any,
    ) -> tuple[Session, RecordingReporter]:
        """Open a run, and return what it will report too."""
        settings = {"ipcs": [1], "archs": [ARCH], "eval_nets": 1, "profile": "smoke", **more}
        request = Request(methods=methods, datasets=["digits"], **settings)
        site = Site(
            str(self.folder / store), str(self._data_dir), "cpu", (str(TOYS),),
            checkpoint_every=0, threads=threads,
        )  # fmt: skip
        reporter = RecordingReporter()
        return open_session(request, site, Control(reporter, stop or Stop(PATIENCE))), reporter

    def start(self, store: str, *methods: str, fresh: bool = False, **options: str) -> BenchProcess:
        """Start ``bench run`` in a process of its own, fresh or forked."""
        given = {"checkpoint_every": "0", "threads": "1", "eval_nets": "1", **options}
        arguments = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", v)]
        grid = self._processes.grid(self.folder / store, ",".join(methods), *arguments)
        self._started.append(self._processes.start(*grid, fresh=fresh, **self.env()))
        return self._started[-1]

    def close(self) -> None:
        """End the processes that a failed test has left."""
        self.release()
        for run in self._started:
            run.kill()
        for child in self.children():
            os.kill(int(child), signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """Return the running processes that descend from those started, with their commands."""
        return self._processes.alive()

    def locks(self, store: str) -> list[Path]:
        return list((self.folder / store).rglob("lock"))

    def assert_resumes(self, store: str) -> None:
        """Assert that a stopped run of ``toy-drift`` is resumed and ends as a whole one."""
        wait_until("all processes have ended", lambda: not self.processes())
        assert not self.locks(store)
        assert list((self.folder / store).rglob("checkpoint.safetensors"))
        assert len(self.steps()) < STEPS
        self.stop_forking()  # the rest is computed in this process
        self.open(store, "toy-drift")[0].run()
        expected = [("toy-drift-1", i) for i in range(STEPS)]
        assert self.steps() == expected, "each step is done once"
        self.open("here", "toy-drift")[0].run()
        assert read_results(self.folder / store) == read_results(self.folder / "here")
