"""Contenders over a grid: against random images, against the best coreset, and by rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.registry.presentation import CORESET
from bench.report.comparison.contenders import Contender, Place
from bench.report.comparison.difference import (
    Difference,
    adjust,
    difference,
    over_cells,
    paired,
)
from bench.report.comparison.pairs import Measured, measured
from bench.report.threads import pool_threads

BASELINE = "random"
_RESAMPLES = 2000


@dataclass(frozen=True)
class Rank:
    """An average rank, 1 for the best.

    Attributes:
        mean: over the cells that all contenders have.
        low, high: the ends of its 95 % interval over cells and seeds; ``None`` of a single cell,
            and of a single seed, which says nothing of how much sets vary.
        cells: how many.
        seeds: how many all contenders have in all of these cells.
    """

    mean: float
    low: float | None
    high: float | None
    cells: int
    seeds: int


@dataclass(frozen=True)
class GridLine:
    """One contender over a grid.

    Attributes:
        label: of the contender.
        measured: how its results were measured.
        cells: how many it has.
        to_random: its mean difference to random images, over the cells that both have; ``None``
            without any.
        to_coreset: the same to the coreset that is best in each cell; ``None`` for a coreset.
        rank: its average rank; ``None`` where there is none.
        threads, distil_threads: what it was computed with, see
            :class:`bench.report.threads.Computed`.
    """

    label: str
    measured: Measured
    cells: int
    to_random: Difference | None
    to_coreset: Difference | None
    rank: Rank | None
    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]


def grid_lines(contenders: Sequence[Contender]) -> list[GridLine]:
    """Return a line per contender and way of measuring; p values are adjusted by column (Holm)."""
    kinds = dict.fromkeys(measured(place) for one in contenders for place in one.rows)
    lines = [line for kind in kinds for line in _lines(kind, contenders)]
    to_random = _adjusted([line.to_random for line in lines])
    to_coreset = _adjusted([line.to_coreset for line in lines])
    return [
        replace(line, to_random=random, to_coreset=coreset)
        for line, random, coreset in zip(lines, to_random, to_coreset, strict=True)
    ]


def _lines(kind: Measured, contenders: Sequence[Contender]) -> list[GridLine]:
    places = {
        one.label: [place for place in one.rows if measured(place) == kind] for one in contenders
    }
    present = [one for one in contenders if places[one.label]]
    random = _best([one for one in present if one.method == BASELINE])
    coreset = _best([one for one in present if one.family == CORESET])
    ranks = average_ranks(_ranked(present, places))
    return [
        GridLine(
            one.label, kind, len(places[one.label]),
            None if one.method == BASELINE else _against(one, random, places[one.label]),
            None if one.family == CORESET else _against(one, coreset, places[one.label]),
            ranks.get(one.label), *pool_threads(one.rows[place] for place in places[one.label]),
        )
        for one in present
    ]  # fmt: skip


def _best(contenders: Sequence[Contender]) -> dict[Place, Contender]:
    """Return the contender with the highest mean at each place."""
    best: dict[Place, Contender] = {}
    for one in contenders:
        for place, row in one.rows.items():
            if place not in best or row.mean > best[place].rows[place].mean:
                best[place] = one
    return best


def _against(
    one: Contender, others: Mapping[Place, Contender], places: Sequence[Place]
) -> Difference | None:
    cells = [
        paired(one.accuracies[place], others[place].accuracies[place])
        for place in places if place in others
    ]  # fmt: skip
    cells = [cell for cell in cells if cell]
    if not cells:
        return None
    common = over_cells(cells)
    if len(common) > 1:
        return difference(common)
    mean = fmean(difference(list(cell.values())).mean for cell in cells)
    return Difference(mean, None, None, None, len(common), "")


def _adjusted(differences: Sequence[Difference | None]) -> list[Difference | None]:
    adjusted = iter(adjust([one for one in differences if one is not None]))
    return [None if one is None else next(adjusted) for one in differences]


def _ranked(
    contenders: Sequence[Contender], places: Mapping[str, Sequence[Place]]
) -> dict[str, list[dict[int, float]]]:
    """Return the seeds' means of each contender that has a rank, in the cells that all have.

    A set that has a size of its own, such as the whole dataset, competes with none, nor does a
    contender that has less than half of the cells: it would leave few for the others.
    """
    every = {place for each in places.values() for place in each}
    competing = [
        one
        for one in contenders
        if 2 * sum(one.rows[p].ipc is not None for p in places[one.label]) >= len(every)
    ]
    if not competing:
        return {}
    shared = [p for p in places[competing[0].label] if all(p in one.rows for one in competing)]
    return {
        one.label: [
            {seed: fmean(nets.values()) for seed, nets in one.accuracies[p].items()}
            for p in shared
        ]
        for one in competing
    }  # fmt: skip


def average_ranks(means: Mapping[str, Sequence[Mapping[int, float]]]) -> dict[str, Rank]:
    """Return the average rank of each contender, with intervals from a bootstrap.

    Cells are drawn with replacement, and seeds, the same for all contenders and cells; ranks are
    those of the means over the drawn seeds. The same at every call.

    Args:
        means: of each contender, one mapping per cell from the seed to the mean accuracy; all have
            the same cells in the same order.
    """
    table = list(means.values())
    cells = len(table[0]) if table else 0
    if len(table) < 2 or not cells:
        return {}
    seeds = sorted(set.intersection(*(set(cell) for one in table for cell in one)))
    values = np.array([
        [[cell[s] for s in seeds] if seeds else [fmean(cell.values())] for cell in one]
        for one in table
    ])  # fmt: skip
    mean = _ranks(values).mean(1)
    if cells == 1 or len(seeds) < 2:
        alone = (None, None, cells, len(seeds))
        return {label: Rank(float(m), *alone) for label, m in zip(means, mean, strict=True)}
    rng = np.random.default_rng(0)
    drawn = np.array([
        _ranks(values[:, :, rng.integers(0, values.shape[2], values.shape[2])])[
            :, rng.integers(0, cells, cells)
        ].mean(1)
        for _ in range(_RESAMPLES)
    ])  # fmt: skip
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        label: Rank(float(m), float(a), float(b), cells, len(seeds))
        for label, m, a, b in zip(means, mean, low, high, strict=True)
    }


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks, ``(contenders, cells)``, of accuracies ``(contenders, cells, seeds)``."""
    return np.asarray(rankdata(-values.mean(2).round(9), axis=0))
