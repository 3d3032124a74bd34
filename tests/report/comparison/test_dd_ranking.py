"""DD-Ranking's scores: hand-computed values, which cells they need, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from math import e, exp

import pytest
from grid_of_rows import measured
from hypothesis import given
from hypothesis import strategies as st

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import find_contenders
from bench.report.comparison.dd_ranking import (
    ScoreLine,
    augmentation_robust_score,
    label_robust_score,
    score_lines,
)
from bench.report.comparison.report import render

FRACTIONS = st.floats(0, 1)
WITH, WITHOUT = "default-v1", "plain-v1"


def test_lrs_by_hand() -> None:
    # alpha = 0.5 * (0.5 - 0.3) - 0.5 * (0.85 - 0.5) = -0.075
    score = label_robust_score(real_hard=0.85, synthetic_hard=0.5, synthetic=0.5, random=0.3)
    assert score == pytest.approx((0.9277435 - 0.3678794) / (2.7182818 - 0.3678794), abs=1e-6)
    assert score == pytest.approx(0.238199, abs=1e-6)
    # DD-Ranking's leaderboard of DC, CIFAR-10 at IPC 1: HLR 52.66 and IOR 12.4 percent.
    assert label_robust_score(0.8, 0.2734, 0.2734, 0.1494) == pytest.approx(0.191366, abs=1e-6)


def test_ars_by_hand() -> None:
    # beta = 0.5 * (0.48 - 0.31) + 0.5 * (0.44 - 0.26) = 0.175
    score = augmentation_robust_score((0.48, 0.31), (0.44, 0.26))
    assert score == pytest.approx((1.1912462 - 0.3678794) / 2.3504024, abs=1e-6)
    # With all weight on augmentation, 0.17.
    assert augmentation_robust_score((0.48, 0.31), (0.44, 0.26), 1.0) == pytest.approx(
        (exp(0.17) - exp(-1)) / (e - exp(-1))
    )


def test_scores_reach_from_zero_to_one() -> None:
    assert label_robust_score(1, 0, 0, 1) == pytest.approx(0)
    assert label_robust_score(1, 1, 1, 0, weight=1) == pytest.approx(1)
    assert augmentation_robust_score((1, 0), (1, 0)) == pytest.approx(1)
    assert augmentation_robust_score((0, 1), (0, 1)) == pytest.approx(0)


@given(FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
def test_scores_are_in_zero_to_one(a: float, b: float, c: float, d: float, w: float) -> None:
    for score in (label_robust_score(a, b, c, d, w), augmentation_robust_score((a, b), (c, d), w)):
        assert -1e-12 <= score <= 1 + 1e-12


def store() -> list[Evaluation]:
    """Return DM above random images by 20 and 18 points, with and without augmentation."""
    return [
        *measured("random", {0: [30.0], 1: [32.0]}, protocol=WITH),
        *measured("dm", {0: [50.0], 1: [52.0]}, protocol=WITH),
        *measured("random", {0: [25.0], 1: [27.0]}, protocol=WITHOUT),
        *measured("dm", {0: [43.0], 1: [45.0]}, protocol=WITHOUT),
        *measured("whole", {0: [85.0]}, ipc=None, protocol=WITH),
    ]


def lines(evaluations: list[Evaluation]) -> dict[str, ScoreLine]:
    every = find_contenders(evaluations)
    return {line.measured.protocol: line for line in score_lines(every, every)}


def test_scores_of_a_result_by_hand() -> None:
    line = lines(store())[WITH]
    assert (line.label, line.dataset, line.ipc, line.seeds) == ("DM", "cifar10", 10, 2)
    assert (line.hlr, line.ior) == (34.0, 20.0)
    # alpha of the seeds: 0.5 * 0.2 - 0.5 * 0.35 and 0.5 * 0.2 - 0.5 * 0.33
    expected = [(exp(alpha) - exp(-1)) / (e - exp(-1)) for alpha in (-0.075, -0.065)]
    assert line.lrs.mean == pytest.approx(sum(expected) / 2)
    assert (line.lrs.seeds, line.lrs.p) == (2, None)
    assert line.lrs.low < line.lrs.mean < line.lrs.high
    assert line.ars.mean == pytest.approx((exp(0.19) - exp(-1)) / (e - exp(-1)))
    assert (line.no_lrs, line.no_ars) == ("", "")


def without(method: str, protocol: str) -> list[Evaluation]:
    return [one for one in store() if (one.method, one.protocol) != (method, protocol)]


@pytest.mark.parametrize(
    ("evaluations", "no_lrs", "no_ars"),
    [
        (without("whole", WITH), "the whole dataset under the same conditions", ""),
        (without("random", WITH), "random images of its seeds under the same conditions",
         "random images of its seeds under both default and plain"),
        (without("random", WITHOUT), "", "random images of its seeds under both"),
        (without("dm", WITHOUT), "", "its result under plain"),
        ([replace(one, labels="soft") if one.method == "dm" else one for one in store()],
         "an evaluation with hard labels", ""),
        ([replace(one, seed=9) if one.method == "dm" and one.seed and one.protocol == WITHOUT
          else one for one in store()], "", ""),
    ],
)  # fmt: skip
def test_why_there_is_no_score(evaluations: list[Evaluation], no_lrs: str, no_ars: str) -> None:
    line = lines(evaluations)[WITH]
    assert no_lrs in line.no_lrs
    assert no_ars in line.no_ars
    assert (line.lrs is None) == bool(no_lrs)
    assert (line.ars is None) == bool(no_ars)


def test_other_protocols_have_no_ars() -> None:
    line = lines(store())[WITHOUT]
    assert line.ars is None
    assert line.no_ars == "a result under default, which this is not"


def test_an_epoch_chosen_on_the_test_set_has_no_score() -> None:
    assert lines([replace(one, selection="test-oracle") for one in store()]) == {}


def test_a_column_without_any_score_is_left_out_with_its_reason() -> None:
    every = find_contenders(store())
    text = render("scores", score_lines(every, every), format="md")
    default, plain = (section for section in text.split("## ") if section)
    assert " LRS |" in default
    assert "0.240 (" in default
    assert " LRS |" not in plain
    assert "No LRS of any result here: what is missing is the whole dataset" in plain
    assert "No ARS of any result here: what is missing is a result under default" in plain


def test_many_results_are_counted_where_a_sentence_is_about_them() -> None:
    many = [
        one for ipc in range(1, 6) for method in ("random", "dm")
        for one in measured(method, {0: [1.0]}, ipc=ipc, protocol=WITH)
    ]  # fmt: skip
    some = [*many, *measured("dm", {0: [1.0]}, ipc=1, protocol=WITHOUT),
            *measured("random", {0: [1.0]}, ipc=1, protocol=WITHOUT)]  # fmt: skip
    every = find_contenders(some)
    text = render("scores", score_lines(every, every), format="md")
    assert "No ARS of 4 of 5 results: what is missing is its result under plain." in text
