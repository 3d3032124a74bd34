"""``bench table``: the results of a store in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import examples
from bench.cli.paper_options import (
    PAPER_FORMATS,
    PAPER_LAYOUTS,
    paper_options,
    read_layout,
    read_sources,
    take_paper_options,
    to_screen,
    write_text,
)
from bench.cli.report_options import read_store, report_options
from bench.report.at_budget import Budget
from bench.report.estimates import SPREADS, Spread
from bench.report.tables import FORMATS, render, report_sections
from bench.support.errors import BenchError
from bench.support.garbage import without_garbage_collection

if TYPE_CHECKING:
    from bench.ledger.rows import Rows


@click.command(
    epilog=examples(
        "bench table",
        "bench table --layout paper --format latex --dataset cifar10 --ipc 1,10,50",
    )
)
@click.option("--layout", type=click.Choice(("full", *PAPER_LAYOUTS)), default="full",
              show_default=True, help="full: every result with its budgets. paper: methods as "
              "rows, datasets and IPC as columns; paper-transposed: the other way.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(PAPER_FORMATS),
              help="md, latex, html (paper layouts): to read; csv, json: nothing rounded in the "
              "full layout.  [default: fitted to a terminal, else md]")  # fmt: skip
@click.option("--spread", type=click.Choice(SPREADS), default="sd", show_default=True,
              help="What follows the ±: the standard deviation over networks, or the standard "
              "error or half the 95 % interval of the mean over distilled sets.")  # fmt: skip
@click.option("--at", metavar="QUANTITY=N",
              help="Compare at an equal budget, steps=1000, images=5000, bytes=30000 or ipc=10: of "
              "each method the result nearest below.")  # fmt: skip
@click.option("--published", is_flag=True, help="Show the papers' numbers beside ours.")
@click.option("--published-file", type=click.Path(path_type=Path), metavar="CSV",
              help="Published numbers of your own; implies --published.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@paper_options
@report_options
def table(
    layout: str, format_: str | None, spread: Spread, at: str | None, published: bool,
    published_file: Path | None, output: Path | None, store: Path, **options: Any,
) -> None:  # fmt: skip
    """Print the results in a store as tables.

    Results of different protocols, profiles, precisions or data are never averaged. The order of
    --dataset, --ipc, --method and --eval-arch is that of a paper's table.
    """
    paper = take_paper_options(options)
    numbers = published or published_file is not None
    budget = None if at is None else Budget.parse(at)
    if layout == "full":
        _refuse_paper_options(paper, format_)
        rows = read_store(store, options)
        _full(rows, format_, spread, budget, published_file, output, published=numbers)
        return
    if budget is not None:
        raise BenchError("--at goes with --layout full")
    chosen = read_layout(layout, paper, options)
    sources = read_sources(paper["sources"], published_file) if numbers else None
    from bench.report.aggregate import collect
    from bench.report.paper.build import paper_tables
    from bench.report.paper.render import render_paper

    rows = read_store(store, options)
    tables = paper_tables(collect(rows.evaluations, spread), rows.failures, chosen, sources)
    if to_screen(format_, output):
        from rich.console import Console

        from bench.report.paper.screen import print_paper

        print_paper(tables, Console())
        return
    write_text(render_paper(tables, format_ or "md"), output)


def _refuse_paper_options(paper: dict[str, Any], format_: str | None) -> None:
    """Refuse what the full layout has not."""
    given = [name for name, value in paper.items() if value]
    if given:
        flag = {"sources": "source"}.get(given[0], given[0]).replace("_", "-")
        raise BenchError(f"--{flag} goes with --layout paper or paper-transposed")
    if format_ is not None and format_ not in FORMATS:
        raise BenchError(f"--format {format_} goes with --layout paper or paper-transposed")


@without_garbage_collection()
def _full(
    rows: Rows,
    format_: str | None,
    spread: Spread,
    at: Budget | None,
    published_file: Path | None,
    output: Path | None,
    *,
    published: bool,
) -> None:
    from bench.report.published.read import load_published

    numbers = load_published(published_file) if published else None
    if to_screen(format_, output):
        from rich.console import Console

        from bench.report.aggregate import collect
        from bench.report.terminal import print_sections

        sections = report_sections(collect(rows.evaluations, spread), rows.failures, numbers, at)
        print_sections(sections, Console())
        return
    text = render(
        rows.evaluations,
        rows.failures,
        format=format_ or "md",
        spread=spread,
        published=numbers,
        at=at,
    )
    write_text(text, output)
