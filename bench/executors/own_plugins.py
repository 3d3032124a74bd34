"""Plugins that were registered by hand in this process, which no other process knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.grid.order import dependencies
from bench.grid.site import Site
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.architecture import registered_name
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS, Registry


def own_plugins(cells: Sequence[Cell], site: Site) -> list[str]:
    """Return what cells use that was registered by hand in this process, as ``method 'x'``.

    Every process knows the entry points and the site's plugin files.
    """
    files = {str(Path(path).resolve()) for path in site.plugins}
    distil = [needed for cell in cells for needed in dependencies(cell)]
    distil += [cell for cell in cells if isinstance(cell, DistilCell)]
    archs = [cell.arch for cell in distil if cell.arch is not None]
    archs += [cell.arch for cell in cells if isinstance(cell, EvaluateCell)]
    used: list[tuple[Registry[type[Any]], list[str]]] = [
        (METHODS, [cell.method for cell in distil]),
        (ARCHITECTURES, [_family(arch) for arch in archs]),
        (DATASETS, [cell.dataset for cell in distil]),
        (GENERATORS, GENERATORS.names()),  # a cell does not say which ones its method uses
    ]
    return [
        f"{registry.kind} '{name}'"
        for registry, names in used
        for name in dict.fromkeys(names)
        if registry.is_by_hand(name, files)
    ]


def _family(arch: str) -> str:
    return registered_name(arch.partition("(")[0].strip().lower())
