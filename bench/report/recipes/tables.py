"""The tables of a recipe, filled with results and with published numbers."""

from __future__ import annotations

from bench.ledger.rows import Rows
from bench.report.aggregate import collect
from bench.report.paper.build import paper_tables
from bench.report.paper.model import PaperTable
from bench.report.paper.published import PublishedNumbers
from bench.report.published.read import load_published
from bench.report.recipes.recipe import TableRecipe
from bench.report.recipes.requests import make_layouts


def recipe_tables(recipe: TableRecipe, rows: Rows) -> list[PaperTable]:
    """Return the tables of a recipe.

    Args:
        recipe: what they show, and whose published numbers stand beside ours.
        rows: the evaluations to show, and the cells that have no result.
    """
    published = PublishedNumbers(load_published(), recipe.sources)
    results = collect(rows.evaluations)
    return [
        table
        for layout in make_layouts(recipe)
        for table in paper_tables(results, rows.failures, layout, published)
    ]
