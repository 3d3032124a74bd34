"""``bench published``: the numbers of papers, without any results."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import CommaList, examples
from bench.cli.paper_options import PAPER_FORMATS, PAPER_LAYOUTS, to_screen, write_text


@click.command(
    epilog=examples(
        "bench published --method DM --dataset CIFAR10",
        "bench published --layout paper --format latex",
    )
)
@click.option("--method", type=CommaList(), help="Only these methods, as sources name them.")
@click.option("--dataset", type=CommaList(), help="Only these datasets.")
@click.option("--ipc", type=CommaList(), help="Only these IPC; all: whole datasets.")
@click.option("--eval-arch", type=CommaList(), help="Only numbers evaluated with these networks.")
@click.option("--source", type=CommaList(), metavar="KEYS", help="Only these sources.")
@click.option("--layout", type=click.Choice(("list", *PAPER_LAYOUTS)), default="list",
              show_default=True, help="list: a line per number. paper: methods as rows, datasets "
              "and IPC as columns, one source per number.")  # fmt: skip
@click.option("--sources", is_flag=True, help="List the sources and their keys.")
@click.option(
    "--format",
    "format_",
    type=click.Choice((*PAPER_FORMATS, "bib")),
    help="bib: the sources as BibTeX.  [default: fitted to a terminal, else md]",
)
@click.option("--published-file", type=click.Path(path_type=Path), metavar="CSV",
              help="Published numbers of your own.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
def published(
    layout: str, sources: bool, format_: str | None, published_file: Path | None,
    output: Path | None, **chosen: list[str] | None,
) -> None:  # fmt: skip
    """Print accuracies that papers and their repositories print, each with its source.

    Sources that disagree keep a line each; nothing is averaged.
    """
    from bench.report.published.browse import select_published
    from bench.report.published.read import load_published
    from bench.report.published.sources import bibliography, cite_key, cited

    numbers = select_published(load_published(published_file), chosen)
    if sources or format_ == "bib":
        entries = cited(map(cite_key, numbers))
        listed = "".join(f"{one.key}: {one.reference}\n" for one in entries)
        write_text(bibliography(entries) if format_ == "bib" else listed, output)
        return
    from bench.report.paper.layout import Layout
    from bench.report.paper.published_table import number_list, published_tables
    from bench.report.paper.render import render_paper

    if layout == "list":
        tables = [number_list(numbers)]
    else:
        ipcs = [int(ipc) for ipc in chosen["ipc"] or () if ipc.isdecimal()]
        order = Layout(
            datasets=chosen["dataset"] or (), ipcs=ipcs, transposed=layout == "paper-transposed"
        )
        tables = published_tables(numbers, order, chosen["source"] or ())
    if to_screen(format_, output):
        from rich.console import Console

        from bench.report.paper.screen import print_paper

        print_paper(tables, Console())
        return
    write_text(render_paper(tables, format_ or "md"), output)
