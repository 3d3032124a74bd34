from __future__ import annotations

import threading

import pytest
import torch
from builders import tiny_context
from hypothesis import given
from hypothesis import strategies as st

from bench.distillation.passes import autocast, even_slices, parallel, parallel_sum, slice_size


@pytest.fixture
def two_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_parallel_keeps_order_and_gives_every_item_one_thread() -> None:
    barrier = threading.Barrier(2, timeout=120)  # passes only if two items run at once

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


@given(count=st.integers(1, 300), size=st.integers(1, 64))
def test_even_slices_cover_a_batch_in_order(count: int, size: int) -> None:
    slices = even_slices(count, size)
    assert [i for part in slices for i in range(count)[part]] == list(range(count))
    lengths = [part.stop - part.start for part in slices]
    assert 1 <= min(lengths) <= max(lengths) <= min(lengths) + 1
    assert max(lengths) <= size
    assert even_slices(count, None) == [slice(0, count)]


@pytest.mark.usefixtures("two_threads")
def test_parallel_sum_is_the_same_on_any_number_of_cores() -> None:
    parts = [[torch.randn(50) * 10**k, torch.ones(())] for k in range(-6, 6)]
    kept = parts[0][0].clone()
    two = parallel_sum(lambda part: part, parts, tiny_context())
    torch.set_num_threads(1)
    one = parallel_sum(lambda part: part, parts, tiny_context())
    assert torch.equal(two[0], one[0])
    assert two[1] == 12
    assert torch.equal(parts[0][0], kept), "terms are left as they were"


def test_only_per_sample_architectures_are_cut() -> None:
    assert slice_size("convnet1", tiny_context()) == 64
    assert slice_size("convnet1(norm=batch)", tiny_context()) is None


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_follows_the_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(tiny_context(precision=precision)):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
