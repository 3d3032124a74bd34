"""``bench status``: what is done, running where, failed why, left, hours left."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.cli.options import examples, store_option


@click.command(
    epilog=examples(
        "bench status",
        "bench status --all --store results/runs",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--all", "everything", is_flag=True, help="Name every cell, finished requests too.")
@store_option
def status(as_json: bool, everything: bool, store: Path) -> None:
    """Say what is done, running where, failed why, left, and the hours left.

    What is left is known of the grids that `bench run` was started with on this store.
    """
    from bench.ledger.status import read_status

    report = read_status(store)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
        return
    from rich.console import Console

    from bench.cli.status_screen import print_status
    from bench.support.safe_text import printable

    for line in report.notes:
        click.echo(printable(line), err=True)
    print_status(report, Console(), everything=everything)
