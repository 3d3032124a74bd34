"""``bench report``: every result of a store as one page for a browser."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import examples
from bench.cli.report_options import read_store, report_options


@click.command(
    epilog=examples(
        "bench report -o page",
        'bench report --dataset cifar10 --title "CIFAR-10"',
    )
)
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("report"),
              show_default=True, help="Folder for report.html.")  # fmt: skip
@click.option("--title", default="", help="Over the page; default: methods and datasets.")
@report_options
def report(output: Path, title: str, store: Path, **filters: list[str] | None) -> None:
    """Write the results in a store as one HTML page.

    It needs no network and no other file: tables to sort, filter and copy, charts with values,
    distilled images, failures, versions, and the data to download.
    """
    from bench.ledger.store import Store
    from bench.report.page.content import make_page
    from bench.report.page.render import write_page

    rows = read_store(store, filters, unfinished=True)
    path = write_page(make_page(rows, Store(store), title), output)
    click.echo(f"{path} ({path.stat().st_size:,} bytes)")
