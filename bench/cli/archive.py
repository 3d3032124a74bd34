"""``bench archive -o FILE``: a selection of a store in one file, for others."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import examples
from bench.cli.report_options import read_store, report_options


@click.command(
    epilog=examples(
        "bench archive -o results.zip",
        "bench archive --dataset cifar10 --method dm -o dm-cifar10.zip",
    )
)
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True,
              help="The file to write, for instance results.zip.")  # fmt: skip
@report_options
def archive(output: Path, store: Path, **filters: list[str] | None) -> None:
    """Bundle records and artefacts of a selection; `bench merge FILE` takes them elsewhere.

    Logs, and absolute paths in requests and records, are left out.
    """
    from bench.ledger.archive import write_archive
    from bench.ledger.store import Store
    from bench.report.number_formats import plural

    rows = read_store(store, filters, unfinished=True)
    ids = [row.cell_id for row in rows.evaluations] + [row.cell_id for row in rows.failures]
    count = write_archive(Store(store), ids, output)
    click.echo(f"written: {output} ({plural(count, 'cell')}, {output.stat().st_size:,} bytes)")
