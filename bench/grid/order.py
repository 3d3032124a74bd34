"""The order in which the cells of a grid run, and how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from bench.grid.expand import Grid
from bench.ledger.cell import Cell, DistilCell, EvaluateCell


@dataclass
class Outcome:
    """How many cells ended how."""

    counts: Counter[str] = field(default_factory=Counter)


def dependencies(cell: Cell) -> list[DistilCell]:
    """Return the distilled sets that a cell depends on, in the order in which they are made."""
    chain: list[DistilCell] = []
    needed = cell.dependency
    while needed is not None:
        chain.insert(0, needed)
        needed = needed.dependency
    return chain


def plan(grid: Grid) -> list[Cell]:
    """Order the cells so that each distilled set is evaluated right after it is made."""
    order: dict[str, Cell] = {}
    for evaluation in grid.evaluate:
        chain: list[Cell] = [*dependencies(evaluation), evaluation]
        order |= {cell.id: cell for cell in chain if cell.id not in order}
    return list(order.values())


def narrowed(grid: Grid, ids: Container[str]) -> Grid:
    """Return the evaluations that are, or depend on, one of some cells, with what they need."""
    evaluate: list[EvaluateCell] = []
    distil: dict[str, DistilCell] = {}
    for evaluation in grid.evaluate:
        chain = dependencies(evaluation)
        if evaluation.id in ids or any(cell.id in ids for cell in chain):
            evaluate.append(evaluation)
            distil |= {cell.id: cell for cell in chain}
    return Grid(tuple(distil.values()), tuple(evaluate), ())


def next_cell(left: Sequence[Cell], estimates: Mapping[str, float], seconds: float | None) -> Cell:
    """Choose what to compute next.

    Args:
        left: what is left, in order; not empty.
        estimates: seconds by cell id; a cell without one counts as short.
        seconds: what is left of the time budget; ``None`` without one.

    Returns:
        The first cell that fits into the time left and depends on none of the others. If there is
        none, the first of all: a cell longer than every budget is done in several.
    """
    if seconds is not None:
        ids = {cell.id for cell in left}
        for cell in left:
            needed = cell.dependency
            ready = needed is None or needed.id not in ids
            if ready and estimates.get(cell.id, 0.0) <= seconds:
                return cell
    return left[0]
