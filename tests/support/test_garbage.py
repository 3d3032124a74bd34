"""Garbage collection, left out for a while."""

from __future__ import annotations

import gc

import pytest

from bench.support.garbage import without_garbage_collection


@pytest.mark.parametrize("is_on", [True, False])
def test_collection_is_as_it_was_after_the_block(is_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        with without_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == is_on
    finally:
        (gc.enable if before else gc.disable)()
