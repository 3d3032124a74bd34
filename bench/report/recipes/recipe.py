"""A recipe of a paper's table: what it is made of, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RecipeRow:
    """Some rows of a table: methods that are run alike.

    What is empty is as the recipe has it.

    Attributes:
        methods: registered names.
        protocol: of the evaluation.
        modes: of generators, ``stream`` and ``frozen``.
        datasets: the columns that these rows have.
        ipcs: likewise.
        archs: what to distil with.
        parameters: of the methods, by name.
    """

    methods: tuple[str, ...]
    protocol: str = ""
    modes: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    ipcs: tuple[int, ...] = ()
    archs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableRecipe:
    """A named table.

    Attributes:
        name: what users type.
        title: in a line.
        datasets: registered or imported names, in the order of the columns.
        ipcs: images per class, in the order of the columns.
        rows: in the order of the table.
        caption: of the table; empty for one that is made of its contents.
        archs: what to distil with.
        eval_archs: what to evaluate with; empty for the same.
        protocol: of the evaluation, unless a row has its own.
        seeds: distilled sets of each cell.
        nets: networks that are trained on each; ``None`` for the protocol's.
        sources: keys of published sources that stand beside ours, preferred ones first.
        columns: the levels of the columns, outermost first.
        transposed: whether methods are columns.
        beside: whether published numbers stand beside ours, not below.
        tables: what is shown, each in a table: ``accuracy``, ``time`` (to distil).
    """

    name: str
    title: str
    datasets: tuple[str, ...]
    ipcs: tuple[int, ...]
    rows: tuple[RecipeRow, ...]
    caption: str = ""
    archs: tuple[str, ...] = ("convnet3",)
    eval_archs: tuple[str, ...] = ()
    protocol: str = "default"
    seeds: int = 1
    nets: int | None = None
    sources: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("dataset", "ipc")
    transposed: bool = False
    beside: bool = False
    tables: tuple[str, ...] = ("accuracy",)

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method, each once, in the order of the rows."""
        return tuple(dict.fromkeys(method for row in self.rows for method in row.methods))
