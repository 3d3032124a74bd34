"""``bench compare``: methods against each other, with intervals of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.completion import completion
from bench.cli.options import examples
from bench.cli.paper_options import to_screen, write_text
from bench.cli.report_options import read_store, report_options
from bench.report.tables import FORMATS
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.ledger.rows import Evaluation
    from bench.report.comparison.dd_ranking import ScoreLine
    from bench.report.comparison.grid import GridLine
    from bench.report.comparison.pairs import Pair


@click.command(
    epilog=examples(
        "bench compare",
        "bench compare dim:mode=stream dm --dataset cifar10",
    )
)
@click.argument("what", nargs=-1, metavar="[A B ...]", shell_complete=completion("method"))
@click.option("--scores", is_flag=True, help="DD-Ranking's LRS and ARS, of all methods or A B ...")
@click.option("--format", "format_", type=click.Choice(FORMATS),
              help="md, latex: to read; csv, json: nothing rounded.  [default: fitted to a "
              "terminal, else md]")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@report_options
def compare(
    what: tuple[str, ...], scores: bool, format_: str | None, output: Path | None, store: Path,
    **filters: list[str] | None,
) -> None:  # fmt: skip
    """Compare methods of a store, in pairs of networks that share a seed.

    A and B are methods (dm), methods with values of columns (dim:mode=stream:profile=lite), or the
    ids of cells. Each pair is compared in every cell that both have, and over all of these.

    Without A and B, every method is compared with random images and with the best coreset, and
    ranked, over the cells of the grid.
    """
    from bench.report.comparison.report import comparison_sections, render

    if len(what) == 1 and not scores:
        raise BenchError(f"'{what[0]}' needs something to be compared with: name two or more")
    evaluations = read_store(store, filters).evaluations
    kind, items = ("scores", _scores(evaluations, what)) if scores else _compared(evaluations, what)
    if to_screen(format_, output):
        from rich.console import Console

        from bench.report.terminal import print_sections

        print_sections(comparison_sections(items), Console())
        return
    write_text(render(kind, items, format=format_ or "md"), output)


def _compared(
    evaluations: Sequence[Evaluation], what: Sequence[str]
) -> tuple[str, Sequence[Pair] | Sequence[GridLine]]:
    """Return the name of what is printed, and its lines."""
    from bench.report.comparison.contenders import find_contenders, select_contenders
    from bench.report.comparison.grid import grid_lines
    from bench.report.comparison.pairs import compare_pairs

    if what:
        return "pairs", compare_pairs(select_contenders(evaluations, what))
    return "grid", grid_lines(find_contenders(evaluations))


def _scores(evaluations: Sequence[Evaluation], what: Sequence[str]) -> Sequence[ScoreLine]:
    from bench.report.comparison.contenders import find_contenders, select_contenders
    from bench.report.comparison.dd_ranking import score_lines

    every = find_contenders(evaluations)
    named = [one for group in select_contenders(evaluations, what) for one in group]
    lines = score_lines(named or every, every)
    if not lines:
        raise BenchError(
            "no result has a score: random images and the whole dataset are what others are "
            "compared with, and an epoch must not be chosen on the test set"
        )
    return lines
