"""Verdicts on published numbers: hand-computed p values, why there is none, and false ones."""

from __future__ import annotations

import importlib.util
import sys
from math import sqrt
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from bench.report.published.verdicts import (
    DIFFERENCES,
    NO_SPREAD,
    ONE_SEED,
    Candidate,
    p_value,
    verdicts,
    why_none,
)
from bench.report.significance import holm, two_sided_p

SCRIPT = Path(__file__).parents[2] / "results" / "verdicts" / "simulate.py"
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)
MEANS = (48.0, 50.0, 52.0)  # mean 50, standard deviation 2


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate_verdicts", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate_verdicts"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("difference", "degrees", "p"), [(12.7062, 1, 0.05), (2.7764, 4, 0.05), (3.1693, 10, 0.01)]
)
def test_p_values_are_those_of_the_tables(difference: float, degrees: int, p: float) -> None:
    assert two_sided_p(difference, 1, degrees) == pytest.approx(p, abs=1e-5)
    assert two_sided_p(-2 * difference, 2, degrees) == pytest.approx(p, abs=1e-5)


def test_without_any_error_a_difference_is_certain() -> None:
    assert two_sided_p(0.1, 0.0, 2) == 0
    assert two_sided_p(0.0, 0.0, 2) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_holm_lies_between_the_p_value_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1, len(p_values) * p)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


@pytest.mark.parametrize(
    ("std", "sets", "error", "degrees"),
    [
        (3.0, 5, sqrt(4 / 3 + 9 / 4), 2),
        (3.0, 2, sqrt(4 / 3 + 9), 1),
        (3.0, None, sqrt(4 / 3 + 9), 2),
        (3.0, 1, sqrt(4 / 3 + 9), 2),
        (0.5, None, sqrt(4 / 3 + 4), 2),  # a set of theirs varies no less than one of ours
    ],
)
def test_p_value_by_hand(std: float, sets: int | None, error: float, degrees: int) -> None:
    expected = 2 * student.sf(6 / error, degrees)
    assert p_value(Candidate(MEANS, 44.0, std, sets)) == pytest.approx(expected)
    assert p_value(Candidate(MEANS, 56.0, std, sets)) == pytest.approx(expected)


def test_without_a_spread_there_is_no_test() -> None:
    with pytest.raises(ValueError, match="±"):
        p_value(Candidate(MEANS, 44.0, None, None))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"seed_means": (50.0,)}, ONE_SEED),
        ({"std": None}, NO_SPREAD),
        ({"differs": ("protocol quick-v1",)}, DIFFERENCES),
        ({"seed_means": (50.0,), "std": None, "differs": ("bf16",)},
         f"{DIFFERENCES}; {ONE_SEED}; {NO_SPREAD}"),
    ],
)  # fmt: skip
def test_why_there_is_no_verdict(changes: dict[str, object], reason: str) -> None:
    values = {"seed_means": MEANS, "accuracy": 0.0, "std": 0.1, "sets": 5, **changes}
    one = Candidate(**values)
    assert why_none(one) == reason
    (verdict,) = verdicts([one])
    assert (verdict.outcome == "none") == bool(reason)
    assert verdict.reason == reason
    assert (verdict.p is None) == bool(reason)


def test_the_verdicts_of_a_table_are_adjusted_for_those_tested() -> None:
    far, near = Candidate(MEANS, 30.0, 0.5, 5), Candidate(MEANS, 49.0, 0.5, 5)
    untested = Candidate((50.0,), 0.0, 0.5, 5)
    assert p_value(far) < 0.05 / 3
    several = verdicts([near, untested, far, near])
    assert [v.outcome for v in several] == [
        "no difference shown", "none", "differs", "no difference shown",
    ]  # fmt: skip
    assert several[2].p == pytest.approx(3 * p_value(far))
    assert verdicts([far])[0].p == pytest.approx(p_value(far))
    assert verdicts([]) == []


def test_few_sound_results_are_said_to_differ(simulate: ModuleType) -> None:
    """At most 6 %, whatever is printed; with one seed and without a ±, none."""
    for setting in simulate.SETTINGS:
        for seeds in simulate.SEEDS:
            new, _ = simulate.said_to_differ(setting, seeds, 1500)
            assert new <= 6, (setting.name, seeds)
            if seeds == 1 or setting.name == "exact, no ±":
                assert new == 0


def test_few_tables_have_any_false_verdict(simulate: ModuleType) -> None:
    """Ten sound results of five seeds, each beside a number of one set, are one table."""
    rng = np.random.default_rng(0)
    tables, size = 800, 10
    ours = simulate.accuracies(rng, tables * size, 5, 5).mean(2).tolist()
    theirs = simulate.accuracies(rng, tables * size, 1, 5)[:, 0]
    every = [
        Candidate(means, float(number), float(std), None)
        for means, number, std in zip(ours, theirs.mean(1), theirs.std(1), strict=True)
    ]
    false = sum(
        any(v.outcome == "differs" for v in verdicts(every[i : i + size]))
        for i in range(0, len(every), size)
    )
    assert 0 < false <= 0.06 * tables


def test_the_rule_before_said_it_of_most(simulate: ModuleType) -> None:
    """It shows that the simulation finds false verdicts where there are some."""
    none, half = simulate.SETTINGS[:2]
    shares = [simulate.said_to_differ(none, seeds, 4000)[1] for seeds in (1, 2, 3)]
    assert shares == pytest.approx([73, 19, 10], abs=2)
    assert simulate.said_to_differ(half, 1, 4000)[1] == pytest.approx(37, abs=2)


def test_true_differences_are_seen_with_enough_seeds(simulate: ModuleType) -> None:
    stated = next(s for s in simulate.SETTINGS if s.name == "exact, ± 0.5 over 5 sets")
    few, many = (simulate.said_to_differ(stated, seeds, 500, shift=5)[0] for seeds in (2, 10))
    assert few < 30
    assert many > 95


@pytest.mark.slow
def test_the_committed_table_is_what_the_script_writes(simulate: ModuleType) -> None:
    assert simulate.report(20_000) == (SCRIPT.parent / "README.md").read_text(encoding="utf-8")
