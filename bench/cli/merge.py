"""``bench merge``: copy the stores of several machines into one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import examples
from bench.ledger.store import DEFAULT_STORE

if TYPE_CHECKING:
    from bench.ledger.merging import Merged


@click.command(
    epilog=examples(
        "bench merge /mnt/node1/runs results.zip --into results/runs",
    )
)
@click.argument("sources", metavar="STORE|ARCHIVE...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option("--into", "--store", "destination", type=click.Path(path_type=Path),
              default=DEFAULT_STORE, show_default=True, help="The store to copy into.")  # fmt: skip
def merge(sources: tuple[Path, ...], destination: Path) -> None:
    """Copy the stores of several machines into one, by the identity of cells.

    A result replaces a failure. Two different results of one cell are a conflict: both are shown,
    and --into keeps its own. A file of `bench archive` is merged like a store. Exit code 1 if there
    is a conflict or anything was left out.
    """
    from bench.ledger.merging import COUNTS
    from bench.ledger.store import Store
    from bench.report.number_formats import plural
    from bench.support.safe_text import printable

    for source in sources:
        if not source.is_file():
            Store(source).check_readable()  # before anything is copied
    problems = 0
    for source in sources:
        merged = _merged(source, destination)
        counted = [f"{merged.counts[name]:,} {name}" for name in COUNTS if merged.counts[name]]
        click.echo(f"{source}: {', '.join(counted) or 'nothing to copy'}")
        for line in merged.problems:
            click.echo(printable(f"  {line}"))
        problems += len(merged.problems)
    if problems:
        click.echo(f"{plural(problems, 'line')} above to look at; '{destination}' kept what it had")
        sys.exit(1)


def _merged(source: Path, destination: Path) -> Merged:
    from bench.ledger.archive import unpacked
    from bench.ledger.merging import merge_store
    from bench.ledger.store import Store

    if not source.is_file():
        return merge_store(source, destination)
    Store(destination).prepare()
    with unpacked(source, destination) as store:
        return merge_store(store, destination)
