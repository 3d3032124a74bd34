"""The checkpoint of a cell: saved now and then while it runs, removed when its record says ok."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support.atomic_files import make_folders, share
from bench.support.errors import BenchError
from bench.support.strict_json import parse_json
from bench.support.untrusted import Limit, header_length, open_plain, open_without_links

if TYPE_CHECKING:
    import torch

# Its file in its cell's folder.
CHECKPOINT = "checkpoint.safetensors"
# The file beside it that has a byte for every attempt; a larger one was not written by attempts.
ATTEMPTS = "attempts"
_MOST_ATTEMPTS = 1_000_000
# A checkpoint that took S seconds is followed by at least this many times S without one, so that
# keeping them costs less than 2 % of a run whatever the disk.
_AT_MOST_A_SHARE_OF = 50.0


@dataclass(frozen=True)
class CheckpointSummary:
    """How far a checkpoint is.

    Attributes:
        steps: steps of a distillation that are done; ``None`` for an evaluation.
        total: steps that the distillation has; ``None`` if it does not say.
        seconds: that were spent up to it; ``None`` if it does not say.
        age: seconds since it was written.
    """

    steps: int | None
    total: int | None
    seconds: float | None
    age: float


class Checkpoint:
    """Saves one cell's state on disk.

    A checkpoint that cannot be written is no reason to lose a run, and one that cannot be read is
    no reason to refuse one: both are reported in a line, and the work goes on.

    Args:
        path: its file.
        cell_id: the cell; the state of another one is refused.
        every: seconds between two checkpoints; 0 means that one is always due.
        note: receives a line about what went wrong.
        sources: hashes of the plugins that the state depends on; a state of other ones, or of
            unknown ones, is not resumed.
        earlier: that of the same work after fewer steps, from which this one goes on at first, and
            again where it was stopped long before and the other one has got further since.
    """

    def __init__(
        self, path: Path, cell_id: str, every: float, note: Callable[[str], None],
        sources: Mapping[str, str] | None = None, earlier: Checkpoint | None = None,
    ) -> None:  # fmt: skip
        self.path, self._id, self._every, self._note = path, cell_id, every, note
        self._sources, self._earlier = dict(sources or {}), earlier
        self.next_due = time.monotonic() + every

    def due(self) -> bool:
        """Return whether it is time for the next one."""
        return time.monotonic() >= self.next_due

    def save(self, state: dict[str, Any]) -> bool:
        """Save a state in place of the last one; return whether that worked.

        Raises:
            TypeError: the state holds what no file can.
        """
        from bench.ledger.state_file import save_state

        started, done = time.monotonic(), True
        try:
            sources = {"sources": self._sources} if self._sources else {}
            save_state({"cell": self._id, **sources, "state": state}, self.path)
        except (OSError, ValueError) as error:  # a value: what is too large for such a file
            done, why = False, getattr(error, "strerror", None) or error
            self._note(f"checkpoint '{self.path}' cannot be written ({why}); going on")
        took = time.monotonic() - started
        share = _AT_MOST_A_SHARE_OF * took if self._every else 0.0
        self.next_due = time.monotonic() + max(self._every, share)
        return done

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the state to go on from, or ``None``; a damaged file is named and set aside."""
        if self._is_behind() and (state := self._of_earlier(device)) is not None:
            return state
        state = self._own(device) if os.path.exists(self.path) else None
        return self._of_earlier(device) if state is None else state

    def _own(self, device: torch.device) -> dict[str, Any] | None:
        from bench.ledger.state_file import load_state

        try:
            saved = load_state(self.path, device)
            if not isinstance(saved, dict) or saved.get("cell") != self._id:
                raise BenchError(f"'{self.path}' is not the checkpoint of cell {self._id}")
            if saved.get("sources", {}) != self._sources:
                raise BenchError(f"'{self.path}' is of other code: a plugin was changed since")
            state = saved.get("state")
            if not isinstance(state, dict):
                raise BenchError(f"'{self.path}' holds no state")
            return state
        except BenchError as error:
            self._set_aside(str(error))
            return None

    def _of_earlier(self, device: torch.device) -> dict[str, Any] | None:
        return None if self._earlier is None else _not_counted(self._earlier.load(device))

    def _is_behind(self) -> bool:
        """Return whether the same work has got further in an earlier set."""
        return self._earlier is not None and self._steps() < self._earlier._furthest()

    def _furthest(self) -> int:
        before = 0 if self._earlier is None else self._earlier._furthest()
        return max(self._steps(), before)

    def _steps(self) -> int:
        summary = summarise_checkpoint(self.path)
        return 0 if summary is None or summary.steps is None else summary.steps

    def set_aside(self, why: str) -> None:
        """Move a checkpoint that cannot be used out of the way, and report why."""
        self._set_aside(f"'{self.path}': {why}")

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_suffix(".damaged")
        with suppress(OSError):  # a read-only store, for instance: it is ignored in any case
            self.path.replace(aside)
        start = "the beginning" if self._earlier is None else "an earlier set or the beginning"
        self._note(f"{why}; set aside, the cell starts from {start}")

    def count_attempt(self) -> int:
        """Count an attempt at the work that begins now; return its number, from 1.

        Every attempt adds a byte to a file beside the checkpoint, which costs next to nothing and
        survives a kill. Where that file cannot be written, every attempt is the first.
        """
        path, flags = self.path.with_name(ATTEMPTS), os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            make_folders(self.path.parent)
            file = open_without_links(os.fspath(path), flags)
            try:
                share(path)
                os.write(file, b".")
                size = os.fstat(file).st_size
            finally:
                os.close(file)
        except OSError:
            return 1
        return size if 1 <= size <= _MOST_ATTEMPTS else 1

    def remove(self) -> None:
        """Remove the saved state and the number of attempts: the work is done."""
        for path in (self.path, self.path.with_name(ATTEMPTS)):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _not_counted(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a state to go on from, whose last attempt is the one that goes on."""
    cost = (state or {}).get("cost")
    if state is None or not isinstance(cost, dict) or type(cost.get("attempts")) is not int:
        return state
    return {**state, "cost": {**cost, "attempts": cost["attempts"] - 1}}


def summarise_checkpoint(path: Path) -> CheckpointSummary | None:
    """Return how far a checkpoint is; ``None`` if it is absent or damaged.

    Only the header of the file is read, without torch; see :mod:`bench.ledger.state_file` for the
    format. The digest is checked when a cell resumes from the checkpoint, not here.
    """
    try:
        age = max(0.0, time.time() - path.lstat().st_mtime)
        header = parse_json(parse_json(_read_header(path))["__metadata__"]["bench"])
        state = _entry(header["tree"], "state")
        seconds = _entry(_entry(state, "cost"), "seconds")
        return CheckpointSummary(
            _count(_entry(state, "done")),
            _count(_entry(state, "total")),
            None if seconds is None else float.fromhex(seconds["float"]),
            age,
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _read_header(path: Path) -> bytes:
    with open_plain(path, follow=False) as file:
        return file.read(header_length(file, Limit.CHECKPOINT_HEADER_BYTES))


def _entry(tree: Any, name: str) -> Any:
    """Return an entry of a packed dictionary, or ``None``."""
    return None if tree is None else dict(tree["dict"]).get(name)


def _count(packed: Any) -> int | None:
    return None if packed is None else int(packed["plain"])
