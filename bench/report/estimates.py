"""The estimate of a result: its mean and how far that is certain, with distilled sets as units.

Networks that train on one distilled set share what is good or bad about it, so they are no
independent measurements of a method. The unit is the distilled set (one per seed): every set
weighs the same, however many networks trained on it, and the standard error comes from the means
of the sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import fsum, sqrt
from statistics import fmean, stdev
from typing import Literal, get_args

from scipy.special import stdtrit

Spread = Literal["sd", "se", "ci95"]
SPREADS: tuple[Spread, ...] = get_args(Spread)


@dataclass(frozen=True)
class Estimate:
    """A mean over distilled sets, with three measures of its spread, in the unit of the values.

    Attributes:
        mean: of the sets' means.
        sd: the sample standard deviation over all networks, every set with the same weight;
            ``None`` of a single network.
        se: the standard error of ``mean``, from the sets' means; of a single set, from its
            networks, which say nothing of how much sets vary; ``None`` of a single network.
        ci95: half the width of the 95 % interval of ``mean``: ``se`` times a t quantile.
        error_over: what ``se`` and ``ci95`` are taken over: ``sets``, ``networks``, or empty if
            there is a single network.
    """

    mean: float
    sd: float | None
    se: float | None
    ci95: float | None
    error_over: Literal["sets", "networks", ""]


def estimate(sets: Sequence[Sequence[float]]) -> Estimate:
    """Return the estimate from the values of each distilled set's networks.

    Args:
        sets: at least one distilled set, each with at least one value.
    """
    means = [fmean(values) for values in sets]
    units: Sequence[float] = means if len(means) > 1 else sets[0]
    mean = fmean(means)
    if len(units) == 1:
        return Estimate(mean, None, None, None, "")
    se = stdev(units) / sqrt(len(units))
    return Estimate(
        mean=mean,
        sd=_standard_deviation(sets, mean),
        se=se,
        ci95=t_quantile(0.975, len(units) - 1) * se,
        error_over="sets" if len(means) > 1 else "networks",
    )


@cache
def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution, for ``degrees`` of freedom above 0."""
    return float(stdtrit(degrees, probability))


def _standard_deviation(sets: Sequence[Sequence[float]], mean: float) -> float:
    """Return the standard deviation of a network of any set, with sets of the same weight.

    It is unbiased for reliability weights: 1 - sum of squared weights takes the place of (n - 1) /
    n. Of sets of the same size it is the sample standard deviation over all networks pooled.
    """
    squares = fsum(fmean([(value - mean) ** 2 for value in values]) for values in sets) / len(sets)
    lost = fsum(1 / len(values) for values in sets) / len(sets) ** 2
    return sqrt(squares / (1 - lost))
