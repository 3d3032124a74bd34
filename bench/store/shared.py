"""Work that many cells need (an embedding network, expert trajectories), kept by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor


class SharedFolder:
    """A :class:`bench.context.SharedCache` in ``<store>/shared``."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "shared"

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
        """Return what was kept under an equal key, or ``None``; a damaged file counts as none."""
        from bench.distilled.io import load_tensors

        path = self._path(key)
        if not os.path.exists(path):
            return None
        try:
            tensors, header = load_tensors(path)
            return tensors, float(header["seconds"])
        except (BenchError, KeyError, TypeError, ValueError):
            with suppress(OSError):  # a read-only store, say: it is made anew without being kept
                path.replace(path.with_suffix(".damaged"))
            return None

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Keep tensors, atomically."""
        from bench.distilled.io import save_tensors

        save_tensors(dict(tensors), {"key": dict(key), "seconds": seconds}, self._path(key))

    def _path(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.safetensors"
