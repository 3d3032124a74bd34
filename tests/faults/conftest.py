"""Processes for the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.bench_processes import Benches


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[Benches]:
    """Start ``bench`` as other processes; none may be left in the end."""
    with Benches(tmp_path_factory.mktemp("streams"), data_dir) as made:
        yield made
        assert made.alive() == {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip by name what only Linux has: /proc and file descriptors of processes."""
    for item in items:
        if "benches" in getattr(item, "fixturenames", ()) and sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="needs Linux"))
