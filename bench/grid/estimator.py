"""How long cells will take: their counted work at the measured rates of this device.

An estimate is for deciding, not for reporting. Cells of the same method, dataset and architecture
that are done correct it by what they took here. All estimates of a request are made within
:data:`SECONDS`. Methods that do all their work in one step count nothing, nor does shared work
(expert trajectories, say).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
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
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.support.time_limit import TimeLimitError, can_limit_time, time_limit

# Seconds that all estimates of a request may take, and those that each kind of cell may.
SECONDS, SECONDS_EACH = 11.0, 8.0
# With less time than this, nothing more is counted.
_LEAST_SECONDS = 0.3


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
    estimates: dict[str, Estimate] = {}
    similar: dict[Hashable, list[tuple[float, Estimate]]] = defaultdict(list)
    skipped: list[list[Cell]] = []
    for cells in _each_group_in_turn(kinds.values()):
        group = group_of(cells[0])
        each = estimator.estimate(cells[0], done.get(group, ()))
        if each is not None:
            estimates |= dict.fromkeys((cell.id for cell in cells), each)
            similar[group].append((estimator.counter.size(cells[0]), each))
        elif estimator.is_out_of_time:
            skipped.append(cells)
    for cells in skipped:
        if known := similar.get(group_of(cells[0])):
            each = _similar(estimator.counter.size(cells[0]), known)
            estimates |= dict.fromkeys((cell.id for cell in cells), each)
    estimator.counter.save()
    return estimates


def _each_group_in_turn(kinds: Iterable[list[Cell]]) -> list[list[Cell]]:
    """Order kinds so that one of each group comes first, then a second one, and so on."""
    seen: Counter[Hashable] = Counter()
    ranked = []
    for cells in kinds:
        group = group_of(cells[0])
        ranked.append((seen[group], cells))
        seen[group] += 1
    return [cells for _, cells in sorted(ranked, key=lambda pair: pair[0])]


def _similar(size: float, known: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Return the estimate of a cell from that of the similar one which is nearest in size.

    Args:
        size: of the cell, see :meth:`bench.grid.cell_work.WorkCounter.size`.
        known: sizes and estimates of similar cells.
    """
    other, each = min(known, key=lambda pair: abs(math.log(size / pair[0])))
    factor = size / other
    gpu = None if each.gpu is None else each.gpu * factor
    return Estimate(each.seconds * factor, "similar", gpu)


@dataclass
class _Estimator:
    runner: Runner
    end: float
    counter: WorkCounter = field(init=False)
    _rates: Rates | None = field(init=False, default=None)
    _corrections: dict[Hashable, float | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.counter = WorkCounter(self.runner.site.facts)

    def estimate(self, cell: Cell, done: Iterable[Cell]) -> Estimate | None:
        """Return the estimate of one cell, given done ones of its group."""
        try:
            work = self.counter.known(cell)
            if work is None and self.is_out_of_time:
                return None
            if work is None:
                with time_limit(self._seconds_left()):
                    work = self.counter.count(cell)
        except TimeLimitError:
            return None
        except Exception:  # a plugin's, or code that needs real values
            return self._timed(cell)
        factor = None if work.is_partial else self._correction(group_of(cell), done)
        return estimate_of(work.part(share_left(cell)), self.rates, factor)

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
        return min(SECONDS_EACH, max(_LEAST_SECONDS, self.end - time.perf_counter()))

    def _timed(self, cell: Cell) -> Estimate | None:
        """Time a step of real work, if it can be ended when it takes too long."""
        if not can_limit_time() or self.is_out_of_time:
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


def share_whole(cell: Cell) -> float:
    """Return the part of all steps that a cell's result has had; 1 for all but percentages."""
    return (cell.percent or 100) / 100 if isinstance(cell, DistilCell) else 1.0


def share_left(cell: Cell) -> float:
    """Return the part of all steps that a cell does itself, after those of an earlier set."""
    earlier = cell.earlier if isinstance(cell, DistilCell) else None
    return share_whole(cell) - (share_whole(earlier) if earlier is not None else 0.0)


def group_of(cell: Cell) -> Hashable:
    """Return what cells have in common whose times say something of each other's."""
    if isinstance(cell, DistilCell):
        return cell.method, cell.dataset, cell.arch, cell.precision
    return "evaluation", cell.dataset, cell.arch, cell.mode, cell.precision


def kind_of(cell: Cell) -> Hashable:
    """Return what cells of a request have in common that take equally long: all but the seed.

    Within a request, profile and changes say what the parameters of a method are.
    """
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    made = (
        distil.dataset, distil.method, distil.ipc, distil.arch, distil.profile, distil.changed,
        distil.precision,
    )  # fmt: skip
    if isinstance(cell, DistilCell):
        return *made, cell.percent
    return *made, cell.ipc, cell.mode, cell.arch, cell.protocol, cell.nets
