"""The function that runs in a SLURM job: it computes one cell.

SLURM sends SIGTERM when it preempts, cancels or requeues a job, and, because ``sbatch`` is asked
to, SIGUSR2 some time before the time limit. Each of these signals, however often it comes, means:
save a checkpoint after this step and end. If SLURM does not requeue the job, the job does.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from datetime import datetime
from types import FrameType
from typing import Any

from bench.executors.remote_cell import run_cell
from bench.executors.slurm import commands
from bench.grid.reporter import Reporter
from bench.grid.site import Site
from bench.ledger.cell import Cell
from bench.ledger.cell_json import cell_from_json
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop, handling

_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
# How often a job is requeued because a lost node has left the lock of its cell. SLURM makes it wait
# two minutes each time, and such a lock is stale after ten.
_LOST_LOCK_REQUEUES = 10


def run_slurm_cell(site: Site, cell_values: dict[str, Any]) -> str:
    """Compute a cell, see :func:`run_cell`, and return how it ended; a signal ends the process."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.request(signal.Signals(number).name, 128 + signal.SIGTERM)

    threads = site.threads or int(os.environ.get("SLURM_CPUS_ON_NODE", "1"))
    with handling(_SIGNALS, handle):
        try:
            ending = run_cell(replace(site, threads=threads), cell_values, _Log(), stop)
        except Interrupted as stopped:
            _print(f"stopped by {stopped.why}, with a checkpoint")
            _requeue()
            sys.exit(stopped.exit_code)
        title = cell_from_json(cell_values).title
        _print(f"{title}: {ending.status} {ending.text} in {ending.seconds:.1f} s")
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if ending.status == "busy" and 0 < restarts <= _LOST_LOCK_REQUEUES:
            _requeue()
    return ending.status


class _Log(Reporter):
    """Writes events into the log of the job."""

    def start(self, cell: Cell) -> None:
        _print(f"{cell.title}: starts")

    def note(self, text: str) -> None:
        _print(text)


def _requeue() -> None:
    """Requeue this job, unless SLURM is ending it: cancelled, or requeued by SLURM itself."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    # One task's SLURM_JOB_ID equals the array's id, which would address every task.
    job = f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]
    try:
        if "JobState=RUNNING" in commands.run("scontrol", "show", "job", job):
            commands.run("scontrol", "requeue", job)
    except BenchError as error:
        _print(f"not requeued: {error}")


def _print(text: str) -> None:
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", flush=True)
