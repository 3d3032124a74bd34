"""Fixtures for tests of grids: plugins that a test edits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from edited_plugins import Plugins

from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS


@pytest.fixture
def plugins(tmp_path: Path, data_dir: Path) -> Iterator[Plugins]:
    """Plugins of a folder, which can be edited; none stays registered."""
    yield Plugins(tmp_path, data_dir)
    for registry in (METHODS, ARCHITECTURES, DATASETS, GENERATORS):
        for name in ("mine", "after", "mine-net", "mine-data"):
            registry.unregister(name)
