"""Work that many cells need (an embedding network, expert trajectories), kept by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.grid.control import Control
from bench.ledger.checkpoint import CHECKPOINT, Checkpoint
from bench.support.atomic_files import writing
from bench.support.errors import BenchError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.distillation.shared_work import LongWork

_LONGEST = 2.0**63


class SharedFolder:
    """A :class:`bench.distillation.context.SharedCache` in ``<store>/shared``.

    Args:
        root: the store's folder.
        control: how often work that is not done is kept, and what may stop it.
    """

    def __init__(self, root: Path, control: Control | None = None) -> None:
        self.folder, self._control = root / "shared", control or Control()

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
        """Return what was kept under an equal key, or ``None``; a damaged file is set aside."""
        path = self._path(key)
        if not os.path.lexists(path):
            return None
        try:
            return _read(path, key)
        except (BenchError, ValueError) as error:
            self._control.view.note(f"'{path}' is damaged ({error}); set aside, and made again")
            with suppress(OSError):  # a read-only store, say: it is made anew without being kept
                path.replace(path.with_suffix(".damaged"))
            return None

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Keep tensors, atomically.

        Raises:
            CannotWriteError: if the disk is full or the store may not be written.
        """
        from bench.distilled.io import save_tensors

        kept = dict(tensors)
        header = {"key": dict(key), "seconds": seconds, "digest": _digest(seconds, kept)}
        with writing(self._path(key)):
            save_tensors(kept, header, self._path(key))

    def work(self, key: Mapping[str, Any], device: torch.device) -> LongWork:
        """Return work of a key, from where an earlier attempt kept it or from the start."""
        from bench.distillation.shared_work import LongWork

        path = self._path(key).with_suffix(f".{CHECKPOINT}")
        every, view = self._control.checkpoint_every, self._control.view
        checkpoint = Checkpoint(path, path.stem, every, view.note)
        return LongWork(checkpoint, self._control.stop, device)

    def _path(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()[:20]}.safetensors"


def _read(path: Path, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float]:
    """Return what a file keeps.

    Raises:
        BenchError: it cannot be read.
        ValueError: it is not what was kept under ``key``.
    """
    from bench.distilled.io import load_tensors

    tensors, header = load_tensors(path)
    if _text(header.get("key")) != _text(key):
        raise ValueError("it was kept under another key")
    seconds = header.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("it does not say how long it took to make")
    if not 0 <= seconds < _LONGEST:
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
