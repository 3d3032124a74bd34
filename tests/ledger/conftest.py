"""What several tests of the ledger use."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ledger.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    made = Store(tmp_path)
    made.prepare()
    return made
