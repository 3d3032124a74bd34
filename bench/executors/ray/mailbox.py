"""Messages between a run and its tasks on a Ray cluster: events, and the request to stop.

The mailbox is an actor on the run's own node, so that the loss of another node does not end it.
"""

from __future__ import annotations

from typing import Any

from bench.executors.ray.cluster import load_ray

Event = tuple[Any, ...]


class Mailbox:
    """Holds the events of tasks until the run takes them, and the run's request to stop."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._attempts: dict[str, int] = {}
        self._stop: tuple[str, int] | None = None

    def begin(self, cell_id: str) -> int:
        """Count an attempt at a cell and return its number, from 1."""
        self._attempts[cell_id] = self._attempts.get(cell_id, 0) + 1
        self.put("begin", cell_id, self._attempts[cell_id])
        return self._attempts[cell_id]

    def put(self, *event: Any) -> None:
        """Add an event."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def request_stop(self, why: str, exit_code: int) -> None:
        """Request that every task saves a checkpoint and ends."""
        self._stop = (why, exit_code)

    def stop_request(self) -> tuple[str, int] | None:
        """Return the reason and exit code with which tasks must end; ``None`` if they go on."""
        return self._stop


def create_mailbox() -> Any:
    """Return a handle of a new mailbox, an actor on this node."""
    ray = load_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
