"""Verdicts: whether a result differs from a published number by more than chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev
from typing import Literal

from bench.report.significance import holm, two_sided_p

LEVEL = 0.05
DIFFERENCES = "we differ"
ONE_SEED = "one seed"
NO_SPREAD = "no ± in print"


@dataclass(frozen=True)
class Verdict:
    """What can be said of a result beside a published number.

    Attributes:
        outcome: ``differs``, ``no difference shown`` (which does not show that there is none),
            or ``none``: no verdict.
        p: the adjusted probability of a difference as large if there is none; ``None`` if there
            is no verdict.
        reason: why there is no verdict; empty if there is one.
    """

    outcome: Literal["differs", "no difference shown", "none"]
    p: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Candidate:
    """What a verdict depends on.

    Attributes:
        seed_means: the mean accuracy of each of our distilled sets, in percent.
        accuracy: the published one, in percent.
        std: the published ±, in percentage points; ``None`` if none is printed.
        sets: how many distilled sets the source says that its ± is over; ``None`` if it does not.
        differs: how ours was made or measured otherwise, as far as that is known.
    """

    seed_means: Sequence[float]
    accuracy: float
    std: float | None
    sets: int | None
    differs: Sequence[str] = ()


def verdicts(candidates: Sequence[Candidate]) -> list[Verdict]:
    """Return the verdicts on all comparisons of a table, with Holm's correction over them."""
    reasons = [why_none(one) for one in candidates]
    tested = [one for one, reason in zip(candidates, reasons, strict=True) if not reason]
    adjusted = iter(holm([p_value(one) for one in tested]))
    return [
        Verdict("none", reason=reason) if reason else _verdict(next(adjusted)) for reason in reasons
    ]


def why_none(one: Candidate) -> str:
    """Return why nothing can be said; empty if something can."""
    reasons = {
        DIFFERENCES: bool(one.differs),
        ONE_SEED: len(one.seed_means) < 2,
        NO_SPREAD: one.std is None,
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def p_value(one: Candidate) -> float:
    """Return how probable a difference at least this large is if there is none.

    Student's t test with the errors of both. Where the source says that its ± is the standard
    deviation over several distilled sets, they have unequal variances, and the degrees of freedom
    are those of the smaller number of sets: with two seeds, those of Welch and Satterthwaite call
    11 % of sound results different (results/verdicts). Networks that share a set make the pooled
    standard deviation smaller than that of the sets, by a factor of sqrt((sets - 1) / sets) at
    most; the published error is its upper bound. Otherwise the number may come from one distilled
    set, and differ from the mean of all by as much as one of ours does: its ± or the standard
    deviation of our sets' means counts as its error, whichever is larger.

    Args:
        one: a candidate with several seeds and a ±.
    """
    if one.std is None:
        raise ValueError("without a ± there is no test")
    ours, count = stdev(one.seed_means), len(one.seed_means)
    theirs, degrees = max(one.std, ours), count - 1
    if one.sets is not None and one.sets > 1:
        theirs, degrees = one.std / sqrt(one.sets - 1), min(count, one.sets) - 1
    error = hypot(ours / sqrt(count), theirs)
    return two_sided_p(fmean(one.seed_means) - one.accuracy, error, degrees)


def _verdict(p: float) -> Verdict:
    return Verdict("differs" if p < LEVEL else "no difference shown", p)
