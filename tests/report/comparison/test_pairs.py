"""Pairs of contenders: cells that both have, means over them, Holm, and clear errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from grid_of_rows import measured

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import select_contenders
from bench.report.comparison.pairs import Pair, compare_pairs
from bench.support.errors import BenchError


def pairs(evaluations: list[Evaluation], *words: str) -> list[Pair]:
    return compare_pairs(select_contenders(evaluations, words))


def two_cells() -> list[Evaluation]:
    """Return DM above random images by 1, 2 and 3 at IPC 1 and by 5, 6 and 7 at IPC 10."""
    cells = []
    for ipc, gain in ((1, 1.0), (10, 5.0)):
        low = {s: [20.0 + s, 22.0 + s] for s in range(3)}
        high = {s: [v + gain + s for v in values] for s, values in low.items()}
        cells += measured("random", low, ipc=ipc) + measured("dm", high, ipc=ipc)
    return cells


def test_cells_and_their_mean_by_hand() -> None:
    first, second, both = pairs(two_cells(), "dm", "random")
    assert [(p.ipc, p.cells, p.difference.mean) for p in (first, second, both)] == [
        ("1", 1, 2.0), ("10", 1, 6.0), ("1, 10", 2, 4.0),
    ]  # fmt: skip
    assert (first.first, first.second, first.dataset) == ("DM", "Random", "cifar10")
    assert (first.first_mean, first.second_mean) == (24.0, 22.0)
    assert (both.first_mean, both.second_mean, both.difference.seeds) == (26.0, 22.0, 3)
    (reverse, *_) = pairs(two_cells(), "random", "dm")
    assert reverse.difference.mean == -2.0
    assert reverse.difference.low == -first.difference.high


def test_p_values_of_cells_and_of_means_are_adjusted_apart() -> None:
    every = pairs(two_cells(), "dm", "random")
    (alone,) = pairs([e for e in two_cells() if e.ipc == 10], "dm", "random")
    assert every[1].difference.p == pytest.approx(2 * alone.difference.p)
    (_, _, mean) = every
    assert mean.difference.p == pytest.approx(2 * 0.0101, abs=1e-3)  # alone: 0.0202


def test_only_common_seeds_and_networks_count() -> None:
    evaluations = [
        *measured("random", {0: [10.0, 20.0], 1: [20.0], 5: [99.0]}),
        *measured("dm", {0: [13.0], 1: [23.0, 99.0], 2: [99.0]}),
    ]
    (pair,) = pairs(evaluations, "dm", "random")
    assert (pair.difference.mean, pair.difference.seeds) == (3.0, 2)
    assert (pair.first_mean, pair.second_mean) == (18.0, 15.0)


def test_results_measured_differently_are_not_averaged() -> None:
    evaluations = [
        one for protocol in ("quick-v1", "plain-v1") for ipc in (1, 10)
        for method in ("random", "dm")
        for one in measured(method, {0: [1.0], 1: [2.0]}, ipc=ipc, protocol=protocol)
    ]  # fmt: skip
    over = [pair for pair in pairs(evaluations, "dm", "random") if pair.cells > 1]
    assert [(p.measured.protocol, p.cells) for p in over] == [("plain-v1", 2), ("quick-v1", 2)]


def test_two_datasets_of_one_name_are_told_apart_and_not_averaged() -> None:
    other = [replace(one, dataset_sha256="cd" * 32) for one in two_cells()]
    every = pairs([*two_cells(), *other], "dm", "random")
    names = {one.dataset_sha256[:8] for one in (*two_cells(), *other)}
    assert {p.dataset for p in every} == {f"cifar10 [{name}]" for name in names}
    assert sorted(p.cells for p in every) == [1, 1, 1, 1, 2, 2]
    assert {p.measured.data for p in every} == {p.dataset for p in every}


def test_three_groups_make_three_pairs_and_modes_of_one_are_not_compared() -> None:
    evaluations = [
        one for method, mode in
        (("random", "stored"), ("dm", "stored"), ("dim", "stream"), ("dim", "frozen"))
        for one in measured(method, {0: [1.0], 1: [2.0]}, mode=mode)
    ]  # fmt: skip
    assert [(p.first, p.second) for p in pairs(evaluations, "random", "dm", "dim")] == [
        ("Random", "DM"), ("Random", "DiM (stream)"), ("Random", "DiM (frozen)"),
        ("DM", "DiM (stream)"), ("DM", "DiM (frozen)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "plain-v1"}, "were measured differently: protocol plain-v1 and quick-v1"),
        ({"precision": "bf16"}, "precision bf16 and fp32. Results under different conditions"),
        ({"dataset_sha256": "f" * 64}, "dataset_sha256 ffff"),
        ({"ipc": 50}, "no cell in common: the one has cifar10 (IPC 50; convnet3); the other "
                      "cifar10 (IPC 10; convnet3)"),
        ({"dataset": "svhn"}, "no cell in common: the one has svhn (IPC 10"),
        ({"eval_arch": "mlp"}, "the one has cifar10 (IPC 10; mlp)"),
    ],
)  # fmt: skip
def test_why_there_is_nothing_to_compare(changes: dict[str, object], message: str) -> None:
    seeds = {0: [1.0, 2.0], 1: [2.0, 3.0]}
    with pytest.raises(BenchError) as caught:
        pairs([*measured("dm", seeds, **changes), *measured("random", seeds)], "dm", "random")
    assert message in str(caught.value)
    assert str(caught.value).startswith("DM and Random")


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ({0: [5.0, 6.0]}, "have one seed in common (seed 0)"),
        ({7: [5.0, 6.0], 8: [5.0]}, "in none of them a seed"),
    ],
)
def test_one_seed_and_none_are_refused(seeds: dict[int, list[float]], message: str) -> None:
    evaluations = [*measured("dm", seeds), *measured("random", {0: [1.0, 2.0], 1: [2.0]})]
    with pytest.raises(BenchError) as caught:
        pairs(evaluations, "dm", "random")
    assert message in str(caught.value)


def test_a_cell_of_one_seed_beside_others_has_no_interval() -> None:
    evaluations = [*two_cells(), *measured("dm", {0: [50.0]}, ipc=50),
                   *measured("random", {0: [40.0]}, ipc=50)]  # fmt: skip
    by_ipc = {pair.ipc: pair.difference for pair in pairs(evaluations, "dm", "random")}
    assert (by_ipc["50"].mean, by_ipc["50"].low, by_ipc["50"].p) == (10.0, None, None)
    assert by_ipc["1, 10"].mean == 4.0
