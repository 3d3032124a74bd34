"""Tests of a difference: Student's t, and Holm's correction where many are made at once."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import stdtr


def two_sided_p(difference: float, error: float, degrees: float) -> float:
    """Return how probable a difference at least this large is if there is none.

    Args:
        difference: of any sign.
        error: its standard error, 0 or more. Without any error, a difference is certain.
        degrees: of freedom of ``error``, above 0.
    """
    if difference == 0:
        return 1.0
    return float(2 * stdtr(degrees, -abs(difference) / error)) if error else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted for all being tested at once, in their order.

    To reject those below a level keeps the probability of any false rejection below the level
    (S. Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
