"""The toy generators, registered for the tests of this folder, and where a set is saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_generator import Tied, ToyGenerator

from bench.registry.registry import GENERATORS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "set.safetensors"


@pytest.fixture(autouse=True)
def _toys() -> Iterator[None]:
    GENERATORS.register("test-toy", ToyGenerator, "test")
    GENERATORS.register("test-tied", Tied, "test")
    yield
    GENERATORS.unregister("test-toy")
    GENERATORS.unregister("test-tied")
