"""Learning curves over the same seeds: which evaluations all points of a curve have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace

from bench.ledger.rows import Evaluation, Setting
from bench.report.aggregate import one_per_seed
from bench.report.number_formats import ipc_name, listing


def curve_of(point: Setting) -> Setting:
    """Return what the points of a learning curve have in common: all but the share of the steps."""
    values = {each.name: getattr(point, each.name) for each in fields(Setting)}
    # Notes are no part of the data.
    common = {"changed": point.changed_besides_steps, "percent": None, "dataset_note": ""}
    return Setting(**{**values, **common})


def share_seeds(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[str]]:
    """Return evaluations of which each learning curve has the same seeds and networks throughout.

    Points over different seeds would fall or rise between them where no distillation does. A curve
    without a seed at all of its points keeps those of the seed that has the most.

    Returns:
        The evaluations, and what is left of each curve that lost some, in words.
    """
    curves: dict[Setting, list[Evaluation]] = {}
    for one in evaluations:
        curves.setdefault(curve_of(one), []).append(one)
    kept, losses = list[Evaluation](), list[str]()
    for members in curves.values():
        shared = _shared(members)
        kept += shared
        if _networks(shared) != _networks(members):
            losses.append(_loss(members, shared))
    return kept, losses


def _shared(members: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations of a curve, with the seeds and networks that all points have."""
    by_percent: dict[int | None, list[Evaluation]] = {}
    for one in members:
        by_percent.setdefault(one.percent, []).append(one)
    if len(by_percent) == 1:
        return list(members)
    points = [{one.seed: one for one in one_per_seed(each)} for each in by_percent.values()]
    if not set.intersection(*map(set, points)):
        counts = Counter(seed for point in points for seed in point)
        longest = min(counts, key=lambda seed: (-counts[seed], seed))
        points = [point for point in points if longest in point]
    shared = []
    for seed in sorted(set.intersection(*map(set, points))):
        shared += _same_networks([point[seed] for point in points])
    return shared


def _same_networks(points: Sequence[Evaluation]) -> list[Evaluation]:
    """Return evaluations of one seed with the networks that all have; none if there is no such."""
    trained = min(one.nets for one in points)
    nets = set.intersection(*(set(one.by_network) for one in points))
    return [_only(one, nets, trained) for one in points] if nets else []


def _only(one: Evaluation, nets: set[int], trained: int) -> Evaluation:
    accuracies = tuple(value for net, value in one.by_network.items() if net in nets)
    diverged = tuple(net for net in one.diverged if net < trained)
    return replace(
        one, accuracies=accuracies, diverged=diverged, nets=len(accuracies) + len(diverged)
    )


def _networks(evaluations: Sequence[Evaluation]) -> Counter[tuple[int | None, int]]:
    """Return how many networks each point has of each seed."""
    most: Counter[tuple[int | None, int]] = Counter()
    for one in evaluations:
        at = (one.percent, one.seed)
        most[at] = max(most[at], len(one.accuracies))
    return most


def _loss(members: Sequence[Evaluation], shared: Sequence[Evaluation]) -> str:
    """Return ``dm on mnist, IPC 10: seed 0 (of 0, 1, 2), 6 of 10 accuracies``."""
    every, left = (sorted({one.seed for one in each}) for each in (members, shared))
    before, after = (_networks(each).total() for each in (members, shared))
    first = members[0]
    return (
        f"{first.method} on {first.dataset}, IPC {ipc_name(first.ipc)}: "
        f"seed {listing(left) or 'none'} (of {listing(every)}), "
        f"{after} of {before} accuracies"
    )
