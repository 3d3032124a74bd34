"""A cell as plain JSON values, in which form it travels to workers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.support.untrusted import Limit

_KINDS: dict[str, type[Cell]] = {"distil": DistilCell, "evaluate": EvaluateCell}


def cell_to_json(cell: Cell) -> dict[str, Any]:
    """Return a cell as plain JSON values, with the cells that it depends on.

    Unlike its identity, this is the whole cell: :func:`cell_from_json` rebuilds it, in another
    process or on another machine.
    """
    return {"kind": cell.kind, **asdict(cell)}


def cell_from_json(data: Any) -> Cell:
    """Return the cell that :func:`cell_to_json` described.

    Raises:
        ValueError: the data describe no cell; the message names the field.
    """
    if not isinstance(data, dict) or data.get("kind") not in _KINDS:
        raise ValueError("a cell is a JSON object of kind 'distil' or 'evaluate'")
    _check_chain(data)
    values = {name: value for name, value in data.items() if name != "kind"}
    cell: Cell = msgspec.convert(values, _KINDS[data["kind"]])
    if cell_to_json(cell) != data:  # msgspec leaves out what it does not know
        raise ValueError("it has fields that no cell has, or lacks some")
    return cell


def _check_chain(data: Any) -> None:
    """Raise ValueError for a chain of dependencies that is too long to hash."""
    level = [data]
    for _ in range(Limit.CHAIN_CELLS):
        below = [each.get(name) for each in level for name in ("distil", "earlier", "prerequisite")]
        level = [each for each in below if isinstance(each, dict)]
        if not level:
            return
        if len(level) > Limit.CHAIN_CELLS:
            break
    raise ValueError(f"it depends on a chain of more than {Limit.CHAIN_CELLS} cells")
