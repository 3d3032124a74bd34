"""From a recipe to requests, and to the layout of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.grid.request import Request
from bench.report.paper.layout import Layout, Quantity
from bench.report.recipes.recipe import RecipeRow, TableRecipe
from bench.support.errors import BenchError, UnknownNameError


@dataclass(frozen=True)
class Choice:
    """What a user chooses of a recipe, or instead of it; what is empty is the recipe's.

    Attributes:
        methods: of those of the recipe.
        datasets: any; one that the recipe does not have gets all of its rows.
        ipcs: any.
        protocol: for all rows.
        profile: ``paper``, ``day``, ``lite`` or ``smoke``. All but ``paper`` have their own
            protocol, seeds and networks.
        seeds: distilled sets of each cell.
        nets: networks that are trained on each.
        precision: ``fp32``, ``tf32`` or ``bf16``.
    """

    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    ipcs: Sequence[int] = ()
    protocol: str = ""
    profile: str = "paper"
    seeds: int | None = None
    nets: int | None = None
    precision: str = "fp32"

    @property
    def suffix(self) -> str:
        """What the name of a table has more than that of the recipe: what was chosen."""
        parts = [] if self.profile == "paper" else [self.profile]
        parts += [*self.datasets, *self.methods, *(f"ipc{ipc}" for ipc in self.ipcs)]
        parts += [self.protocol] if self.protocol else []
        return "".join(f"-{part}" for part in parts)


def narrow(recipe: TableRecipe, choice: Choice) -> TableRecipe:
    """Return a recipe with the rows, datasets and IPC that a user chose, under a name of its own.

    Raises:
        UnknownNameError: the recipe does not have a method.
        BenchError: nothing of the recipe is left.
    """
    for method in choice.methods:
        if method not in recipe.methods:
            raise UnknownNameError(f"method in recipe '{recipe.name}'", method, recipe.methods)
    rows = (_narrow_row(row, recipe, choice) for row in recipe.rows)
    narrowed = replace(
        recipe,
        name=recipe.name + choice.suffix,
        datasets=tuple(choice.datasets) or recipe.datasets,
        ipcs=tuple(choice.ipcs) or recipe.ipcs,
        rows=tuple(row for row in rows if row is not None),
    )
    if not narrowed.rows:
        raise BenchError(f"nothing of recipe '{recipe.name}' has these values together")
    return narrowed


def make_requests(recipe: TableRecipe, choice: Choice) -> list[Request]:
    """Return the requests for the cells of a recipe; rows that are run alike share one.

    Args:
        recipe: a recipe that is narrowed already.
        choice: how it is run.
    """
    requests: list[Request] = []
    for row in recipe.rows:
        overrides = {method: dict(row.parameters) for method in row.methods if row.parameters}
        one = _request(recipe, row, choice, overrides)
        alike = next((i for i, other in enumerate(requests) if _alike(one, other)), None)
        if alike is None:
            requests.append(one)
        else:
            other = requests[alike]
            methods = tuple(dict.fromkeys((*other.methods, *one.methods)))
            both = {**other.overrides, **one.overrides}
            requests[alike] = replace(other, methods=methods, overrides=both)
    return requests


def make_layouts(recipe: TableRecipe) -> list[Layout]:
    """Return the layout of each table of a recipe."""
    quantities: dict[str, Quantity] = {"accuracy": "accuracy", "time": "time"}
    return [
        Layout(
            name=recipe.name if table == "accuracy" else f"{recipe.name}-{table}",
            caption=recipe.caption if table == "accuracy" else "",
            methods=recipe.methods,
            datasets=recipe.datasets,
            ipcs=recipe.ipcs,
            eval_archs=recipe.eval_archs,
            columns=recipe.columns,
            join_protocols=True,
            transposed=recipe.transposed,
            placement="beside" if recipe.beside else "under",
            complete=True,
            quantity=quantities[table],
        )
        for table in recipe.tables
    ]


def _request(
    recipe: TableRecipe,
    row: RecipeRow,
    choice: Choice,
    overrides: Mapping[str, Mapping[str, Any]],
) -> Request:
    whole = choice.profile == "paper"
    protocol = choice.protocol or (row.protocol or recipe.protocol if whole else None)
    return Request(
        methods=row.methods,
        datasets=row.datasets or recipe.datasets,
        ipcs=row.ipcs or recipe.ipcs,
        archs=row.archs or recipe.archs,
        eval_archs=recipe.eval_archs,
        protocol=protocol,
        modes=row.modes,
        seeds=choice.seeds or (recipe.seeds if whole else 1),
        eval_nets=choice.nets or (recipe.nets if whole else None),
        profile=choice.profile,
        overrides=overrides,
        precision=choice.precision,
    )


def _alike(one: Request, other: Request) -> bool:
    """Return whether two requests differ in their methods alone, and share none of those."""
    same = replace(one, methods=(), overrides={}) == replace(other, methods=(), overrides={})
    return same and not set(one.methods) & set(other.methods)


def _narrow_row(row: RecipeRow, recipe: TableRecipe, choice: Choice) -> RecipeRow | None:
    """Return what is left of a row; ``None`` if it is nothing."""
    methods = tuple(m for m in row.methods if not choice.methods or m in choice.methods)
    datasets, ipcs = row.datasets, row.ipcs
    if datasets and choice.datasets:
        # A dataset that the recipe does not know is as good as any for every row.
        datasets = tuple(
            d for d in choice.datasets if d in row.datasets or d not in recipe.datasets
        )
        if not datasets:
            return None
    if ipcs and choice.ipcs:
        ipcs = tuple(i for i in choice.ipcs if i in row.ipcs or i not in recipe.ipcs)
        if not ipcs:
            return None
    return replace(row, methods=methods, datasets=datasets, ipcs=ipcs) if methods else None
