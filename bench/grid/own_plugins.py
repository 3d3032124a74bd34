"""Plugins that were registered by hand in this process, which no other process knows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.grid.order import dependencies
from bench.grid.plugin_sources import EVALUATES
from bench.ledger.cell import Cell, DistilCell
from bench.networks.architecture import registered_name
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS, Registry

_REGISTRIES: tuple[Registry[type[Any]], ...] = (METHODS, ARCHITECTURES, DATASETS, GENERATORS)


def own_plugins(cells: Iterable[Cell], files: Iterable[str]) -> list[str]:
    """Return the plugins of cells that no other process can load, as ``method 'x'``.

    Every process knows the entry points and the plugin files.

    Args:
        cells: each stands for those that it depends on, too.
        files: the plugin files of the run.
    """
    whole = [each for cell in cells for each in (*dependencies(cell), cell)]
    used = {label for cell in whole for label in _plugins(cell)}
    loadable = {str(Path(path).resolve()) for path in files}
    return [
        label
        for registry in _REGISTRIES
        for name in registry.names()
        if (label := f"{registry.kind} '{name}'") in used and registry.is_by_hand(name, loadable)
    ]


def _plugins(cell: Cell) -> set[str]:
    """Return the plugins that a cell names, and those whose source it depends on."""
    labels = {source.removesuffix(EVALUATES) for source in cell.sources}
    if cell.arch is not None:
        labels.add(f"architecture '{registered_name(cell.arch.partition('(')[0].strip().lower())}'")
    if isinstance(cell, DistilCell):
        labels |= {f"method '{cell.method}'", f"dataset '{cell.dataset}'"}
    return labels
