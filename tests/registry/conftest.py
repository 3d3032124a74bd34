"""The fixture that removes what a test of the registry registered."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    modules = set(sys.modules)
    yield
    for registry in (METHODS, ARCHITECTURES, DATASETS):
        for name in registry.names():
            if name.startswith("test-"):
                registry.unregister(name)
    for name in set(sys.modules) - modules:
        if name.startswith("bench_plugin_"):
            del sys.modules[name]
