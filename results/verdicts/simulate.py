"""Simulate results that do not differ from a published number, and count false verdicts on them.

    python results/verdicts/simulate.py > results/verdicts/README.md

Ours have as many seeds as a column says and five networks a seed. The published number has the
same true mean; the rows say how it was measured and what is printed of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.report.published.verdicts import LEVEL, Candidate, p_value, why_none

SEEDS = (1, 2, 3, 5, 10)
NETS = 5
BETWEEN_SETS, BETWEEN_NETS = 1.8, 0.5
TRUE = 30.0
SHIFT = 5.0
Numbers = NDArray[np.float64]
# Accuracies and printed ±, one of each per trial; no ± at all is None.
Draw = Callable[[np.random.Generator, int], tuple[Numbers, Numbers | None]]


@dataclass(frozen=True)
class Setting:
    """How a published number comes about.

    Attributes:
        name: for the table.
        draw: returns accuracies and the ± that are printed with them, one per trial.
        sets: the number of distilled sets that the source states.
    """

    name: str
    draw: Draw
    sets: int | None = None


def accuracies(rng: np.random.Generator, trials: int, sets: int, nets: int) -> Numbers:
    """Return accuracies with both spreads, ``(trials, sets, nets)``."""
    true = rng.normal(TRUE, BETWEEN_SETS, (trials, sets, 1))
    return np.asarray(true + rng.normal(0, BETWEEN_NETS, (trials, sets, nets)))


def _exact(std: float | None) -> Draw:
    return lambda _, trials: (
        np.full(trials, TRUE), None if std is None else np.full(trials, std)
    )  # fmt: skip


def _off_by(std: float) -> Draw:
    return lambda rng, trials: (rng.normal(TRUE, std, trials), np.full(trials, std))


def _measured(sets: int, nets: int) -> Draw:
    def draw(rng: np.random.Generator, trials: int) -> tuple[Numbers, Numbers]:
        theirs = accuracies(rng, trials, sets, nets).reshape(trials, -1)
        return theirs.mean(1), theirs.std(1, ddof=1)

    return draw


SETTINGS = (
    Setting("exact, no ±", _exact(None)),
    Setting("exact, ± 0.5", _exact(0.5)),
    Setting("exact, ± 2.0", _exact(2.0)),
    Setting("exact, ± 0.5 over 5 sets", _exact(0.5), 5),
    Setting("exact, ± 2.0 over 5 sets", _exact(2.0), 5),
    Setting("off by its ± 0.5", _off_by(0.5)),
    Setting("off by its ± 2.0", _off_by(2.0)),
    Setting("1 set × 5 nets", _measured(1, 5)),
    Setting("5 sets × 20 nets", _measured(5, 20)),
    Setting("5 sets × 20 nets, stated", _measured(5, 20), 5),
)


def said_to_differ(
    setting: Setting, seeds: int, trials: int, shift: float = 0.0
) -> tuple[float, float]:
    """Return what percentage bench says to differ, and what its rule before did.

    Args:
        setting: of the published number.
        seeds: ours.
        trials: simulated results.
        shift: by how many points ours truly differ.
    """
    rng = np.random.default_rng([seeds, SETTINGS.index(setting)])
    ours = accuracies(rng, trials, seeds, NETS) + shift
    numbers, printed = setting.draw(rng, trials)
    stds = [None] * trials if printed is None else printed.tolist()
    new = sum(
        _differs(Candidate(means, number, std, setting.sets))
        for means, number, std in zip(ours.mean(2).tolist(), numbers.tolist(), stds, strict=True)
    )
    error = ours.std((1, 2), ddof=1) / np.sqrt(seeds * NETS)
    if seeds > 1:
        error = np.maximum(error, ours.mean(2).std(1, ddof=1) / np.sqrt(seeds))
    apart = np.abs(ours.mean((1, 2)) - numbers)
    old = apart > 3 * np.hypot(error, 0 if printed is None else printed)
    return 100 * new / trials, 100 * float(old.mean())


def _differs(one: Candidate) -> bool:
    """Return what bench says of the only comparison of a table."""
    return not why_none(one) and p_value(one) < LEVEL


def report(trials: int) -> str:
    """Return the shares of both rules as Markdown tables."""
    false = {(s.name, n): said_to_differ(s, n, trials) for s in SETTINGS for n in SEEDS}
    true = {(s.name, n): said_to_differ(s, n, trials, SHIFT) for s in SETTINGS for n in SEEDS}
    tables = {
        "Verdicts of `bench table --published`": {key: new for key, (new, _) in false.items()},
        "Three standard errors": {key: old for key, (_, old) in false.items()},
        f"Verdicts where ours truly differs by {SHIFT:.0f} points": {
            key: new for key, (new, _) in true.items()
        },
    }
    head = "| published number | " + " | ".join(f"{n} seed{'s' * (n > 1)}" for n in SEEDS) + " |"
    parts = [_LEAD.format(trials=trials)]
    for title, shares in tables.items():
        rows = [
            f"| {s.name} | " + " | ".join(f"{shares[s.name, n]:.1f}" for n in SEEDS) + " |"
            for s in SETTINGS
        ]
        parts.append("\n".join([f"## {title}", "", head, "|---|" + "---:|" * len(SEEDS), *rows]))
    return "\n\n".join(parts) + "\n"


_LEAD = """# False verdicts

Written by `python results/verdicts/simulate.py > results/verdicts/README.md`. Of {trials:,}
simulated results, the percentage that is said to differ from a published number, although both have
the same true mean. Ours have five networks a seed, with a standard deviation of 1.8 points between
distilled sets and 0.5 between networks of one set (near those of this project's own random images
at IPC 10).

The published number is the true mean (exact); or it is off by a normal error of the size of its ±;
or it is the mean of so many sets and networks with the same spreads as ours, and its ± the standard
deviation over all networks. "Over 5 sets" and "stated" mean that the source says over how many
distilled sets its ± is; otherwise it does not.

The second table is the rule that bench had before: a difference of more than three standard errors,
of the networks or of the seeds, whichever is larger, with a missing ± as zero. The third shows what
the caution costs: how many true differences are seen."""


if __name__ == "__main__":
    print(report(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000), end="")
