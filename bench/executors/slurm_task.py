"""What runs in a SLURM job: one cell, which ends with a checkpoint when SLURM says so.

SLURM sends SIGTERM where it preempts, cancels or requeues a job, and, because ``sbatch`` is asked
to, SIGUSR2 some time before the time limit. All of them, however often they come, mean: keep a
checkpoint after this step and end. If SLURM does not requeue the job itself, the job does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import FrameType
from typing import Any

from bench.executors import slurm_queue
from bench.executors.remote_cell import run_cell
from bench.grid.reporter import Reporter
from bench.grid.site import Site
from bench.ledger.cell import Cell
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop, handling

_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
# How often a job that finds its cell in other hands looks again; SLURM has it wait two minutes
# each time. A lock whose holder is gone is stale after ten.
_LOOKS = 10


def run_slurm_cell(site_text: str, cell_values: dict[str, Any]) -> str:
    """Compute a cell and return how it ended; the process ends if it was told to stop.

    Args:
        site_text: :meth:`Site.to_json`, with absolute paths.
        cell_values: :func:`bench.ledger.cell.cell_to_json`.
    """
    stop = Stop()
    with _ending(stop):
        try:
            status = run_cell(_threaded(site_text), cell_values, _Log(), stop).status
        except Interrupted as stopped:
            _say(f"stopped by {stopped.why}, with a checkpoint")
            _go_on_later()
            sys.exit(stopped.exit_code)
        if status == "busy" and int(os.environ.get("SLURM_RESTART_COUNT", "0")) < _LOOKS:
            _go_on_later()
    return status


class _Log(Reporter):
    """Writes what happens into the job's log."""

    def start(self, cell: Cell) -> None:
        _say(f"{cell.title}: starts")

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        _say(f"{cell.title}: {status} {text} in {seconds:.1f} s")

    def note(self, text: str) -> None:
        _say(text)


@contextmanager
def _ending(stop: Stop) -> Iterator[None]:
    def take(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.request(signal.Signals(number).name, 128 + signal.SIGTERM)

    with handling(_SIGNALS, take):
        yield


def _go_on_later() -> None:
    """Requeue this job, unless SLURM is ending it: cancelled, or requeued by SLURM itself."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    # Never by SLURM_JOB_ID: one job of an array has the array's own, which stands for all of it.
    job = f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]
    try:
        if slurm_queue.state_of(job) == "RUNNING":
            slurm_queue.requeue(job)
    except BenchError as error:
        _say(f"not requeued: {error}")


def _threaded(site_text: str) -> str:
    """Return the site with as many threads as SLURM gave this job processors, unless it says."""
    site = Site.from_json(site_text)
    given = int(os.environ.get("SLURM_CPUS_ON_NODE", "1"))
    return replace(site, threads=site.threads or given).to_json()


def _say(text: str) -> None:
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", flush=True)
