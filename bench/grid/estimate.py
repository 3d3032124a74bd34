"""How long cells will take: their counted work at the measured rates of this device.

An estimate is for deciding, not for reporting. Cells of the same method, dataset and architecture
that are done correct it by what they took here. All estimates of a request are made within
:data:`SECONDS`. Methods that do all their work in one step count nothing, nor does shared work
(expert trajectories, say).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean, median

import torch

from bench.grid.cell_work import CountedWork, WorkCounter
from bench.grid.expand import Grid
from bench.grid.order import plan
from bench.grid.rates import H100, Rates, device_rates
from bench.grid.real_step import step_seconds
from bench.grid.runner import Runner
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.ledger.record import Record
from bench.support.time_limit import TimeLimitError, can_limit_time, time_limit

# Seconds that all estimates of a request may take, and those that each kind of cell may.
SECONDS, SECONDS_EACH = 11.0, 8.0
# The truth is within so many times the estimate, or one over that: on counted work (measured on
# two cores for six kinds of work), where cells of the kind took so long, where one step was timed,
# and where only similar cells were counted.
_SPREAD = {"counted": 1.5, "records": 1.25, "timed": 2.0, "at least": 1.5, "similar": 4.0}
# With less time than this, nothing more is counted.
_LEAST_SECONDS = 0.3
# Of cells that are done, so many of each group are looked at.
_MOST_RECORDS = 3


@dataclass(frozen=True)
class Estimate:
    """How long a cell will take.

    Attributes:
        seconds: about so long, on this device.
        basis: ``counted`` work; ``records`` of such cells, which correct it; ``timed``, where the
            work cannot be counted; ``at least``, where counting took too long to finish; or
            ``similar`` cells of the same method and network, where there was no time to count.
        gpu: seconds on the GPU that :data:`bench.grid.rates.H100` guesses at; ``None`` if timed.
    """

    seconds: float
    basis: str
    gpu: float | None = None

    @property
    def low(self) -> float:
        """The least that it is likely to take."""
        return self.seconds if self.basis == "at least" else self.seconds / _SPREAD[self.basis]

    @property
    def high(self) -> float:
        """The most that it is likely to take."""
        return self.seconds * _SPREAD[self.basis]


def estimate(
    grid: Grid, runner: Runner, missing: Collection[str], seconds: float = SECONDS
) -> dict[str, Estimate]:
    """Return estimates by cell id.

    What cannot be estimated is left out: its code fails, or there was no time for it.

    Args:
        grid: the cells.
        runner: would compute them.
        missing: the ids of the cells to estimate.
        seconds: how long this may take, about.
    """
    ids = frozenset(missing)
    kinds: dict[Hashable, list[Cell]] = defaultdict(list)
    done: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in plan(grid):
        if cell.id in ids:
            kinds[_kind(cell)].append(cell)
        else:
            done[_group(cell)].append(cell)
    estimator = _Estimator(runner, time.perf_counter() + seconds)
    estimates: dict[str, Estimate] = {}
    similar: dict[Hashable, list[Estimate]] = defaultdict(list)
    skipped: list[list[Cell]] = []
    for cells in _each_group_in_turn(kinds.values()):
        group = _group(cells[0])
        each = estimator.estimate(cells[0], done.get(group, ()))
        if each is not None:
            estimates |= dict.fromkeys((cell.id for cell in cells), each)
            similar[group].append(each)
        elif estimator.is_out_of_time:
            skipped.append(cells)
    for cells in skipped:
        if known := similar.get(_group(cells[0])):
            estimates |= dict.fromkeys((cell.id for cell in cells), _similar(known))
    estimator.counter.save()
    return estimates


def _each_group_in_turn(kinds: Iterable[list[Cell]]) -> list[list[Cell]]:
    """Order kinds so that one of each group comes first, then a second one, and so on."""
    seen: Counter[Hashable] = Counter()
    ranked = []
    for cells in kinds:
        group = _group(cells[0])
        ranked.append((seen[group], cells))
        seen[group] += 1
    return [cells for _, cells in sorted(ranked, key=lambda pair: pair[0])]


def _similar(known: Sequence[Estimate]) -> Estimate:
    """Return the estimate of a cell of which nothing but similar ones is known."""
    gpus = [each.gpu for each in known if each.gpu is not None]
    seconds = fmean(each.seconds for each in known)
    return Estimate(seconds, "similar", fmean(gpus) if gpus else None)


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
        begun = cell.earlier.percent if isinstance(cell, DistilCell) and cell.earlier else None
        share = _share(cell, begun or 0)
        seconds = share * self.rates.seconds(work.total)
        gpu = share * H100.seconds(work.total)
        if work.is_partial:
            return Estimate(seconds, "at least", gpu)
        factor = self._correction(_group(cell), done)
        if factor is None:
            return Estimate(seconds, "counted", gpu)
        return Estimate(seconds * factor, "records", gpu)

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
            factors: list[float] = []
            for cell in done:
                if len(factors) == _MOST_RECORDS or self.is_out_of_time:
                    break
                with suppress(Exception), time_limit(self._seconds_left()):
                    factors += self._factor(cell)
            self._corrections[group] = median(factors) if factors else None
        return self._corrections[group]

    def _factor(self, cell: Cell) -> list[float]:
        record = self.runner.store.read(cell.id)
        if record is None or record.outcome is None or not self._is_from_here(record):
            return []
        work: CountedWork = self.counter.known(cell) or self.counter.count(cell)
        expected = 0.0 if work.is_partial else _share(cell) * self.rates.seconds(work.total)
        return [record.outcome.cost.seconds / expected] if expected else []

    def _is_from_here(self, record: Record) -> bool:
        """Return whether a record is of a device and as many threads as this process has."""
        environment: Mapping[str, object] = record.environment
        here = {"device": self.runner.site.device.type, "threads": torch.get_num_threads()}
        return all(environment.get(name) == value for name, value in here.items())


def _share(cell: Cell, begun: int = 0) -> float:
    """Return the part of a distillation's steps up to a cell's, without a percentage of them."""
    return ((cell.percent or 100) - begun) / 100 if isinstance(cell, DistilCell) else 1.0


def _group(cell: Cell) -> Hashable:
    """Return what cells have in common whose times say something of each other's."""
    if isinstance(cell, DistilCell):
        return cell.method, cell.dataset, cell.arch, cell.precision
    return "evaluation", cell.dataset, cell.arch, cell.mode, cell.precision


def _kind(cell: Cell) -> Hashable:
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
