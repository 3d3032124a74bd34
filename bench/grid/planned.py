"""The plan of a session: what is printed of its cells, and kept for the next dry run."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable

import torch

from bench.grid.cell_work import WorkCounter
from bench.grid.expand import Grid
from bench.grid.kept_plan import Plan, PlannedCell, PlannedKind, PlannedSkip, keep_plan
from bench.grid.kept_run import names_by_content
from bench.grid.measured_rates import device_rates
from bench.grid.order import plan
from bench.grid.plan_key import data_of, plan_key
from bench.grid.session import Session
from bench.grid.similar_cells import group_of, kind_of, share_left, share_whole
from bench.grid.too_large import least_bytes
from bench.grid.work import CountedWork, Work
from bench.ledger.cell import Cell, EvaluateCell


def make_plan(session: Session, notes: Iterable[str], lite: Grid | None) -> Plan:
    """Return the plan of a session, with the work of its cells as far as it was counted.

    Args:
        session: the request; its estimates have been made.
        notes: lines about it.
        lite: the same request in the profile ``lite``.
    """
    counter, site = WorkCounter(session.runner.site.facts), session.runner.site
    kinds: dict[Hashable, int] = {}
    groups: dict[Hashable, int] = {}
    planned: list[PlannedKind] = []

    def place(cell: Cell) -> int:
        kind = kind_of(cell)
        if kind not in kinds:
            kinds[kind] = len(planned)
            name = "evaluation" if isinstance(cell, EvaluateCell) else cell.method
            group = groups.setdefault(group_of(cell), len(groups))
            shares = share_left(cell), share_whole(cell)
            least = dict(least_bytes(cell, site))
            planned.append(PlannedKind(name, group, counter.known(cell), *shares, least))
        return kinds[kind]

    cells = [PlannedCell(c.id, c.title, place(c), c.depends_on) for c in plan(session.grid)]
    return Plan(
        cells=tuple(cells),
        kinds=tuple(planned),
        skipped=tuple(
            PlannedSkip(skip.cell.id, skip.cell.title, skip.reason) for skip in session.grid.skipped
        ),
        notes=tuple(notes),
        device=site.device.type,
        threads=torch.get_num_threads(),
        rates=device_rates(site.device),
        lite=None if lite is None else _total(counter, lite),
    )


def keep(session: Session, made: Plan, missing: Collection[str], lite: Grid | None) -> None:
    """Keep a plan for the next dry run, if that could print it without torch."""
    if made.device != "cpu" or (lite is not None and made.lite is None):
        return
    if any(cell.sources for cell in plan(session.grid)) or not made.is_counted(missing):
        return
    data = data_of(session.request, session.site)
    key = None if data is None else plan_key(session.request, session.site, data)
    if data and key and names_by_content(session.runner.store, data):
        keep_plan(key, made)


def _total(counter: WorkCounter, grid: Grid) -> Work | None:
    """Return the work of a grid from nothing; ``None`` if some of it was not counted."""
    total, known = Work(), dict[Hashable, CountedWork | None]()
    for cell in plan(grid):
        kind = kind_of(cell)
        if kind not in known:
            known[kind] = counter.known(cell)
        work = known[kind]
        if work is None:
            return None
        total.add(work.total, share_left(cell))
    return total
