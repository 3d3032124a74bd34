"""Shared results: what many cells need (an embedding network, expert trajectories), by content."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.ledger.checkpoint import CHECKPOINT, Checkpoint
from bench.ledger.holder import read_holder_of
from bench.ledger.lock import file_lock
from bench.support.atomic_files import writing
from bench.support.attempt import SharedResult
from bench.support.errors import BenchError
from bench.support.stopping import Stop
from bench.support.untrusted import Limit

# Seconds between two looks at a result that another process is computing.
POLL_SECONDS = 1.0


class SharedFolder:
    """Keeps shared results in ``<store>/shared``, one file per key.

    Args:
        root: the store's folder.
        checkpoint_every: seconds between two saved states of a result that is being computed.
        note: receives, in a line, what is wrong with a file.
        sources: hashes of the plugins that compute; results of other ones are not used.
    """

    def __init__(
        self,
        root: Path,
        checkpoint_every: float = 60.0,
        note: Callable[[str], None] = lambda _: None,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = root / "shared"
        self._sources = {"sources": dict(sources)} if sources else {}
        self._checkpoint_every, self._note = checkpoint_every, note

    def get(self, key: Mapping[str, Any]) -> SharedResult | None:
        """Return the result of an equal key, or ``None``; a damaged file is set aside."""
        path = self._path(key)
        if not os.path.lexists(path):
            return None
        try:
            return _read(path, {**key, **self._sources})
        except (BenchError, ValueError) as error:
            self._note(f"'{path}' is damaged ({error}); set aside, and computed again")
            with suppress(OSError):  # a read-only store: it is computed again without being kept
                path.replace(path.with_suffix(".damaged"))
            return None

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        """Write the result of a key, atomically.

        Raises:
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        from bench.distilled.io import save_tensors

        header = {
            "key": {**key, **self._sources},
            "seconds": result.seconds,
            "parts": dict(result.parts),
            "digest": _digest(result),
        }
        with writing(self._path(key)):
            save_tensors(result.tensors, header, self._path(key))

    @contextmanager
    def making(self, key: Mapping[str, Any], stop: Stop) -> Iterator[None]:
        """Wait until no other process computes the result of a key, and keep others from it.

        A process that is gone is not waited for.

        Args:
            key: of the result.
            stop: asked while it waits.

        Raises:
            Interrupted: ``stop`` asked for it.
            CannotWriteError: the disk is full, or the store cannot be written.
        """
        path, announced = self._path(key).with_suffix(".lock"), False
        while True:
            with file_lock(path) as held:
                if held:
                    yield
                    return
            if not announced:
                self._announce(path, key)
                announced = True
            stop.check()
            time.sleep(POLL_SECONDS)

    def _announce(self, lock: Path, key: Mapping[str, Any]) -> None:
        holder = read_holder_of(lock)
        where = f" (on {holder.host}, process {holder.pid})" if holder else ""
        what = key.get("what", "a result")
        self._note(f"waiting for shared work ('{what}'), which another process computes{where}")

    def checkpoint(self, key: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint of the computation of a key."""
        path = self._path(key).with_suffix(f".{CHECKPOINT}")
        return Checkpoint(path, path.stem, self._checkpoint_every, self._note)

    def _path(self, key: Mapping[str, Any]) -> Path:
        text = _text({**key, **self._sources})
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.safetensors"


def _read(path: Path, key: Mapping[str, Any]) -> SharedResult:
    """Return what a file keeps.

    Raises:
        BenchError: it cannot be read.
        ValueError: it is not the result of ``key``.
    """
    from bench.distilled.io import load_tensors

    tensors, header = load_tensors(path)
    if _text(header.get("key")) != _text(key):
        raise ValueError("it is the result of another key")
    parts = header.get("parts", {})  # early files have none
    if not isinstance(parts, dict):
        raise ValueError("it does not say what it was made from")
    amounts = map(_seconds, parts.values())
    result = SharedResult(
        tensors, _seconds(header.get("seconds")), dict(zip(parts, amounts, strict=True))
    )
    # Files of the first release have none.
    if header.get("digest", "") not in ("", _digest(result)):
        raise ValueError("its digest differs")
    return result


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it does not say how long it took to make")
    if not 0 <= value < Limit.AMOUNT:
        raise ValueError("it cannot have taken so long to make")
    return float(value)


def _text(key: Any) -> str:
    return json.dumps(key, sort_keys=True)


def _digest(result: SharedResult) -> str:
    from bench.distilled.digest import tensors_digest

    said = _text(float(result.seconds))
    return tensors_digest(said + _text(result.parts) if result.parts else said, result.tensors)
