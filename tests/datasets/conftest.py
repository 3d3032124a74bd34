"""Fixtures of the dataset tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_datasets import Npz, make_arrays


@pytest.fixture
def npz(tmp_path: Path) -> Npz:
    """Write tiny.npz, with some arrays replaced, or left out if given as ``None``."""

    def write(**changes: Any) -> Path:
        values = {**vars(make_arrays()), **changes}
        path = tmp_path / "tiny.npz"
        np.savez(path, **{key: value for key, value in values.items() if value is not None})
        return path

    return write
