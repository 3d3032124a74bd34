"""Plugins that were registered by hand: no other process can load them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.grid.own_plugins import own_plugins
from bench.ledger.cell import DistilCell, EvaluateCell
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS, Registry

FIRST = DistilCell(
    method="gan", method_version=1, params={}, dataset="digits", sha256="ab" * 32, ipc=None,
    arch=None, seed=0, precision="fp32", profile="paper",
)  # fmt: skip
DISTIL = replace(FIRST, method="dm", ipc=10, arch="convnet3", prerequisite=FIRST)
EVALUATE = EvaluateCell(
    distil=DISTIL, ipc=10, mode="stored", arch="convnet3", protocol="default", protocol_version=1,
    nets=5, precision="fp32",
)  # fmt: skip
OTHERS = [
    (METHODS, "gan", replace(FIRST, method="mine")),
    (DATASETS, "digits", replace(FIRST, dataset="mine")),
    (ARCHITECTURES, "mlp", replace(DISTIL, arch="Mine(width=4)")),
    (ARCHITECTURES, "mlp", replace(EVALUATE, arch="mine")),
    (ARCHITECTURES, "mlp", replace(EVALUATE, sources={"architecture 'mine' that evaluates": "a"})),
    (GENERATORS, "conditional-gan", replace(DISTIL, sources={"generator 'mine'": "ab"})),
    (METHODS, "gan", replace(DISTIL, prerequisite=replace(FIRST, method="mine"))),
    (METHODS, "gan", replace(EVALUATE, distil=replace(DISTIL, method="mine"))),
]


@pytest.fixture(params=OTHERS, ids=lambda each: f"{each[0].kind} of {each[2].kind}")
def by_hand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Registry, object]]:
    """Register a plugin as ``mine``, from a file of this test."""
    registry, like, cell = request.param
    registry.register("mine", registry.get(like), str(tmp_path / "mine.py"))
    yield registry, cell
    registry.unregister("mine")


def test_a_cell_names_what_it_depends_on(by_hand: tuple[Registry, object], tmp_path: Path) -> None:
    registry, cell = by_hand
    assert own_plugins([cell], []) == [f"{registry.kind} 'mine'"]
    assert own_plugins([cell], [str(tmp_path / "mine.py")]) == []


def test_what_no_cell_depends_on_does_not_count(by_hand: tuple[Registry, object]) -> None:
    assert own_plugins([EVALUATE, DISTIL, FIRST], []) == []
