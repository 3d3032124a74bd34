"""A run whose plan was kept: found again by its request, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.datasets.data_folder import DatasetInfo
from bench.grid.data_names import DataNames
from bench.grid.kept_plan import Plan, read_plan
from bench.grid.plan_key import data_of, plan_key
from bench.grid.request import Request
from bench.grid.site import Site
from bench.ledger.pending import pending_ids
from bench.ledger.store import Store
from bench.registry.registry import METHODS


@dataclass(frozen=True)
class KeptRun:
    """A plan and the store that it is compared with.

    Attributes:
        plan: the cells.
        store: holds the results of those that are done.
        missing: the ids of the others.
    """

    plan: Plan
    store: Store
    missing: set[str]


def find_kept_run(request: Request, site: Site) -> KeptRun | None:
    """Return the plan of a request that was planned before; ``None`` if it must be planned.

    Args:
        request: what is asked for; nothing has been checked.
        site: where it would be computed.

    Raises:
        BenchError: a dataset is damaged, or the store cannot be used.
    """
    site = site.with_paths()
    if list(request.methods) == ["all"]:
        request = replace(request, methods=METHODS.names())
    if site.plugins:  # they can bring datasets that are not known yet
        return None
    data = data_of(request, site)
    key = None if data is None else plan_key(request, site, data)
    plan = None if key is None else read_plan(key)
    if plan is None or data is None:
        return None
    store = Store(Path(site.store))
    store.prepare()
    cells = {cell.id: cell for cell in plan.cells}
    if store.listed_ids() - cells.keys() and not names_by_content(store, data):
        return None
    missing = pending_ids(store, cells)
    return KeptRun(plan, store, missing) if plan.is_counted(missing) else None


def names_by_content(store: Store, data: Sequence[DatasetInfo]) -> bool:
    """Return whether a store names the content of datasets as new stores do."""
    names = DataNames(store)
    return all(names.of(each) == (each.content,) for each in data)
