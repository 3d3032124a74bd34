"""The difference of two results, from pairs of networks that share a seed, with its interval.

A seed has the same networks under every method, so their accuracies are compared in pairs. What
is independent are the seeds: networks of one share its two distilled sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import bootstrap

from bench.ledger.rows import Evaluation
from bench.report.estimates import t_quantile
from bench.report.row import Row
from bench.report.significance import holm, two_sided_p

FEWEST_FOR_BOOTSTRAP = 5
# What a reader is told of intervals.
INTERVALS = (
    f"95 % intervals: from {FEWEST_FOR_BOOTSTRAP} seeds on, a bootstrap over seeds, each with its "
    "networks; of fewer, Student's t; of a single seed, none."
)
_RESAMPLES = 9999


@dataclass(frozen=True)
class Difference:
    """A mean difference in percentage points.

    Attributes:
        mean: over the seeds.
        low, high: the ends of its 95 % interval; ``None`` of a single seed.
        p: how probable a difference at least this large is if there is none, by a paired t test;
            ``None`` of a single seed.
        seeds: over how many seeds.
        interval: what ``low`` and ``high`` are: ``bootstrap``, ``t``, or empty of a single seed.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    interval: Literal["bootstrap", "t", ""]


def difference(seeds: Sequence[Means]) -> Difference:
    """Return the mean of the seeds' differences with its interval; the same at every call.

    From five seeds on, the interval is that of a hierarchical bootstrap: seeds are drawn with
    replacement, each with all of its networks. Networks are not drawn once more: the means of the
    seeds already vary by them, and their spread would count twice (A. C. Davison and D. V. Hinkley,
    "Bootstrap Methods and their Application", 1997, section 3.8). Differences are stretched by
    sqrt(n / (n - 1)), and Student's t takes the place of the normal quantile, as few seeds need
    (T. Hesterberg, "What Teachers Should Know About the Bootstrap", 2015). Fewer seeds cannot be
    resampled into an interval that holds the truth as often as it says; theirs is Student's t.

    Args:
        seeds: at least one.
    """
    per_seed = [means.first - means.second for means in seeds]
    count, mean = len(per_seed), fmean(per_seed)
    if count == 1:
        return Difference(mean, None, None, None, 1, "")
    error, t = stdev(per_seed) / sqrt(count), t_quantile(0.975, count - 1)
    p = two_sided_p(mean, error, count - 1)
    if count < FEWEST_FOR_BOOTSTRAP:
        return Difference(mean, mean - t * error, mean + t * error, p, count, "t")
    stretched = mean + (np.array(per_seed) - mean) * sqrt(count / (count - 1))
    ends = bootstrap(
        (stretched,), np.mean, axis=-1, vectorized=True, method="percentile",
        confidence_level=1 - 2 * float(ndtr(-t)), n_resamples=_RESAMPLES,
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Difference(mean, float(ends.low), float(ends.high), p, count, "bootstrap")


def by_networks(row: Row, evaluations: Mapping[str, Evaluation]) -> dict[int, dict[int, float]]:
    """Return a result's accuracies by seed and network, without those that diverged.

    Args:
        row: the result.
        evaluations: by the ids of their cells; those of the result at least.
    """
    members = (evaluations[cell_id] for cell_id in row.cell_ids)
    return {one.seed: one.by_network for one in members}


class Means(NamedTuple):
    """Mean accuracies of two results, in percent."""

    first: float
    second: float


def paired(
    first: Mapping[int, Mapping[int, float]], second: Mapping[int, Mapping[int, float]]
) -> dict[int, Means]:
    """Return the means of each seed that two results have, over the networks that both have.

    Args:
        first: accuracies by seed and network.
        second: those of the other result.
    """
    means = {}
    for seed in sorted(first.keys() & second.keys()):
        nets = first[seed].keys() & second[seed].keys()
        if nets:
            means[seed] = Means(*(fmean(one[seed][net] for net in nets) for one in (first, second)))
    return means


def over_cells(cells: Sequence[Mapping[int, Means]]) -> list[Means]:
    """Return the means of each seed that all cells have; empty without any.

    One seed of several cells counts once: they can share networks, or a whole distilled set.
    """
    seeds = set.intersection(*map(set, cells)) if cells else set()
    return [
        Means(fmean(cell[seed].first for cell in cells), fmean(cell[seed].second for cell in cells))
        for seed in sorted(seeds)
    ]


def adjust(differences: Sequence[Difference]) -> list[Difference]:
    """Return differences whose p values are adjusted for all of them being tested (Holm)."""
    adjusted = iter(holm([one.p for one in differences if one.p is not None]))
    return [one if one.p is None else replace(one, p=next(adjusted)) for one in differences]
