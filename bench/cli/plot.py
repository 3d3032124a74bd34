"""``bench plot``: the plots of a store."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import FiniteRange, examples
from bench.cli.report_options import read_store, report_options
from bench.report.estimates import SPREADS, Spread
from bench.report.plots import PLOTS, PUBLISHED, PlotOptions
from bench.report.plots.gallery import with_artefacts
from bench.report.plots.options import parse_size
from bench.report.published.read import Published, load_published
from bench.support.atomic_files import writing
from bench.support.errors import BenchError
from bench.support.safe_text import printable


@click.command(
    epilog=examples(
        "bench plot accuracy --dataset cifar10 -o plots",
        "bench plot gallery --method dm --ipc 10",
    )
)
@click.argument("kind", type=click.Choice(list(PLOTS)), metavar="KIND")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("plots"),
              show_default=True, help="Folder for the files.")  # fmt: skip
@click.option("--title", default="", help="A title above the plot.")
@click.option("--no-notes", is_flag=True, help="Leave out how the results were measured.")
@click.option("--size", help="Width and height in inches, 7x4; or the width only, 3.3.")
@click.option("--font-size", type=FiniteRange(min=1), default=PlotOptions.font_size,
              metavar="POINTS", show_default=True, help="Size of the letters.")  # fmt: skip
@click.option("--max-panels", type=click.IntRange(min=1), default=PlotOptions.max_panels,
              metavar="N", show_default=True,
              help="With more panels, each dataset has one.")  # fmt: skip
@click.option("--spread", type=click.Choice(SPREADS), default="sd", show_default=True,
              help="What error bars are: as of `bench table`.")  # fmt: skip
@click.option(
    "--published",
    is_flag=True,
    help=f"{', '.join(PUBLISHED)}: draw the papers' numbers beside ours.",
)
@click.option("--published-file", type=click.Path(path_type=Path), metavar="CSV",
              help="Published numbers of your own; implies --published.")  # fmt: skip
@report_options
def plot(
    kind: str,
    output: Path,
    title: str,
    no_notes: bool,
    size: str | None,
    font_size: float,
    max_panels: int,
    spread: Spread,
    published: bool,
    published_file: Path | None,
    store: Path,
    **filters: list[str] | None,
) -> None:
    """Draw a plot of the results in a store, as PNG, SVG and PDF.

    accuracy: against images per class. cost: against the time to distil and the bytes to store.
    budget: against IPC, training steps, images and bytes. pareto: the results that no other beats
    in bytes or in time. rank: the average rank of each method. learning: against the steps of the
    distillation (`bench run --evaluate-at`). gallery: the distilled images themselves.
    cross-arch: as heat maps over the architectures evaluated with (`bench run --eval-arch`).
    """
    width, height = (None, None) if size is None else parse_size(size)
    numbers: list[Published] = []
    if published or published_file is not None:
        if kind not in PUBLISHED:
            raise BenchError(f"--published goes with {', '.join(PUBLISHED)}, not with {kind}")
        numbers = load_published(published_file)
    options = PlotOptions(
        printable(title), not no_notes, width, height, font_size, max_panels, spread,
        tuple(numbers), _say,
    )  # fmt: skip
    evaluations = read_store(store, filters, unfinished=kind == "learning").evaluations
    if kind == "gallery":
        evaluations, left_out = with_artefacts(evaluations)
        for line in left_out:
            _say(line)
    with writing(output):
        files = PLOTS[kind](evaluations, output, options)
    for path in files:
        click.echo(path)


def _say(line: str) -> None:
    click.echo(printable(line), err=True)
