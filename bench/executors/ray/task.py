"""The function that Ray runs as a task, which computes one cell, and the events that it sends.

A cell saves a checkpoint and ends when the run cancels its task, which Ray does by SIGINT. A task
that another signal ends (because its node is shut down, for example) ends its process, so that Ray
retries the task in another process while the dependent tasks go on waiting.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.executors.ray.cluster import load_ray
from bench.executors.remote_cell import RemoteReporter, run_cell
from bench.grid.compute import Ending
from bench.grid.site import Site
from bench.ledger.cell import cell_from_json
from bench.ledger.holder import BEAT, PATIENCE
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop

# Seconds between two reports of progress, and between two attempts at a cell whose lock a dead
# process has left.
_REPORT_SECONDS, _RETRY_SECONDS = 0.5, 3.0


class Mailbox:
    """Holds the events of tasks until the run takes them: an actor on the run's own node."""

    def __init__(self) -> None:
        self._events: list[tuple[Any, ...]] = []
        self._attempts: dict[str, int] = {}

    def begin(self, cell_id: str) -> int:
        """Count an attempt at a cell and return its number, from 1."""
        self._attempts[cell_id] = self._attempts.get(cell_id, 0) + 1
        self.put("begin", cell_id, self._attempts[cell_id])
        return self._attempts[cell_id]

    def put(self, *event: Any) -> None:
        """Add an event."""
        self._events.append(event)

    def take(self) -> list[tuple[Any, ...]]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events


def create_mailbox() -> Any:
    """Return a handle of a new mailbox, which the loss of another node does not end."""
    ray = load_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()


def compute_task(
    mailbox: Any,
    site_text: str,
    cell_values: dict[str, Any],
    dependency: Any = None,  # noqa: ARG001  # Ray starts the task when it is there
) -> Ending:
    """Compute a cell and return how it ended.

    Args:
        mailbox: a handle of the run's :class:`Mailbox`.
        site_text: :meth:`Site.to_json`, with absolute paths.
        cell_values: :func:`bench.ledger.cell.cell_to_json`.
        dependency: the ending of the cell that this one depends on.

    Returns:
        The ending; of status ``error`` if this process cannot compute any cell of the run.
    """
    _let_children_close_sockets()
    # Not by ray.get: a task that waits in it lends its CPU, and Ray would start one task too many.
    attempt = mailbox.begin.remote(cell_from_json(cell_values).id).future().result()
    stop, reporter = Stop(), RemoteReporter(mailbox.put.remote, _REPORT_SECONDS)
    # The lock of a process that died on another machine is stale only after some minutes.
    deadline = time.monotonic() + (PATIENCE + 2 * BEAT if attempt > 1 else 0.0)
    try:
        with stop.catching():
            _check_shared(Site.from_json(site_text).store)
            ending = run_cell(site_text, cell_values, reporter, stop)
            while ending.status == "busy" and time.monotonic() < deadline:
                time.sleep(_RETRY_SECONDS)
                stop.check()
                ending = run_cell(site_text, cell_values, reporter, stop)
            return ending
    except BenchError as error:
        return Ending("error", str(error))
    except Interrupted as stopped:
        if stopped.why != "SIGINT":
            os._exit(stopped.exit_code or 1)
        return Ending("stopped")


@cache
def _let_children_close_sockets() -> None:
    """Have children that a plugin forks close the sockets that this process has now.

    Ray notices the death of a process when its connections end; a child would keep them open.
    """
    sockets = _open_sockets()

    def close() -> None:
        for descriptor, name in _open_sockets().items():
            if sockets.get(descriptor) == name:
                os.close(descriptor)

    os.register_at_fork(after_in_child=close)


def _open_sockets() -> dict[int, str]:
    """Return the names of this process's sockets by descriptor, where the system lists them."""
    names = {}
    for path in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # the descriptor of the listing itself
            names[int(path.name)] = os.readlink(path)
    return {number: name for number, name in names.items() if name.startswith("socket:")}


def _check_shared(store: str) -> None:
    if not os.path.isdir(Path(store) / "cells"):
        node = load_ray().util.get_node_ip_address()
        raise BenchError(
            f"Ray's node {node} cannot see the store '{store}': it must be in a folder that all "
            "machines share, under the same path"
        )
