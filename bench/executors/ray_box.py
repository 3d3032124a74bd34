"""The box between a run and its tasks on a Ray cluster: events one way, a request to end the other.

It is an actor on the run's own node, so that no other node's loss takes it along.
"""

from __future__ import annotations

from typing import Any

from bench.executors.ray_cluster import load_ray

Event = tuple[Any, ...]


class Box:
    """Holds what tasks have told, and what they are to be told."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._begun: dict[str, int] = {}
        self._stop: tuple[str, int] | None = None

    def begin(self, cell_id: str) -> int:
        """Count an attempt at a cell and return which one it is, from 1."""
        self._begun[cell_id] = self._begun.get(cell_id, 0) + 1
        self._events.append(("begin", cell_id, self._begun[cell_id]))
        return self._begun[cell_id]

    def put(self, *event: Any) -> None:
        """Tell the run something."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Return what was told since the last call."""
        told, self._events = self._events, []
        return told

    def ask_to_stop(self, why: str, exit_code: int) -> None:
        """Ask every task to keep a checkpoint and end."""
        self._stop = (why, exit_code)

    def asked_to_stop(self) -> tuple[str, int] | None:
        """Return why tasks are to end; ``None`` if they are not."""
        return self._stop


def open_box() -> Any:
    """Return a handle of a new box, an actor on this node."""
    ray = load_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Box).options(num_cpus=0, scheduling_strategy=here).remote()
