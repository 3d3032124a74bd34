"""Which cells take equally long, and whose times say something of each other's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from bench.ledger.cell import Cell, DistilCell, EvaluateCell


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


def group_of(cell: Cell) -> Hashable:
    """Return what cells have in common whose times say something of each other's."""
    return groups_of(cell)[0]


def groups_of(cell: Cell) -> tuple[Hashable, ...]:
    """Return the groups of a cell, the closest first: any dataset, then any network as well."""
    if isinstance(cell, DistilCell):
        kind: tuple[str, ...] = (cell.method, cell.precision)
    else:
        kind = ("evaluation", cell.precision, cell.mode)
    return (kind, cell.arch, cell.dataset), (kind, cell.arch), kind


def share_whole(cell: Cell) -> float:
    """Return the part of all steps that a cell's result has had; 1 for all but percentages."""
    return (cell.percent or 100) / 100 if isinstance(cell, DistilCell) else 1.0


def share_left(cell: Cell) -> float:
    """Return the part of all steps that a cell does itself, after those of an earlier set."""
    earlier = cell.earlier if isinstance(cell, DistilCell) else None
    return share_whole(cell) - (share_whole(earlier) if earlier is not None else 0.0)


def by_novelty(
    kinds: Iterable[Sequence[Cell]], tried: Callable[[Cell], int | None]
) -> list[list[Cell]]:
    """Divide kinds of cells into rounds, so that the first ones say something of all others.

    Args:
        kinds: cells of one kind each.
        tried: returns the place of a kind among those that counting took too long for; ``None`` if
            it is not among them.

    Returns:
        A cell of each kind: first one of each method and one evaluation; then all evaluations,
        which are counted quickly; then a distillation with each network, then on each dataset;
        then the others; then those that were tried.
    """
    seen: set[Hashable] = set()
    rounds: list[list[Cell]] = [[] for _ in range(6)]
    for cell, *_ in kinds:
        groups = groups_of(cell)
        known = sum(group in seen for group in groups)
        seen.update(groups)
        if tried(cell) is not None:
            rounds[5].append(cell)
        elif not known:
            rounds[0].append(cell)
        elif isinstance(cell, EvaluateCell):
            rounds[1].append(cell)
        else:
            rounds[1 + known].append(cell)
    rounds[5].sort(key=lambda cell: tried(cell) or 0)
    return rounds
