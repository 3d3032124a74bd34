"""The plan of a run, kept: a dry run that was made before is printed again without torch.

To expand a request, methods are imported, which import torch, and every cell's identity is hashed.
None of that changes while the request, its data and the code stay the same. So a plan is kept in
the user's cache under a hash of all of them (:mod:`bench.grid.plan_key`), with what estimates need:
the work and the least bytes of each kind of cell, and the rates of this machine. The state of the
cells is not kept; it is read from the store each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

import msgspec

from bench.grid.estimate import Estimate, correction, estimate_of
from bench.grid.memory_bound import describe_lack
from bench.grid.rates import Rates
from bench.grid.work import CountedWork, Work
from bench.ledger.store import Store
from bench.support.memory import memory_of_process
from bench.support.user_cache import read_cached, remove_cached, write_cached

# Files of the cache: a plan of 30,000 cells takes 4 MB.
_PREFIX, _MOST_PLANS = "plan-", 16


class PlannedKind(msgspec.Struct, frozen=True):
    """What cells have in common that take equally long.

    Attributes:
        name: the method of distillations, or ``evaluation``.
        group: a number; kinds of one group have times that say something of each other's.
        work: of one distillation or evaluation as a whole; ``None`` where it was not counted.
        share_left: the part of it that a cell does itself, see :mod:`bench.grid.estimator`.
        share_whole: the part of it that a cell's result has had.
        least_bytes: that it needs at one time, by what they are for.
    """

    name: str
    group: int
    work: CountedWork | None
    share_left: float
    share_whole: float
    least_bytes: dict[str, int]


class PlannedCell(msgspec.Struct, frozen=True, array_like=True):
    """A cell of a plan.

    Attributes:
        id: the cell's.
        title: one line for screens.
        kind: the place of its kind in the plan.
        depends_on: the id of the cell that must be done before it.
    """

    id: str
    title: str
    kind: int
    depends_on: str | None

    @property
    def sources(self) -> Mapping[str, str]:
        """No plugin but those of bench: plans with others are not kept."""
        return {}


class PlannedSkip(msgspec.Struct, frozen=True, array_like=True):
    """A cell that its method declines, with the reason."""

    id: str
    title: str
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """The cells of a request, in the order in which they run, and what estimates need.

    Attributes:
        cells: all that can be computed.
        kinds: what cells have in common that take equally long.
        skipped: the cells that methods decline.
        notes: lines about the request.
        device: the type of device that would compute.
        threads: of this process.
        rates: of the device.
        lite: the work of the same request in the profile ``lite``, from nothing; ``None`` where
            the request is not one of the profile ``paper``, or cannot be made so.
    """

    cells: tuple[PlannedCell, ...]
    kinds: tuple[PlannedKind, ...]
    skipped: tuple[PlannedSkip, ...]
    notes: tuple[str, ...]
    device: str
    threads: int
    rates: Rates
    lite: Work | None

    def is_counted(self, missing: Collection[str]) -> bool:
        """Return whether the work of all missing cells is known."""
        kinds = {cell.kind for cell in self.cells if cell.id in missing}
        return all(self.kinds[kind].work is not None for kind in kinds)

    def lacks(self, missing: Collection[str]) -> dict[str, str]:
        """Return why missing cells do not fit into this process's memory, by cell id."""
        limit = memory_of_process()
        reasons = [describe_lack(kind.least_bytes, limit) for kind in self.kinds]
        return {
            cell.id: reason for cell in self.cells
            if cell.id in missing and (reason := reasons[cell.kind])
        }  # fmt: skip

    def estimates(self, missing: Collection[str], store: Store) -> dict[str, Estimate]:
        """Return how long each missing cell takes, corrected by those that are done.

        Args:
            missing: their ids; their kinds must have work.
            store: has the records of the others.
        """
        done: dict[int, list[PlannedCell]] = {}
        for cell in self.cells:
            if cell.id not in missing:
                done.setdefault(self.kinds[cell.kind].group, []).append(cell)
        factors = {
            group: correction(self._expected(cells), store, self.device, self.threads)
            for group, cells in done.items()
        }
        by_kind = [self._estimate(kind, factors.get(kind.group)) for kind in self.kinds]
        return {
            cell.id: each for cell in self.cells
            if cell.id in missing and (each := by_kind[cell.kind]) is not None
        }  # fmt: skip

    def lite_estimates(self) -> tuple[Estimate, ...]:
        """Return how long the request takes in the profile ``lite``, in one estimate or none."""
        if self.lite is None:
            return ()
        return (estimate_of(CountedWork(self.lite, 1.0), self.rates, None),)

    def _estimate(self, kind: PlannedKind, factor: float | None) -> Estimate | None:
        if kind.work is None:
            return None
        return estimate_of(kind.work.part(kind.share_left), self.rates, factor)

    def _expected(self, cells: Collection[PlannedCell]) -> Iterator[tuple[str, float]]:
        for cell in cells:
            kind = self.kinds[cell.kind]
            if kind.work is not None:
                yield cell.id, self.rates.seconds(kind.work.part(kind.share_whole).total)


class _Kept(msgspec.Struct):
    """A plan as text, with the SHA-256 of that text."""

    sha256: str
    plan: msgspec.Raw


def read_plan(key: str) -> Plan | None:
    """Return the plan that was kept under a key; ``None`` if there is none that can be used."""
    kept = read_cached(f"{_PREFIX}{key}", _Kept)
    if kept is None or hashlib.sha256(kept.plan).hexdigest() != kept.sha256:
        return None
    try:
        plan = msgspec.json.decode(kept.plan, type=Plan)
    except (ValueError, RecursionError):
        return None
    kinds = range(len(plan.kinds))
    return plan if plan.rates.is_fresh and all(cell.kind in kinds for cell in plan.cells) else None


def keep_plan(key: str, plan: Plan) -> None:
    """Keep a plan, in place of the oldest one if there are many."""
    text = msgspec.json.encode(plan)
    write_cached(f"{_PREFIX}{key}", _Kept(hashlib.sha256(text).hexdigest(), msgspec.Raw(text)))
    remove_cached(_PREFIX, keep=_MOST_PLANS)
