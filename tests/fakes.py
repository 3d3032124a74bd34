"""Objects that stand in for parts of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bench.support.attempt import NoCheckpoint
from bench.support.stopping import Interrupted, Stop


class MemoryCache:
    """Keeps shared tensors in memory; ``entries`` holds all that were put."""

    def __init__(self) -> None:
        self.entries: list[tuple[dict[str, Any], dict[str, Tensor], float]] = []

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
        return next(((t, s) for k, t, s in self.entries if k == dict(key)), None)

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        self.entries.append((dict(key), dict(tensors), seconds))

    def checkpoint(self, key: Mapping[str, Any]) -> NoCheckpoint:
        return NoCheckpoint()


class StopAfter(Stop):
    """Requests a stop at the given poll.

    Args:
        polls: the number of the poll, from 1.
    """

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.polls = polls

    def reason(self) -> Interrupted | None:
        self.polls -= 1
        if self.polls == 0:
            self.request("enough", 143)
        return super().reason()
