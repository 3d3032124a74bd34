"""The function that Ray runs as a task, which computes one cell, and the queue of its events.

A cell saves a checkpoint and ends when the run cancels its task, which Ray does by SIGINT. A task
that another signal ends (because its node is shut down, for example) ends its process, so that Ray
retries the task in another process while the dependent tasks go on waiting.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.executors.ray.cluster import load_ray
from bench.executors.remote_cell import RemoteReporter, run_cell
from bench.grid.compute import Ending
from bench.grid.site import Site
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted, Stop


def create_event_queue() -> Any:
    """Return a queue on the run's own node, which the loss of another node does not end."""
    ray = load_ray()
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


def compute_task(
    events: Any,
    site: Site,
    cell_values: dict[str, Any],
    dependency: Any = None,  # noqa: ARG001  # Ray starts the task when it is there
) -> Ending:
    """Compute a cell and return how it ended.

    Args:
        events: the run's queue of events, ``(name, *details)``.
        site: of the run, with absolute paths.
        cell_values: :func:`bench.ledger.cell_json.cell_to_json`.
        dependency: the ending of the cell that this one depends on.

    Returns:
        The ending; of status ``error`` if this process cannot compute any cell of the run.
    """
    _let_children_close_sockets()

    def forward(*event: Any) -> None:
        # Not events.put: a task that waits for an answer lends its CPU, and Ray would start one
        # task too many.
        events.actor.put_nowait.remote(event)

    stop = Stop()
    try:
        with stop.catching():
            return run_cell(site, cell_values, RemoteReporter(forward), stop)
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
        for descriptor, _ in sockets & _open_sockets():
            os.close(descriptor)

    os.register_at_fork(after_in_child=close)


def _open_sockets() -> set[tuple[int, str]]:
    """Return descriptors and names of this process's sockets, where the system lists them."""
    files = set()
    for path in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # the descriptor of the listing itself
            files.add((int(path.name), os.readlink(path)))
    return {(number, name) for number, name in files if name.startswith("socket:")}
