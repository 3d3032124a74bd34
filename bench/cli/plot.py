"""``bench plot``: the plots of a store."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.report_options import read_store, report_options
from bench.report.plots import PLOTS
from bench.report.plots.gallery import with_artefacts
from bench.support.atomic_files import writing
from bench.support.safe_text import printable


@click.command()
@click.argument("kind", type=click.Choice(list(PLOTS)))
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("plots"),
              show_default=True, help="Folder for the files.")  # fmt: skip
@report_options
def plot(kind: str, output: Path, store: Path, **filters: list[str] | None) -> None:
    """Draw a plot of the results in a store, as PNG and SVG.

    accuracy: against images per class. cost: against the time to distil and the bytes to store.
    gallery: the distilled images themselves. cross-arch: as heat maps over the architectures
    evaluated with (``bench run --eval-arch``).
    """
    evaluations = read_store(store, filters).evaluations
    if kind == "gallery":
        evaluations, left_out = with_artefacts(evaluations)
        for line in left_out:
            click.echo(printable(line), err=True)
    with writing(output):
        files = PLOTS[kind](evaluations, output)
    for path in files:
        click.echo(path)
