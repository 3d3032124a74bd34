"""How long cells will take: their counted work at the measured rates of this device.

An estimate is for deciding, not for reporting. Cells of the same method, dataset and architecture
that are done correct it by what they took here. All estimates of a request are made within
:data:`SECONDS`. Methods that do all their work in one step count nothing, nor does shared work
(expert trajectories, say).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from bench.grid.cell_work import WorkCounter
from bench.grid.estimate import Estimate, correction, estimate_of
from bench.grid.expand import Grid
from bench.grid.measured_rates import device_rates
from bench.grid.order import plan
from bench.grid.rates import Rates
from bench.grid.real_step import step_seconds
from bench.grid.runner import Runner
from bench.grid.similar_cells import by_novelty, group_of, kind_of, share_left, share_whole
from bench.grid.similar_estimates import SimilarEstimates
from bench.grid.work import CountedWork
from bench.ledger.cell import Cell
from bench.support.time_limit import TimeLimitError, can_limit_time, time_limit

# Seconds that all estimates of a request may take, and those that each kind of cell may.
SECONDS, SECONDS_EACH = 9.0, 8.0
# With less time than this, nothing more is counted; and a kind may always take so long.
_LEAST_SECONDS, _LEAST_SHARE = 0.3, 0.5


def estimate(
    grid: Grid, runner: Runner, missing: Collection[str], seconds: float | None = None
) -> dict[str, Estimate]:
    """Return estimates by cell id.

    What cannot be estimated is left out: its code fails, or there was no time for it.

    Args:
        grid: the cells.
        runner: would compute them.
        missing: the ids of the cells to estimate.
        seconds: how long this may take, about; by default :data:`SECONDS`.
    """
    ids = frozenset(missing)
    kinds: dict[Hashable, list[Cell]] = defaultdict(list)
    done: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in plan(grid):
        if cell.id in ids:
            kinds[kind_of(cell)].append(cell)
        else:
            done[group_of(cell)].append(cell)
    limit = SECONDS if seconds is None else seconds
    estimator = _Estimator(runner, time.perf_counter() + limit)
    found = estimator.estimate_all(kinds, done)
    estimator.counter.save()
    return {
        cell.id: found[kind] for kind, cells in kinds.items() if kind in found for cell in cells
    }


@dataclass
class _Estimator:
    """Estimates cells until its time is over.

    Attributes:
        runner: would compute them.
        end: of the time, by the clock of ``time.perf_counter``.
        counter: counts what they do.
    """

    runner: Runner
    end: float
    counter: WorkCounter = field(init=False)
    _to_count: int = field(init=False, default=1)
    _rates: Rates | None = field(init=False, default=None)
    _corrections: dict[Hashable, float | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.counter = WorkCounter(self.runner.site.facts)

    def estimate_all(
        self, kinds: Mapping[Hashable, list[Cell]], done: Mapping[Hashable, list[Cell]]
    ) -> dict[Hashable, Estimate]:
        """Return estimates by kind of cell.

        Args:
            kinds: the cells of each kind.
            done: cells that are done, by group.
        """
        found: dict[Hashable, Estimate] = {}
        lacking: list[Cell] = []
        *rounds, retried = by_novelty(kinds.values(), self.counter.tried)
        for cells in (*rounds, retried):
            # What took too long before gets all the time that there is.
            unknown = sum(self._known(cell) is None for cell in cells)
            self._to_count = 1 if cells is retried else max(1, unknown)
            for cell in cells:
                try:
                    each = self._estimate(cell, done.get(group_of(cell), ()))
                except TimeLimitError:
                    lacking.append(cell)
                    continue
                if each is not None:
                    found[kind_of(cell)] = each
        if found:
            similar = SimilarEstimates(self.counter, self.rates)
            similar.fill(found, lacking, {kind: cells[0] for kind, cells in kinds.items()})
        return found

    def _estimate(self, cell: Cell, done: Iterable[Cell]) -> Estimate | None:
        """Return the estimate of one cell, given done ones of its group; ``None`` if it fails.

        Raises:
            TimeLimitError: there was no time for it.
        """
        work = self._known(cell)
        if work is None:
            try:
                work = self._count(cell)
            except TimeLimitError:
                raise
            except Exception:  # a plugin's, or code that needs real values
                return self._timed(cell)
        factor = None if work.is_partial else self._correction(group_of(cell), done)
        return estimate_of(work.part(share_left(cell)), self.rates, factor)

    def _count(self, cell: Cell) -> CountedWork:
        """Count the work of a cell, or return the part that there was time for, now or earlier.

        Raises:
            TimeLimitError: there was no time even for a part.
        """
        try:
            if self.is_out_of_time:
                raise TimeLimitError("nothing more can be counted")
            with time_limit(self._seconds_left()):
                return self.counter.count(cell)
        except TimeLimitError:
            part = self.counter.part(cell)
            if part is None:
                raise
            return part
        finally:
            self._to_count = max(1, self._to_count - 1)

    def _known(self, cell: Cell) -> CountedWork | None:
        with suppress(Exception):  # its dataset cannot be read
            return self.counter.known(cell)
        return None

    @property
    def rates(self) -> Rates:
        """The rates of this device."""
        if self._rates is None:
            self._rates = device_rates(self.runner.site.device)
        return self._rates

    @property
    def is_out_of_time(self) -> bool:
        """Whether nothing more can be counted."""
        return self.end - time.perf_counter() < _LEAST_SECONDS

    def _seconds_left(self) -> float:
        """Return how long the next kind may take: at most twice its share of what is left."""
        left = self.end - time.perf_counter()
        share = max(_LEAST_SHARE, 2 * left / self._to_count)
        return min(SECONDS_EACH, share, max(_LEAST_SECONDS, left))

    def _timed(self, cell: Cell) -> Estimate | None:
        """Time a step of real work, if it can be ended when it takes too long.

        Raises:
            TimeLimitError: there is no time left.
        """
        if self.is_out_of_time:
            raise TimeLimitError("nothing more can be timed")
        if not can_limit_time():
            return None
        with suppress(Exception), time_limit(self._seconds_left()):
            return Estimate(step_seconds(cell, self.runner.site), "timed")
        return None

    def _correction(self, group: Hashable, done: Iterable[Cell]) -> float | None:
        """Return by how much cells that are done took longer than counted; ``None`` if unknown."""
        if group not in self._corrections:
            store = self.runner.store
            here = self.runner.site.device.type, torch.get_num_threads()
            self._corrections[group] = correction(self._expected(done), store, *here)
        return self._corrections[group]

    def _expected(self, done: Iterable[Cell]) -> Iterator[tuple[str, float]]:
        """Yield the ids of cells and their counted seconds, as long as there is time."""
        for cell in done:
            if self.is_out_of_time:
                return
            work = None
            with suppress(Exception), time_limit(self._seconds_left()):
                work = self.counter.known(cell) or self.counter.count(cell)
            if work is not None and not work.is_partial:
                yield cell.id, self.rates.seconds(work.part(share_whole(cell)).total)
