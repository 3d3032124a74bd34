"""What runs as a Ray task: one cell, which ends with a checkpoint when the run or a signal says so.

A task that a signal ends (its node is shut down, say) ends its process: Ray then gives the cell to
another one, and those that rest on it go on waiting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.executors.ray_cluster import load_ray
from bench.executors.remote_cell import run_cell
from bench.executors.remote_reporter import RemoteReporter
from bench.grid.site import Site
from bench.ledger.cell import Cell, cell_from_json
from bench.ledger.lock import BEAT, PATIENCE
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop

# Seconds between two questions whether to stop, two looks at a running loop that are told, and two
# tries at a cell whose lock the last attempt left behind.
_ASK_EVERY, _TELL_EVERY, _TRY_EVERY = 0.5, 0.5, 3.0

# How a cell ended: status, text, seconds.
Ended = tuple[str, str, float]


def compute(box: Any, site_text: str, cell_values: dict[str, Any], needed: Any = None) -> Ended:  # noqa: ARG001
    """Compute a cell and return how it ended; ``error`` if nothing of the run can be computed here.

    Args:
        box: a handle of the run's :class:`bench.executors.ray_box.Box`.
        site_text: :meth:`Site.to_json`, with absolute paths.
        cell_values: :func:`bench.ledger.cell.cell_to_json`.
        needed: how the cell ended that this one rests on; Ray waits for it.
    """
    # Not by ray.get: a task that waits so lends its CPU, and a cell too many would start meanwhile.
    cell_id = cell_from_json(cell_values).id
    attempt = box.begin.remote(cell_id).future().result()
    stop, view = Stop(), _BoxReporter(box, cell_id)
    try:
        with stop.catching(), _asking(box, stop) as asked:
            _refuse_unshared(Site.from_json(site_text).store)
            _try(site_text, cell_values, view, stop, attempt)
    except BenchError as error:
        return "error", str(error), 0.0
    except Interrupted as stopped:
        if not asked.is_set():
            os._exit(stopped.exit_code or 1)
        return "stopped", stopped.why, view.ended[2]
    return view.ended


def _try(
    site_text: str, cell: dict[str, Any], view: RemoteReporter, stop: Stop, attempt: int
) -> None:
    """Compute the cell; after a death, wait for the lock that the last attempt may have left.

    On this machine such a lock is known to be stale at once, on another by and by.
    """
    patience = time.monotonic() + (PATIENCE + 2 * BEAT if attempt > 1 else 0.0)
    while run_cell(site_text, cell, view, stop).status == "busy" and time.monotonic() < patience:
        until = time.monotonic() + _TRY_EVERY
        while time.monotonic() < until:
            stop.check()
            time.sleep(_ASK_EVERY)


def _refuse_unshared(store: str) -> None:
    if not os.path.isdir(Path(store) / "cells"):
        node = load_ray().util.get_node_ip_address()
        raise BenchError(
            f"Ray's node {node} cannot see the store '{store}': it must be in a folder that all "
            "machines share, under the same path"
        )


@contextmanager
def _asking(box: Any, stop: Stop) -> Iterator[threading.Event]:
    """Ask now and then whether the run wants to end; gives whether it said so."""
    asked, over = threading.Event(), threading.Event()

    def ask() -> None:
        ray = load_ray()
        while not over.wait(_ASK_EVERY):
            try:
                told = ray.get(box.asked_to_stop.remote())
            except ray.exceptions.RayError:
                told = ("the run is gone", 1)
            if told is not None:
                asked.set()
                stop.request(*told)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()


class _BoxReporter(RemoteReporter):
    """Puts the events of a cell into the box, and keeps how it ended."""

    def __init__(self, box: Any, cell_id: str) -> None:
        super().__init__(box.put.remote, _TELL_EVERY)
        self._id = cell_id
        self.ended: Ended = ("busy", "", 0.0)

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        if cell.id == self._id:
            self.ended = (status, text, seconds)
