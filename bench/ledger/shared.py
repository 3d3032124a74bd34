"""Shared results: what many cells need (an embedding network, expert trajectories), by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ledger.checkpoint import CHECKPOINT, Checkpoint
from bench.support.atomic_files import writing
from bench.support.errors import BenchError
from bench.support.untrusted import Limit

if TYPE_CHECKING:
    from torch import Tensor


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

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
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

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Write the result of a key, atomically.

        Raises:
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        from bench.distilled.io import save_tensors

        header = {
            "key": {**key, **self._sources},
            "seconds": seconds,
            "digest": _digest(seconds, tensors),
        }
        with writing(self._path(key)):
            save_tensors(dict(tensors), header, self._path(key))

    def checkpoint(self, key: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint of the computation of a key."""
        path = self._path(key).with_suffix(f".{CHECKPOINT}")
        return Checkpoint(path, path.stem, self._checkpoint_every, self._note)

    def _path(self, key: Mapping[str, Any]) -> Path:
        text = _text({**key, **self._sources})
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.safetensors"


def _read(path: Path, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float]:
    """Return what a file keeps.

    Raises:
        BenchError: it cannot be read.
        ValueError: it is not the result of ``key``.
    """
    from bench.distilled.io import load_tensors

    tensors, header = load_tensors(path)
    if _text(header.get("key")) != _text(key):
        raise ValueError("it is the result of another key")
    seconds = header.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("it does not say how long it took to make")
    if not 0 <= seconds < Limit.AMOUNT:
        raise ValueError("it cannot have taken so long to make")
    # Files of the first release have none.
    if header.get("digest", "") not in ("", _digest(seconds, tensors)):
        raise ValueError("its digest differs")
    return tensors, float(seconds)


def _text(key: Any) -> str:
    return json.dumps(key, sort_keys=True)


def _digest(seconds: float, tensors: Mapping[str, Tensor]) -> str:
    from bench.distilled.digest import tensors_digest

    return tensors_digest(_text(float(seconds)), tensors)
