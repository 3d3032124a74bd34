"""Contenders over a grid: differences to random images and to the best coreset, and ranks."""

from __future__ import annotations

import pytest
from grid_of_rows import measured

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import find_contenders
from bench.report.comparison.grid import GridLine, average_ranks, grid_lines

LEVELS = {  # accuracy at IPC 1 and at IPC 10
    "random": (10.0, 30.0), "herding": (15.0, 35.0), "k-center": (20.0, 20.0), "dm": (25.0, 33.0),
}  # fmt: skip


def grid(levels: dict[str, tuple[float, float]] = LEVELS) -> list[Evaluation]:
    """Return three seeds, which differ by -1, 0 and 1 from the level under every method."""
    return [
        one
        for method, values in levels.items()
        for ipc, level in zip((1, 10), values, strict=True)
        for one in measured(method, {s: [level + s - 1, level + s - 1] for s in range(3)}, ipc=ipc)
    ]


def by_label(evaluations: list[Evaluation]) -> dict[str, GridLine]:
    return {line.label: line for line in grid_lines(find_contenders(evaluations))}


def test_differences_to_baselines_by_hand() -> None:
    lines = by_label(grid())
    assert lines["Random"].to_random is None
    assert lines["Herding"].to_random.mean == 5
    assert lines["DM"].to_random.mean == 9  # 15 and 3
    assert lines["DM"].to_coreset.mean == 1.5  # K-Center is best at IPC 1, herding at IPC 10
    assert [lines[name].to_coreset for name in ("Random", "Herding", "K-Center")] == [None] * 3
    assert {line.cells for line in lines.values()} == {2}


def test_seeds_that_move_together_leave_no_doubt_of_the_difference() -> None:
    dm = by_label(grid())["DM"]
    assert (dm.to_random.low, dm.to_random.high) == (9, 9)
    assert dm.to_random.p == 0
    assert dm.to_random.seeds == 3


def test_average_ranks_by_hand() -> None:
    ranks = {label: line.rank for label, line in by_label(grid()).items()}
    assert {label: rank.mean for label, rank in ranks.items()} == {
        "Random": 3.5, "Herding": 2.0, "K-Center": 3.0, "DM": 1.5,
    }  # fmt: skip
    assert (ranks["Random"].low, ranks["Random"].high, ranks["Random"].cells) == (3, 4, 2)


def test_ties_share_a_rank() -> None:
    ranks = average_ranks({"a": [{0: 5.0}], "b": [{0: 5.0}], "c": [{0: 1.0}]})
    assert [(r.mean, r.low, r.cells) for r in ranks.values()] == [
        (1.5, None, 1), (1.5, None, 1), (3.0, None, 1),
    ]  # fmt: skip
    assert average_ranks({}) == average_ranks({"a": [{0: 1.0}]}) == {}


def test_a_rank_that_depends_on_the_seed_has_a_wide_interval() -> None:
    certain = {"a": [dict.fromkeys(range(4), 9.0)] * 3, "b": [dict.fromkeys(range(4), 1.0)] * 3}
    assert [(r.low, r.high) for r in average_ranks(certain).values()] == [(1, 1), (2, 2)]
    open_ = {
        "a": [{0: 9.0, 1: 1.0, 2: 9.0, 3: 1.0}] * 3, "b": [{0: 1.0, 1: 9.0, 2: 1.0, 3: 9.2}] * 3
    }  # fmt: skip
    assert all((r.low, r.high) == (1, 2) for r in average_ranks(open_).values())
    assert average_ranks(open_) == average_ranks(open_)


def test_a_method_with_few_cells_and_the_whole_set_have_no_rank() -> None:
    levels = {"random": (10.0, 30.0), "dm": (25.0, 33.0)}
    more = [
        one for method, value in (("random", 50.0), ("dm", 55.0))
        for one in measured(method, {s: [value] for s in range(3)}, ipc=50)
    ]  # fmt: skip
    odd = measured("dc", {s: [40.0] for s in range(3)}, ipc=1)
    whole = measured("whole", {s: [90.0] for s in range(3)}, ipc=None)
    lines = by_label([*grid(levels), *more, *odd, *whole])
    assert {label for label, line in lines.items() if line.rank} == {"Random", "DM"}
    assert lines["DM"].rank.cells == 3
    assert lines["DC"].to_random.mean == 30
    assert lines["Whole dataset"].cells == 3
    assert lines["Whole dataset"].to_random.mean == 60


def test_one_seed_has_a_mean_difference_without_an_interval() -> None:
    single = [one for one in grid() if one.seed == 0]
    dm = by_label(single)["DM"]
    assert (dm.to_random.mean, dm.to_random.low, dm.to_random.p) == (9, None, None)


def test_without_baselines_there_are_no_differences() -> None:
    lines = by_label(grid({"dm": (25.0, 33.0), "dc": (20.0, 30.0)}))
    assert all(line.to_random is None and line.to_coreset is None for line in lines.values())
    assert lines["DM"].rank.mean == 1


def test_protocols_have_lines_of_their_own() -> None:
    plain = [
        one for method in ("random", "dm")
        for one in measured(method, {0: [1.0], 1: [2.0]}, ipc=1, protocol="plain-v1")
    ]  # fmt: skip
    lines = grid_lines(find_contenders([*grid(), *plain]))
    assert sum(line.measured.protocol == "plain-v1" for line in lines) == 2


@pytest.mark.parametrize("level", [0.05])
def test_p_values_are_adjusted_by_column(level: float) -> None:
    noisy = [
        one for method, gain in (("random", 0.0), ("dm", 3.0), ("dc", 3.0))
        for one in measured(method, {s: [20 + gain * (1 + s % 3)] for s in range(3)}, ipc=1)
    ]  # fmt: skip
    alone = by_label([one for one in noisy if one.method != "dc"])["DM"].to_random.p
    assert by_label(noisy)["DM"].to_random.p == pytest.approx(2 * alone)
    assert alone > level


def test_one_common_seed_gives_ranks_without_an_interval() -> None:
    """The sets of one seed say nothing of how much sets vary."""
    ranks = average_ranks({"a": [{0: 5.0, 1: 6.0}, {0: 5.0}], "b": [{0: 4.0}, {0: 6.0}]})
    assert {(r.mean, r.low, r.high, r.cells, r.seeds) for r in ranks.values()} == {
        (1.5, None, None, 2, 1)
    }
