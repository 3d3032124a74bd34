"""The order in which the cells of a grid run, and how they ended."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from bench.grid.expand import Grid
from bench.ledger.cell import Cell, DistilCell, EvaluateCell


@dataclass
class Outcome:
    """How many cells ended how."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, status: str) -> None:
        """Count one more."""
        self.counts[status] = self.counts.get(status, 0) + 1


def before(cell: Cell) -> DistilCell | None:
    """Return the distilled set that a cell judges or starts from."""
    return cell.distil if isinstance(cell, EvaluateCell) else cell.prerequisite


def plan(grid: Grid) -> list[Cell]:
    """Order the cells so that each distilled set is judged right after it is made."""
    order: dict[str, Cell] = {}
    for judged in grid.evaluate:
        chain: list[Cell] = []
        cell: Cell | None = judged
        while cell is not None:
            chain.append(cell)
            cell = before(cell)
        for each in reversed(chain):
            order.setdefault(each.id, each)
    return list(order.values())


def narrowed(grid: Grid, ids: Container[str]) -> Grid:
    """Return the evaluations that are, or rest on, one of some cells, and what they rest on."""
    evaluate: list[EvaluateCell] = []
    distil: dict[str, DistilCell] = {}
    for judged in grid.evaluate:
        chain: list[DistilCell] = []
        cell = before(judged)
        while cell is not None:
            chain.append(cell)
            cell = before(cell)
        if judged.id in ids or any(cell.id in ids for cell in chain):
            evaluate.append(judged)
            distil |= {cell.id: cell for cell in reversed(chain)}
    return Grid(tuple(distil.values()), tuple(evaluate), ())


def next_cell(left: Sequence[Cell], estimates: Mapping[str, float], seconds: float | None) -> Cell:
    """Choose what to compute next.

    Args:
        left: what is left, in order; not empty.
        estimates: seconds by cell id; a cell without one counts as short.
        seconds: what is left of the time budget; ``None`` without one.

    Returns:
        The first cell that fits into the time left and rests on none of the others. If there is
        none, the first of all: a cell longer than every budget is done in several.
    """
    if seconds is not None:
        ids = {cell.id for cell in left}
        for cell in left:
            needed = before(cell)
            ready = needed is None or needed.id not in ids
            if ready and estimates.get(cell.id, 0.0) <= seconds:
                return cell
    return left[0]
