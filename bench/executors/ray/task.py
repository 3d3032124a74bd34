"""The function that Ray runs as a task: it computes one cell.

The cell saves a checkpoint and ends when the run or a signal asks for it. A task that a signal ends
(because its node is shut down, for example) ends its process, so that Ray retries the task in
another process while the dependent tasks go on waiting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.executors.ray.cluster import load_ray
from bench.executors.remote_cell import RemoteReporter, run_cell
from bench.grid.compute import Ending
from bench.grid.site import Site
from bench.ledger.cell import cell_from_json
from bench.ledger.lock import BEAT, PATIENCE
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop

# Seconds between two checks whether the run has stopped, two reports of progress, and two attempts
# at a cell whose lock a dead process has left.
_POLL_SECONDS, _REPORT_SECONDS, _RETRY_SECONDS = 0.5, 0.5, 3.0


def compute_task(
    mailbox: Any,
    site_text: str,
    cell_values: dict[str, Any],
    dependency: Any = None,  # noqa: ARG001  # Ray starts the task when it is there
) -> Ending:
    """Compute a cell and return how it ended.

    Args:
        mailbox: a handle of the run's :class:`bench.executors.ray.mailbox.Mailbox`.
        site_text: :meth:`Site.to_json`, with absolute paths.
        cell_values: :func:`bench.ledger.cell.cell_to_json`.
        dependency: the ending of the cell that this one depends on.

    Returns:
        The ending; of status ``error`` if this process cannot compute any cell of the run.
    """
    # Not by ray.get: a task that waits in it lends its CPU, and Ray would start one task too many.
    cell_id = cell_from_json(cell_values).id
    attempt = mailbox.begin.remote(cell_id).future().result()
    stop, reporter = Stop(), RemoteReporter(mailbox.put.remote, _REPORT_SECONDS)
    with stop.catching(), _polling(mailbox, stop) as run_stopped:
        started = time.perf_counter()
        try:
            _check_shared(Site.from_json(site_text).store)
            return _compute(site_text, cell_values, reporter, stop, attempt)
        except BenchError as error:
            return Ending("error", str(error))
        except Interrupted as stopped:
            if not run_stopped.is_set():
                os._exit(stopped.exit_code or 1)
            return Ending("stopped", stopped.why, time.perf_counter() - started)


def _compute(
    site_text: str, cell: dict[str, Any], reporter: RemoteReporter, stop: Stop, attempt: int
) -> Ending:
    """Compute the cell; after a death, wait until the lock of the dead process is stale.

    On the same machine it is stale at once, on another after :data:`PATIENCE` seconds.
    """
    deadline = time.monotonic() + (PATIENCE + 2 * BEAT if attempt > 1 else 0.0)
    while True:
        ending = run_cell(site_text, cell, reporter, stop)
        if ending.status != "busy" or time.monotonic() >= deadline:
            return ending
        retry = time.monotonic() + _RETRY_SECONDS
        while time.monotonic() < retry:
            stop.check()
            time.sleep(_POLL_SECONDS)


def _check_shared(store: str) -> None:
    if not os.path.isdir(Path(store) / "cells"):
        node = load_ray().util.get_node_ip_address()
        raise BenchError(
            f"Ray's node {node} cannot see the store '{store}': it must be in a folder that all "
            "machines share, under the same path"
        )


@contextmanager
def _polling(mailbox: Any, stop: Stop) -> Iterator[threading.Event]:
    """Request a stop when the run does; gives an event that says whether the run did."""
    run_stopped, ended = threading.Event(), threading.Event()

    def poll() -> None:
        ray = load_ray()
        while not ended.wait(_POLL_SECONDS):
            try:
                request = ray.get(mailbox.stop_request.remote())
            except ray.exceptions.RayError:
                request = ("the run is gone", 1)
            if request is not None:
                run_stopped.set()
                stop.request(*request)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield run_stopped
    finally:
        ended.set()
        thread.join()
