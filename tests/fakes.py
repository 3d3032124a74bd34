"""Objects that stand in for parts of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bench.support.attempt import NoCheckpoint, SharedResult
from bench.support.stopping import Interrupted, Stop


class MemoryCache:
    """Keeps shared tensors in memory; ``entries`` holds all that were put."""

    def __init__(self) -> None:
        self.entries: list[tuple[dict[str, Any], SharedResult]] = []

    def get(self, key: Mapping[str, Any]) -> SharedResult | None:
        return next((result for k, result in self.entries if k == dict(key)), None)

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        self.entries.append((dict(key), result))

    def making(self, key: Mapping[str, Any], stop: Stop) -> AbstractContextManager[None]:
        return nullcontext()

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
