"""The checkpoint of one cell: kept now and then while it runs, gone when its record says ok."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support.errors import BenchError

if TYPE_CHECKING:
    import torch

# Its file in its cell's folder.
CHECKPOINT = "checkpoint.safetensors"
# A checkpoint that took S seconds is followed by at least this many times S without one, so that
# keeping them costs less than 2 % of a run whatever the disk.
_AT_MOST_A_SHARE_OF = 50.0


class Checkpoint:
    """Keeps one cell's state on disk.

    A checkpoint that cannot be written is no reason to lose a run, and one that cannot be read no
    reason to refuse one: both are told in a line, and the work goes on.

    Args:
        path: its file.
        cell_id: whose state it is; another cell's is refused.
        every: seconds between two of them; 0 keeps one whenever it is asked.
        note: is told, in a line, what went wrong.
    """

    def __init__(self, path: Path, cell_id: str, every: float, note: Callable[[str], None]) -> None:
        self.path, self._id, self._every, self._note = path, cell_id, every, note
        self._next = time.monotonic() + every

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._next

    def save(self, state: dict[str, Any]) -> bool:
        """Keep a state in place of the last one; return whether that worked.

        Raises:
            TypeError: the state holds what no file can.
        """
        from bench.ledger.state_file import save_state

        started, done = time.monotonic(), True
        try:
            save_state({"cell": self._id, "state": state}, self.path)
        except (OSError, ValueError) as error:  # a value: what is too large for such a file
            done, why = False, getattr(error, "strerror", None) or error
            self._note(f"checkpoint '{self.path}' cannot be written ({why}); going on")
        took = time.monotonic() - started
        share = _AT_MOST_A_SHARE_OF * took if self._every else 0.0
        self._next = time.monotonic() + max(self._every, share)
        return done

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the state that was kept, or ``None``; a damaged file is named and set aside."""
        from bench.ledger.state_file import load_state

        if not os.path.exists(self.path):
            return None
        try:
            kept = load_state(self.path, device)
            if not isinstance(kept, dict) or kept.get("cell") != self._id:
                raise BenchError(f"'{self.path}' is not the checkpoint of cell {self._id}")
            state = kept.get("state")
            if not isinstance(state, dict):
                raise BenchError(f"'{self.path}' holds no state")
            return state
        except BenchError as error:
            self._set_aside(str(error))
            return None

    def set_aside(self, why: str) -> None:
        """Move a checkpoint that cannot be used out of the way, and report why."""
        self._set_aside(f"'{self.path}': {why}")

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_suffix(".damaged")
        with suppress(OSError):  # a read-only store, say: it is not used all the same
            self.path.replace(aside)
        self._note(f"{why}; set aside, the cell starts from the beginning")

    def remove(self) -> None:
        """Forget what was kept."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
