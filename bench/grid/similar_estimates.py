"""Estimates of cells that there was no time to count, from those of similar ones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress

from bench.grid.cell_work import WorkCounter
from bench.grid.estimate import Estimate
from bench.grid.rates import Rates
from bench.grid.similar_cells import groups_of, kind_of, share_left
from bench.ledger.cell import Cell
from bench.support.time_limit import time_limit

# Seconds that the size of a cell may take to find.
_SECONDS = 0.3

_Known = dict[Hashable, list[tuple[Cell, Estimate]]]


class SimilarEstimates:
    """Scales estimates by what cells train on, and by what their networks do.

    Args:
        counter: knows the sizes of cells.
        rates: of the device.
    """

    def __init__(self, counter: WorkCounter, rates: Rates) -> None:
        self._counter, self._rates = counter, rates
        self._sizes: dict[Hashable, float | None] = {}

    def fill(
        self,
        found: dict[Hashable, Estimate],
        lacking: Iterable[Cell],
        cells: Mapping[Hashable, Cell],
    ) -> None:
        """Estimate what there was no time for, or for no more than a part.

        Args:
            found: estimates by kind, which are added to.
            lacking: cells of kinds that have none.
            cells: one of each kind.
        """
        # In the order of the request, not of a set: of equally near cells the first one counts.
        parts = [kind for kind, each in found.items() if each.basis == "at least"]
        wholly = _by_group((cells[kind], found[kind]) for kind in found if kind not in parts)
        partly = _by_group((cells[kind], found[kind]) for kind in parts)
        for kind in parts:
            other = self._similar(cells[kind], wholly)
            if other is not None and other.seconds > found[kind].seconds:
                found[kind] = other
        for cell in lacking:
            each = self._similar(cell, wholly) or self._similar(cell, partly)
            if each is not None:
                found[kind_of(cell)] = each

    def _similar(self, cell: Cell, known: _Known) -> Estimate | None:
        """Return the estimate of a cell from that of the similar one which is nearest in size."""
        for group in groups_of(cell):
            if pairs := known.get(group):
                factor, each = min(
                    ((self._times_larger(cell, other), each) for other, each in pairs),
                    key=lambda pair: abs(math.log(pair[0])),
                )
                gpu = None if each.gpu is None else each.gpu * factor
                basis = "at least" if each.basis == "at least" else "similar"
                return Estimate(each.seconds * factor, basis, gpu)
        return None

    def _times_larger(self, cell: Cell, other: Cell) -> float:
        """Return how many times as long as another a cell should take; 1 where unknown."""
        sizes = self._size(cell), self._size(other)
        return sizes[0] / sizes[1] if sizes[0] and sizes[1] else 1.0

    def _size(self, cell: Cell) -> float | None:
        kind = kind_of(cell)
        if kind not in self._sizes:
            self._sizes[kind] = None
            with suppress(Exception), time_limit(_SECONDS):  # a plugin's code
                images, test = self._counter.size(cell)
                self._sizes[kind] = share_left(cell) * images * self._rates.seconds(test)
        return self._sizes[kind]


def _by_group(pairs: Iterable[tuple[Cell, Estimate]]) -> _Known:
    """Return cells and their estimates by each group of theirs."""
    known: _Known = defaultdict(list)
    for cell, each in pairs:
        for group in groups_of(cell):
            known[group].append((cell, each))
    return known
