"""What plugin authors import: few names, each in one place, and a hint for those that moved."""

from __future__ import annotations

import importlib

import pytest

import bench.plugin

DOORS = ("compute", "datasets", "sets", "tracking")
MOVED = {
    name: f"bench.plugin.{door}"
    for door in DOORS
    for name in importlib.import_module(f"bench.plugin.{door}").__all__
}


def test_the_first_door_is_small() -> None:
    assert len(bench.plugin.__all__) <= 25
    assert not set(bench.plugin.__all__) & set(MOVED)


@pytest.mark.parametrize("name", sorted(MOVED))
def test_a_name_that_moved_is_found(name: str) -> None:
    assert hasattr(importlib.import_module(MOVED[name]), name)
    with pytest.raises(ImportError, match=f"'{name}' is in {MOVED[name]}: "):
        exec(f"from bench.plugin import {name}", {})


def test_an_unknown_name() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Metod'"):
        exec("from bench.plugin import Metod", {})
