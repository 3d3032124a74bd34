"""The examples in the docstrings of the Python API, run as a user would run them."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType

import pytest

import bench.api
import bench.distillation.distil
import bench.evaluation.evaluate
import bench.exchange.opened

MODULES = [
    bench.api,
    bench.distillation.distil,
    bench.evaluation.evaluate,
    bench.exchange.opened,
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module: ModuleType, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(data_dir))
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
