"""Seeds are hashes of their parts; torch's global state is left as it was found."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.support.seeds import derive_seed, global_seed, make_generator

PART = st.none() | st.integers() | st.text("ab:1\\\x1f", max_size=6)
PARTS = st.lists(PART, max_size=4).map(tuple)


def test_seeds_never_change() -> None:
    """A change here changes every number that was ever published with this package."""
    assert derive_seed("distil", "dm", "cifar10", 10, "convnet3", 0) == 1765036779935661673
    assert derive_seed() == 8203414616412130826


@settings(deadline=None, max_examples=60)
@given(PARTS, PARTS)
@example(("a\x1fstr:b",), ("a", "b"))
@example(("a\\",), ("a\\\\",))
@example(("a\\", "b"), ("a\\\x1fstr:b",))
@example((1,), ("1",))
@example((None,), ("None",))
@example(("",), ())
@example(("ab", "c"), ("a", "bc"))
def test_equal_seeds_only_from_equal_parts(first: tuple, second: tuple) -> None:
    assert (derive_seed(*first) == derive_seed(*second)) == (first == second)


@settings(deadline=None, max_examples=60)
@given(PARTS)
def test_seeds_fit_a_generator(parts: tuple) -> None:
    seed = derive_seed(*parts)
    assert 0 <= seed < 2**63
    assert make_generator(seed).initial_seed() == seed


def test_order_matters() -> None:
    seeds = {derive_seed(*p) for p in itertools.permutations(("a", "b", 1, None))}
    assert len(seeds) == 24


def test_no_collisions_over_a_large_grid() -> None:
    grid = list(itertools.product(("dm", "dim"), ("a", "b", "c"), (None, 1, 10, 50), range(500)))
    assert len({derive_seed(*parts) for parts in grid}) == len(grid)


def test_a_generator_repeats_its_draws_and_leaves_global_state_alone() -> None:
    before = torch.get_rng_state()
    first = torch.randn(5, generator=make_generator(3))
    assert torch.equal(first, torch.randn(5, generator=make_generator(3)))
    assert not torch.equal(first, torch.randn(5, generator=make_generator(4)))
    assert torch.equal(torch.get_rng_state(), before)


def test_global_seed_seeds_inside_and_restores_outside() -> None:
    before = torch.get_rng_state()
    with global_seed(11):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    with global_seed(11):
        assert torch.equal(torch.rand(4), first)
    with global_seed(12):
        assert not torch.equal(torch.rand(4), first)


def test_global_seed_draws_as_manual_seed_does() -> None:
    with global_seed(0):
        torch.manual_seed(11)
        expected = torch.nn.Linear(3, 2).weight
    with global_seed(11):
        assert torch.equal(torch.nn.Linear(3, 2).weight, expected)


def test_global_seed_restores_after_an_exception() -> None:
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), global_seed(1):
        torch.rand(4)[0].div_(1 // 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_global_seed_nests() -> None:
    with global_seed(1):
        expected = torch.rand(2)
    with global_seed(1):
        first = torch.rand(1)
        with global_seed(2):
            torch.rand(5)
        assert torch.equal(torch.cat([first, torch.rand(1)]), expected)


@pytest.mark.gpu
def test_global_seed_on_a_gpu() -> None:
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    with global_seed(5, "cuda"):
        first = torch.rand(3, device="cuda"), torch.rand(3)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    with global_seed(5, "cuda"):
        assert torch.equal(torch.rand(3, device="cuda"), first[0])
        assert torch.equal(torch.rand(3), first[1])
    with global_seed(5):
        torch.rand(1)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
