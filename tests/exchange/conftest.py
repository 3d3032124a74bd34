"""The digits for tests of foreign sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_files import Sample, digits_sample


@pytest.fixture(scope="session", autouse=True)
def _digits(data_dir: Path) -> Iterator[None]:
    """Let every test of this folder open the digits by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(data_dir))
        yield


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Real digits, three of each class."""
    return digits_sample(3)
