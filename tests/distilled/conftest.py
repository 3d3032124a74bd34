"""The toy generators, registered for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toy_generator import Tied, ToyGenerator

from bench.registry import GENERATORS


@pytest.fixture(autouse=True)
def _toys() -> Iterator[None]:
    GENERATORS.register("test-toy", ToyGenerator, "test")
    GENERATORS.register("test-tied", Tied, "test")
    yield
    GENERATORS.unregister("test-toy")
    GENERATORS.unregister("test-tied")
