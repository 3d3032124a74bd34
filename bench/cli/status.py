"""``bench status``: what is done, running where, failed why, left, hours left."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.cli.options import examples, store_option
from bench.cli.output import writes_to_terminal


@click.command(
    epilog=examples(
        "bench status",
        "bench status --all --store results/runs",
        "bench status --watch",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--all", "everything", is_flag=True, help="Name every cell, finished requests too.")
@click.option(
    "--watch",
    is_flag=True,
    help="Show it again every few seconds, until all is done; waits for a store.",
)
@store_option
def status(as_json: bool, everything: bool, watch: bool, store: Path) -> None:
    """Say what is done, running where, failed why, left, and the hours left.

    What is left is known of the grids that `bench run` was started with on this store.
    """
    from bench.ledger.status import read_status
    from bench.support.errors import BenchError

    if watch and (as_json or not writes_to_terminal()):
        raise BenchError("--watch needs a terminal, and does not go with --json")
    if as_json:
        click.echo(json.dumps(read_status(store).to_json(), indent=2))
        return
    from rich.console import Console

    from bench.cli.status_screen import print_status, wait_for_store, watch_status
    from bench.support.safe_text import printable

    if watch:
        console = Console()
        wait_for_store(store, console)
        watch_status(lambda: read_status(store), console, everything=everything)
        return
    report = read_status(store)
    for line in report.notes:
        click.echo(printable(line), err=True)
    print_status(report, Console(), everything=everything)
