"""``bench evaluate SOURCE``: a distilled set that was made elsewhere, evaluated as ours are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bench.cli.field_options import build, field_options, take_values
from bench.cli.help_screen import GroupedCommand
from bench.cli.options import examples, time_budget_option
from bench.exchange.request import ImportRequest
from bench.grid.site import Site
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.exchange.imported import ImportSession
    from bench.exchange.reading import Reading


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "bench evaluate res_DM_CIFAR10_ConvNet_10ipc.pt -d cifar10 --name dm-theirs",
        "bench evaluate hf:OWNER/NAME --dataset cifar10 --dry-run",
    ),
)
@click.argument("source")
@field_options(ImportRequest)
@field_options(Site)
@time_budget_option
@click.option("--dry-run", is_flag=True, help="Say how the set is read; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the readings and results as JSON.")
def evaluate(
    source: str, time_budget: float | None, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """Evaluate the distilled set SOURCE and record the result beside our methods'.

    SOURCE is a .pt, .npz or .safetensors file, a folder of CLASS/*.png, a folder with images*.pt
    and labels*.pt, a saved Hugging Face dataset, or hf:OWNER/NAME, with @REVISION and
    :CONFIGURATION behind it where they are not the default. How its values are stored is detected
    and printed; options override it. Files are never unpickled.
    """
    from bench.cli.data import progress_bars
    from bench.cli.live import make_reporter
    from bench.exchange.imported import open_import
    from bench.grid.reporter import Control
    from bench.support.stopping import Interrupted, Stop

    site = build(Site, take_values(Site, given))
    values = take_values(ImportRequest, given)
    if "dataset" not in values:
        raise BenchError("name the --dataset that the set distils; `bench list datasets` lists all")
    request = build(ImportRequest, values)
    control = Control(make_reporter(quiet=as_json), Stop(time_budget))
    with progress_bars() as progress:
        session = open_import(source, request, site, control, progress)
    if not as_json:
        print_readings(session.shown)
    if dry_run:
        if as_json:
            click.echo(json.dumps([reading.to_json() for reading in session.shown], indent=2))
        return
    try:
        failed = session.run()
    except Interrupted as ended:
        click.echo(f"stopped by {ended.why}; the same command continues where it stopped", err=True)
        sys.exit(ended.exit_code)
    _print_results(session, as_json)
    sys.exit(1 if failed else 0)


def print_readings(readings: Sequence[Reading]) -> None:
    """Print how each set was read, and what looks wrong."""
    from rich.console import Console
    from rich.text import Text

    from bench.support.safe_text import printable
    from bench.support.screen_table import ScreenTable, essential_columns

    console = Console(highlight=False, stderr=True)
    for i, reading in enumerate(readings):
        title = "read as" if len(readings) == 1 else f"experiment {i}, read as"
        rows = [
            [
                Text(fact.name),
                Text(printable(fact.value)),
                Text("given" if fact.how == "given" else ""),
            ]
            for fact in reading.facts
        ]
        columns = essential_columns(("property", "value", ""), ("property",))
        console.print(ScreenTable(columns, rows, title))
        for warning in reading.warnings:
            console.print(Text(f"warning: {printable(warning)}", style="bold yellow"))


def _print_results(session: ImportSession, as_json: bool) -> None:
    rows = session.rows()
    if as_json:
        readings = [reading.to_json() for reading in session.shown]
        results = [asdict(row) for row in rows.evaluations]
        failures = [asdict(failure) for failure in rows.failures]
        click.echo(
            json.dumps({"read_as": readings, "results": results, "failures": failures}, indent=2)
        )
        return
    from rich.console import Console

    from bench.report.terminal import print_report

    print_report(*rows, Console())
