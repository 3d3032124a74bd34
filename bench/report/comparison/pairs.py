"""Contenders in pairs: their difference in each cell that both have, and over all of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations, product
from statistics import fmean
from typing import NamedTuple

from bench.ledger.rows import Conditions
from bench.report.comparison.contenders import Contender, Place
from bench.report.comparison.difference import (
    Difference,
    Means,
    adjust,
    difference,
    over_cells,
    paired,
)
from bench.report.number_formats import ipc_name, listing
from bench.report.threads import pool_threads
from bench.support.errors import BenchError


class Measured(NamedTuple):
    """How accuracies were measured, whatever the dataset; only alike ones are averaged.

    ``data`` is empty but where two datasets of a store have one name: what was measured on the one
    is averaged with nothing else.
    """

    eval_arch: str
    protocol: str
    selection: str
    precision: str
    data: str = ""


@dataclass(frozen=True)
class Pair:
    """Two contenders, in one cell or over several.

    Attributes:
        first, second: their labels.
        measured: how both were measured.
        dataset: of the cell; several are listed.
        ipc: of the cell; several are listed.
        cells: over how many cells the means and the difference are.
        first_mean, second_mean: accuracies in percent, over the seeds and networks of both.
        difference: first less second; its p is adjusted for all pairs beside it, those of cells
            and those over cells apart.
        threads, distil_threads: what both were computed with, see
            :class:`bench.report.threads.Computed`.
    """

    first: str
    second: str
    measured: Measured
    dataset: str
    ipc: str
    cells: int
    first_mean: float
    second_mean: float
    difference: Difference
    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]


def measured(place: Place) -> Measured:
    """Return how results at a place were measured."""
    kind = place.conditions
    data = kind.dataset if kind.dataset.endswith("]") else ""
    return Measured(kind.eval_arch, kind.protocol, kind.selection, kind.precision, data)


def compare_pairs(groups: Sequence[Sequence[Contender]]) -> list[Pair]:
    """Return every pair of contenders of different groups, cell by cell, then over their cells.

    Contenders of two groups that cannot be compared are left out beside others that can.

    Raises:
        BenchError: if of two groups no contenders have a cell with two seeds in common.
    """
    single, over_all = list[Pair](), list[Pair]()
    for one, other in combinations(groups, 2):
        couples = list(product(one, other))
        reasons = [_why_not(first, second) for first, second in couples]
        failed = [reason for reason in reasons if reason is not None]
        if len(failed) == len(couples):
            # What comes closest to a comparison is the most useful to know.
            raise BenchError(max(failed)[1])
        for (first, second), reason in zip(couples, reasons, strict=True):
            if not reason:
                each, together = _compare(first, second)
                single += each
                over_all += together
    return [*_adjusted(single), *_adjusted(over_all)]


def _compare(first: Contender, second: Contender) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs of the cells, and those over the cells that were measured alike."""
    cells = _cells(first, second)
    single = [_pair(first, second, [place], [each]) for place, each in cells.items()]
    over_all = []
    for kind in dict.fromkeys(map(measured, cells)):
        usable = {p: c for p, c in cells.items() if measured(p) == kind and len(c) > 1}
        if len(usable) > 1 and len(over_cells(list(usable.values()))) > 1:
            over_all.append(_pair(first, second, list(usable), list(usable.values())))
    return single, over_all


def _cells(first: Contender, second: Contender) -> dict[Place, dict[int, Means]]:
    """Return the means of each seed at each place where both have some."""
    cells = {
        place: paired(first.accuracies[place], second.accuracies[place])
        for place in first.rows if place in second.rows
    }  # fmt: skip
    return {place: seeds for place, seeds in cells.items() if seeds}


def _pair(
    first: Contender, second: Contender, places: Sequence[Place], cells: Sequence[dict[int, Means]]
) -> Pair:
    seeds = over_cells(cells)
    return Pair(
        first.label, second.label, measured(places[0]),
        dataset=listing(place.conditions.dataset for place in places),
        ipc=listing(ipc_name(place.ipc) for place in places),
        cells=len(places),
        first_mean=fmean(means.first for means in seeds),
        second_mean=fmean(means.second for means in seeds),
        difference=difference(seeds),
        **pool_threads(one.rows[place] for one in (first, second) for place in places)._asdict(),
    )  # fmt: skip


def _adjusted(pairs: Sequence[Pair]) -> list[Pair]:
    adjusted = adjust([pair.difference for pair in pairs])
    return [replace(pair, difference=one) for pair, one in zip(pairs, adjusted, strict=True)]


def _why_not(first: Contender, second: Contender) -> tuple[int, str] | None:
    """Return why two contenders cannot be compared, and how near they are to it; usually None."""
    names = f"{first.label} and {second.label}"
    if first.rows.keys().isdisjoint(second.rows):
        return 0, _why_no_place(first, second)
    seeds = set[int]()
    for cell in _cells(first, second).values():
        if len(cell) > 1:
            return None
        seeds |= set(cell)
    if not seeds:
        return 1, f"{names} have cells in common, but in none of them a seed and its networks"
    return 2, (
        f"{names} have one seed in common (seed {listing(sorted(seeds))}): one distilled set of "
        "each says nothing of how much they vary, so there is no interval. Compute more with "
        "--seeds"
    )


def _why_no_place(first: Contender, second: Contender) -> str:
    names = f"{first.label} and {second.label}"
    different: dict[str, str] = {}
    for one, other in product(first.rows, second.rows):
        alike = _dataset(one) == _dataset(other) and one.ipc == other.ipc
        if alike and _value(one, "eval_arch") == _value(other, "eval_arch"):
            for name in (field.name for field in fields(Conditions)):
                values = (_value(one, name), _value(other, name))
                if values[0] != values[1]:
                    different.setdefault(name, f"{name} {values[0]} and {values[1]}")
    if different:
        return (
            f"{names} were measured differently: {', '.join(different.values())}. Results under "
            "different conditions are not compared"
        )
    return f"{names} have no cell in common: the one has {_has(first)}; the other {_has(second)}"


def _dataset(place: Place) -> str:
    """Return the name that several datasets can have."""
    return place.conditions.dataset.partition(" [")[0]


def _value(place: Place, name: str) -> object:
    return getattr(place.conditions, name)


def _has(one: Contender) -> str:
    """Return ``cifar10 (IPC 1, 10; convnet3)``, for each dataset."""
    datasets = dict.fromkeys(place.conditions.dataset for place in one.rows)
    texts = []
    for dataset in datasets:
        own = [place for place in one.rows if place.conditions.dataset == dataset]
        ipcs = listing(ipc_name(place.ipc) for place in own)
        texts.append(f"{dataset} (IPC {ipcs}; {listing(p.conditions.eval_arch for p in own)})")
    return ", ".join(texts)
