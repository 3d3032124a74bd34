"""``bench table``: the results of a store in any format."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.report_options import read_store, report_options
from bench.report.estimates import SPREADS, Spread
from bench.report.tables import FORMATS, render


@click.command()
@click.option("--format", "format_", type=click.Choice(FORMATS), default="md", show_default=True,
              help="md, latex: to read; csv, json: every column, nothing rounded.")  # fmt: skip
@click.option("--spread", type=click.Choice(SPREADS), default="sd", show_default=True,
              help="What follows the ±: the standard deviation over networks, or the standard "
              "error or half the 95 % interval of the mean over distilled sets.")  # fmt: skip
@click.option("--published", is_flag=True, help="Show the papers' numbers beside ours.")
@click.option("--published-file", type=click.Path(path_type=Path), metavar="CSV",
              help="Published numbers of your own; implies --published.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@report_options
def table(
    format_: str, spread: Spread, published: bool, published_file: Path | None, output: Path | None,
    store: Path, **filters: list[str] | None,
) -> None:  # fmt: skip
    """Print the results in a store as tables.

    Results of different protocols, profiles, precisions or data are never averaged.
    """
    from bench.report.published.read import load_published

    rows = read_store(store, filters)
    numbers = load_published(published_file) if published or published_file else None
    text = render(rows.evaluations, rows.failures, format=format_, spread=spread, published=numbers)
    if output is None:
        click.echo(text, nl=False)
        return
    from bench.support.atomic_files import replacing, writing

    with writing(output), replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"written: {output}", err=True)
