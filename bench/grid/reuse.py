"""Which results in a store a run uses, where the code of a plugin has changed or a user says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.grid.expand import Grid
from bench.grid.order import dependencies, plan
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.ledger.cell_state import is_outdated
from bench.ledger.record import Record
from bench.ledger.store import Store
from bench.support.errors import BenchError, unknown_message


def forced_cells(grid: Grid, methods: Sequence[str]) -> frozenset[str]:
    """Return the ids of the cells that some methods compute, and of those that depend on them.

    Raises:
        BenchError: the grid has no cell of a method.
    """
    used = {cell.id: {made.method for made in _distillations(cell)} for cell in plan(grid)}
    known = sorted(set().union(*used.values()))
    for name in methods:
        if name not in known:
            raise BenchError(unknown_message("method in --recompute", name, known))
    return frozenset(cell_id for cell_id, names in used.items() if not names.isdisjoint(methods))


def keep_results(grid: Grid, store: Store) -> Grid:
    """Return a grid whose cells ask for the source of the results that the store holds.

    Nothing that is there is then computed again.
    """
    sets: dict[str, DistilCell] = {}

    def kept(cell: DistilCell) -> DistilCell:
        if cell.id not in sets:
            before = None if cell.prerequisite is None else kept(cell.prerequisite)
            earlier = None if cell.earlier is None else kept(cell.earlier)
            record = _outdated(store, cell)
            sources = cell.sources if record is None else record.sources or {}
            sets[cell.id] = replace(cell, prerequisite=before, earlier=earlier, sources=sources)
        return sets[cell.id]

    def kept_evaluation(cell: EvaluateCell) -> EvaluateCell:
        distil, record = kept(cell.distil), _outdated(store, cell)
        own = {k: v for k, v in cell.sources.items() if k not in cell.distil.sources}
        sources = {**distil.sources, **own} if record is None else record.sources or {}
        return replace(cell, distil=distil, sources=sources)

    return replace(
        grid,
        distil=tuple(map(kept, grid.distil)),
        evaluate=tuple(map(kept_evaluation, grid.evaluate)),
    )


def describe_changes(grid: Grid, store: Store, *, keep: bool) -> list[str]:
    """Return a line about each plugin whose code is not that of results in the store.

    Args:
        grid: the cells, with the source that they have now.
        store: the results.
        keep: whether those results are kept.
    """
    changed: Counter[tuple[str, str, str]] = Counter()
    unknown: Counter[str] = Counter()
    for cell in plan(grid):
        record = store.read(cell.id) if cell.sources else None
        if record is None or record.status != "ok":
            continue
        if record.sources is None:
            unknown.update(_plugin(name) for name in cell.sources)
        elif is_outdated(record, cell):
            changed.update(set(_differences(record, cell)))
    then = "kept, as --keep-cached says" if keep else "computed again; --keep-cached keeps them"
    lines = [
        f"the {name} has other code than when {count} of these cells were computed (source {old}, "
        f"now {new}): they are {then}"
        for (name, old, new), count in sorted(changed.items())
    ]
    if unknown:
        lines.append(
            f"{', '.join(sorted(unknown))}: {max(unknown.values())} of these cells were computed "
            "before bench recorded the code of plugins; they are kept, and their source is unknown"
        )
    return lines


def _outdated(store: Store, cell: Cell) -> Record | None:
    record = store.read(cell.id) if cell.sources else None
    outdated = record is not None and record.status == "ok" and is_outdated(record, cell)
    return record if outdated else None


def _differences(record: Record, cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Yield what plugins differ, with the hashes of the record and of the cell."""
    old = record.sources or {}
    for name in old.keys() | cell.sources.keys():
        if old.get(name) != cell.sources.get(name):
            yield _plugin(name), old.get(name, "none"), cell.sources.get(name, "none")


def _plugin(name: str) -> str:
    """Return a plugin's kind and name, without the prerequisite that uses it."""
    return name.rpartition(": ")[2]


def _distillations(cell: Cell) -> list[DistilCell]:
    own = [cell] if isinstance(cell, DistilCell) else []
    return [*dependencies(cell), *own]
