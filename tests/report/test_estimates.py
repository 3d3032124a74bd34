"""The estimate of a result: hand-computed values, unequal numbers of networks, and properties."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.estimates import SPREADS, estimate, t_quantile

VALUES = st.floats(0, 100).map(lambda value: round(value, 2))
NETS = st.lists(VALUES, min_size=1, max_size=6)
SETS = st.lists(NETS, min_size=1, max_size=6)
SQUARE = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(
        st.lists(VALUES, min_size=shape[1], max_size=shape[1]),
        min_size=shape[0], max_size=shape[0],
    )
)  # fmt: skip


def test_three_sets_of_two_networks_by_hand() -> None:
    result = estimate([[10, 12], [14, 16], [21, 23]])  # means 11, 15, 22
    assert result.mean == 16
    # Squares around 16: 36 + 16 + 4 + 0 + 25 + 49 = 130, of 6 networks.
    assert result.sd == pytest.approx(sqrt(130 / 5))
    # Squares of the means: 25 + 1 + 36 = 62, of 3 sets.
    assert result.se == pytest.approx(sqrt(62 / 2 / 3))
    assert result.ci95 == pytest.approx(4.302653 * sqrt(62 / 2 / 3), rel=1e-6)
    assert result.error_over == "sets"


@pytest.mark.parametrize(("first", "second"), [(20, 10), (20, 5), (20, 1), (1, 1)])
def test_two_sets_weigh_the_same_however_many_networks_they_have(first: int, second: int) -> None:
    """Pooled, 20 + 10 networks have the mean 53.33 and 20 + 5 the standard error 0.82."""
    result = estimate([[50.0] * first, [60.0] * second])
    assert result.mean == 55
    assert result.se == pytest.approx(5)
    assert result.ci95 == pytest.approx(5 * 12.7062, rel=1e-5)


def test_the_standard_deviation_of_unequal_sets_by_hand() -> None:
    result = estimate([[50.0, 50.0], [60.0]])
    # Squares 25 with weights 1/4, 1/4 and 1/2; squared weights sum to 3/8.
    assert result.sd == pytest.approx(sqrt(25 / (1 - 3 / 8)))


def test_one_set_has_the_error_of_its_networks() -> None:
    result = estimate([[50.0, 52.0, 54.0, 52.0]])
    assert result.error_over == "networks"
    assert result.se == pytest.approx(stdev([50, 52, 54, 52]) / 2)
    assert result.ci95 == pytest.approx(3.182446 * result.se, rel=1e-6)


def test_one_network_has_no_spread() -> None:
    result = estimate([[50.0]])
    assert (result.mean, result.sd, result.se, result.ci95) == (50, None, None, None)
    assert result.error_over == ""


@pytest.mark.parametrize(
    ("degrees", "expected"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (99, 1.9842)]
)
def test_t_quantiles_are_those_of_the_tables(degrees: int, expected: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(expected, abs=5e-5)


@given(SQUARE)
def test_sets_of_one_size_have_the_pooled_mean_and_deviation(sets: list[list[float]]) -> None:
    pooled = [value for values in sets for value in values]
    result = estimate(sets)
    assert result.mean == pytest.approx(fmean(pooled), abs=1e-9)
    if len(pooled) > 1:
        assert result.sd == pytest.approx(stdev(pooled), abs=1e-6)


@given(SETS, st.integers(0, 5), st.integers(2, 4))
def test_more_of_the_same_networks_change_neither_mean_nor_error(
    sets: list[list[float]], which: int, times: int
) -> None:
    which %= len(sets)
    before = estimate(sets)
    after = estimate([v * times if i == which else v for i, v in enumerate(sets)])
    assert after.mean == pytest.approx(before.mean, abs=1e-9)
    if len(sets) > 1:
        assert after.se == pytest.approx(before.se, abs=1e-9)


@given(SETS, st.randoms(use_true_random=False))
def test_the_order_of_sets_and_networks_does_not_matter(
    sets: list[list[float]], random: object
) -> None:
    shuffled = [random.sample(values, len(values)) for values in sets]
    random.shuffle(shuffled)
    a, b = estimate(sets), estimate(shuffled)
    if len(sets) > 1 or len(sets[0]) > 1:
        assert (b.mean, b.sd, b.se) == pytest.approx((a.mean, a.sd, a.se), abs=1e-9)


@given(SETS, st.floats(-50, 50), st.floats(0.1, 10))
def test_shift_and_scale(sets: list[list[float]], shift: float, scale: float) -> None:
    before = estimate(sets)
    after = estimate([[scale * value + shift for value in values] for values in sets])
    assert after.mean == pytest.approx(scale * before.mean + shift, abs=1e-6)
    for name in ("sd", "se", "ci95"):
        old, new = getattr(before, name), getattr(after, name)
        assert (old is None) == (new is None)
        if old is not None:
            assert new == pytest.approx(scale * old, abs=1e-4)


def test_the_kinds_of_spread_are_fields() -> None:
    assert set(SPREADS) < set(vars(estimate([[1.0, 2.0]])))
