from __future__ import annotations

import threading

import pytest
import torch
from helpers import tiny_context

from methods.compute import autocast, parallel, slice_size


@pytest.fixture
def two_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_parallel_keeps_order_and_gives_every_item_one_thread() -> None:
    barrier = threading.Barrier(2, timeout=10)  # passes only if two items run at once

    def work(item: int) -> tuple[int, int]:
        barrier.wait()
        return item, torch.get_num_threads()

    assert parallel(work, range(6), tiny_context()) == [(i, 1) for i in range(6)]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_parallel_passes_errors_on_and_restores_the_threads() -> None:
    def fail(item: int) -> None:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        parallel(fail, range(3), tiny_context())
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_single_item_stays_in_its_thread() -> None:
    here = threading.get_ident()
    assert parallel(lambda _: threading.get_ident(), [0], tiny_context()) == [here]


def test_only_per_sample_architectures_are_cut() -> None:
    assert slice_size("convnet1", tiny_context()) == 16
    assert slice_size("convnet1(norm=batch)", tiny_context()) is None


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_follows_the_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(tiny_context(precision=precision)):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
