"""DD-Ranking's scores of results: LRS and ARS, from cells that a grid has anyway.

Z. Li et al., "DD-Ranking: Rethinking the Evaluation of Dataset Distillation", 2025
(arXiv:2505.13300). The formulas are on fractions; the released code (NUS-HPC-AI-Lab/DD-Ranking
@b8b0966) feeds percentages to them, and chooses learning rate and epoch on the test set. Here both
are the protocol's, and results whose epoch was chosen on the test set have no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import e, exp
from statistics import fmean

from bench.registry.presentation import WHOLE
from bench.report.comparison.contenders import Contender, Place
from bench.report.comparison.difference import Difference, Means, difference, paired
from bench.report.comparison.grid import BASELINE
from bench.report.comparison.pairs import Measured, measured
from bench.report.row import Row
from bench.report.threads import pool_threads

WITH_AUGMENTATION, WITHOUT_AUGMENTATION = "default", "plain"


@dataclass(frozen=True)
class ScoreLine:
    """The scores of one result.

    Attributes:
        label: of the contender.
        measured: how the result was measured.
        dataset: its registered name.
        ipc: images per class.
        hlr: what hard labels on real data reach more than those on the distilled set, in
            percentage points; smaller is better. ``None`` without the accuracy of the whole set.
        ior: what the distilled set reaches more than random images, in percentage points.
        seeds: over how many seeds ``ior`` is.
        lrs: the label-robust score, in [0, 1]; its p is of no use and absent.
        ars: the augmentation-robust score, in [0, 1].
        no_lrs, no_ars: why there is none; empty if there is one.
        threads, distil_threads: what this and the results that it is compared with were computed
            with, see :class:`bench.report.threads.Computed`.
    """

    label: str
    measured: Measured
    dataset: str
    ipc: int | None
    hlr: float | None
    ior: float | None
    seeds: int
    lrs: Difference | None
    ars: Difference | None
    no_lrs: str
    no_ars: str
    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]


def label_robust_score(
    real_hard: float, synthetic_hard: float, synthetic: float, random: float, weight: float = 0.5
) -> float:
    """Return LRS, in [0, 1].

    Args:
        real_hard: accuracy on the real set with hard labels, in [0, 1] as all of them.
        synthetic_hard: on the distilled set with hard labels.
        synthetic: on the distilled set, evaluated in its own way.
        random: on random images, as many per class, evaluated in the same way.
        weight: of the improvement over random images, against the recovery of hard labels.
    """
    return _normalised(weight * (synthetic - random) - (1 - weight) * (real_hard - synthetic_hard))


def augmentation_robust_score(
    augmented: tuple[float, float], plain: tuple[float, float], weight: float = 0.5
) -> float:
    """Return ARS, in [0, 1].

    Args:
        augmented: accuracies on the distilled set and on random images, with augmentation.
        plain: the same without.
        weight: of the difference with augmentation.
    """
    return _normalised(
        weight * (augmented[0] - augmented[1]) + (1 - weight) * (plain[0] - plain[1])
    )


def _normalised(score: float) -> float:
    """Map a score in [-1, 1] to [0, 1]."""
    return (exp(score) - 1 / e) / (e - 1 / e)


def score_lines(contenders: Sequence[Contender], every: Sequence[Contender]) -> list[ScoreLine]:
    """Return the scores of each result, a line per place.

    Args:
        contenders: whose scores are asked for; random images and the whole set have none.
        every: of the store, among them random images and the whole set.
    """
    return [
        _line(one, place, every)
        for one in contenders if one.method != BASELINE and one.family != WHOLE
        for place in one.rows if place.conditions.selection == "last"
    ]  # fmt: skip


def _line(one: Contender, place: Place, every: Sequence[Contender]) -> ScoreLine:
    row, random = one.rows[place], _random(place, every)
    whole = next((each for each in every if each.family == WHOLE and place in each.rows), None)
    pairs = _pairs(one, place, random)
    no_lrs = _missing_for_lrs(row.labels, whole is not None, bool(pairs))
    real = None if whole is None else whole.rows[place].mean
    lrs = None if no_lrs or real is None else _over_seeds([
        label_robust_score(real / 100, each.first / 100, each.first / 100, each.second / 100)
        for each in pairs.values()
    ])  # fmt: skip
    ars, no_ars = _ars(one, place, pairs, every)
    return ScoreLine(
        one.label, measured(place), place.conditions.dataset, place.ipc,
        hlr=real - row.mean if real is not None and row.labels == "hard" else None,
        ior=fmean(each.first - each.second for each in pairs.values()) if pairs else None,
        seeds=len(pairs), lrs=lrs, ars=ars, no_lrs=no_lrs, no_ars=no_ars,
        **pool_threads(_used(one, place, every))._asdict(),
    )  # fmt: skip


def _used(one: Contender, place: Place, every: Sequence[Contender]) -> list[Row]:
    """Return the results that a line is made of: its own, of random images, of the whole set."""
    twin = None if _protocol(place) != WITH_AUGMENTATION else _plain_twin(one, place)
    places = [place] if twin is None else [place, twin]
    others = [each for each in every if each.method == BASELINE or each.family == WHOLE]
    return [each.rows[at] for each in (one, *others) for at in places if at in each.rows]


def _missing_for_lrs(labels: str, whole: bool, random: bool) -> str:
    if labels != "hard":
        return "an evaluation with hard labels, as its own are soft"
    needed = {"the whole dataset": whole, "random images of its seeds": random}
    missing = " and ".join(name for name, there in needed.items() if not there)
    return f"{missing} under the same conditions" if missing else ""


def _ars(
    one: Contender, place: Place, augmented: dict[int, Means], every: Sequence[Contender]
) -> tuple[Difference | None, str]:
    """Return the score and why there is none; it stands where the augmented result does."""
    if _protocol(place) != WITH_AUGMENTATION:
        return None, f"a result under {WITH_AUGMENTATION}, which this is not"
    twin = _plain_twin(one, place)
    if twin is None:
        return None, f"its result under {WITHOUT_AUGMENTATION}"
    plain = _pairs(one, twin, _random(twin, every))
    seeds = sorted(augmented.keys() & plain.keys())
    if not seeds:
        return None, f"random images of its seeds under both {_BOTH}"
    return _over_seeds([
        augmentation_robust_score(_fractions(augmented[s]), _fractions(plain[s])) for s in seeds
    ]), ""  # fmt: skip


_BOTH = f"{WITH_AUGMENTATION} and {WITHOUT_AUGMENTATION}"


def _fractions(means: Means) -> tuple[float, float]:
    return means.first / 100, means.second / 100


def _plain_twin(one: Contender, place: Place) -> Place | None:
    return next((other for other in one.rows if _is_plain_twin(other, place)), None)


def _is_plain_twin(other: Place, place: Place) -> bool:
    conditions = replace(other.conditions, protocol=place.conditions.protocol)
    return (
        _protocol(other) == WITHOUT_AUGMENTATION
        and other.ipc == place.ipc
        and conditions == place.conditions
    )


def _protocol(place: Place) -> str:
    return place.conditions.protocol.rsplit("-v", 1)[0]


def _random(place: Place, every: Sequence[Contender]) -> Contender | None:
    return next((one for one in every if one.method == BASELINE and place in one.rows), None)


def _pairs(one: Contender, place: Place, random: Contender | None) -> dict[int, Means]:
    return {} if random is None else paired(one.accuracies[place], random.accuracies[place])


def _over_seeds(scores: Sequence[float]) -> Difference:
    """Return the mean of the seeds' scores with its interval."""
    return replace(difference([Means(score, 0.0) for score in scores]), p=None)
