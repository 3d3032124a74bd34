"""``bench compare``: methods against each other, with intervals of their differences."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.paper_options import to_screen, write_text
from bench.cli.report_options import read_store, report_options
from bench.report.tables import FORMATS
from bench.support.errors import BenchError


@click.command()
@click.argument("what", nargs=-1, metavar="[A B ...]")
@click.option("--format", "format_", type=click.Choice(FORMATS),
              help="md, latex: to read; csv, json: nothing rounded.  [default: fitted to a "
              "terminal, else md]")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@report_options
def compare(
    what: tuple[str, ...], format_: str | None, output: Path | None, store: Path,
    **filters: list[str] | None,
) -> None:  # fmt: skip
    """Compare methods of a store, in pairs of networks that share a seed.

    A and B are methods (dm), methods with values of columns (dim:mode=stream:profile=lite), or the
    ids of cells. Each pair is compared in every cell that both have, and over all of these.

    Without them, every method is compared with random images and with the best coreset, and
    ranked, over the cells of the grid.
    """
    from bench.report.comparison.contenders import find_contenders, select_contenders
    from bench.report.comparison.grid import GridLine, grid_lines
    from bench.report.comparison.pairs import Pair, compare_pairs
    from bench.report.comparison.report import comparison_sections, render

    if len(what) == 1:
        raise BenchError(f"'{what[0]}' needs something to be compared with: name two or more")
    evaluations = read_store(store, filters).evaluations
    items: list[Pair] | list[GridLine]
    if what:
        items = compare_pairs(select_contenders(evaluations, what))
    else:
        items = grid_lines(find_contenders(evaluations))
    if to_screen(format_, output):
        from rich.console import Console

        from bench.report.terminal import print_sections

        print_sections(comparison_sections(items), Console())
        return
    write_text(render("pairs" if what else "grid", items, format=format_ or "md"), output)
