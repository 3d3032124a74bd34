"""``bench reproduce``: a paper's table from its recipe, computed where it is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.completion import completion
from bench.cli.field_options import build, field_options, take_values
from bench.cli.forecast import ask_before_days, forecast, yes_option
from bench.cli.help_screen import GroupedCommand
from bench.cli.options import examples, time_budget_option
from bench.cli.output import writes_to_terminal
from bench.cli.paper_options import PAPER_FORMATS, write_text
from bench.executors.choose import ExecutorOptions
from bench.grid.request import Request, Reuse
from bench.grid.site import Site
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.datasets.source import Progress
    from bench.grid.session import Session
    from bench.ledger.rows import Failure, Rows
    from bench.report.paper.model import PaperTable
    from bench.report.recipes.recipe import TableRecipe
    from bench.report.recipes.requests import Choice

_CHOSEN = ("methods", "datasets", "ipcs", "protocol", "seeds", "eval_nets")
_HOW = ("profile", "precision")


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "bench reproduce --list",
        "bench reproduce dm-main --dataset cifar10 --ipc 1 --dry-run",
    ),
)
@click.argument("name", required=False, shell_complete=completion("recipe"))
@click.option("--list", "list_", is_flag=True, help="List the recipes that come with bench.")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE",
              help="A recipe of your own, a TOML file, in place of NAME.")  # fmt: skip
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what is stored, what is missing and the hours; compute nothing.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(PAPER_FORMATS),
    help="Of what is printed.  [default: fitted to a terminal, else md]",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR",
              help="Folder for the files; a dry run writes its table only into one that is named.  "
              "[default: STORE/report/NAME]")  # fmt: skip
@field_options(Request, *_CHOSEN, otherwise="the recipe's")
@field_options(Request, *_HOW)
@field_options(Site)
@field_options(Reuse)
@time_budget_option
@yes_option
@field_options(ExecutorOptions)
def reproduce(
    name: str | None, list_: bool, recipe: Path | None, dry_run: bool, format_: str | None,
    output: Path | None, time_budget: float | None, yes: bool, **given: Any,
) -> None:  # fmt: skip
    """Compute what is missing for a paper's table, and print it in the paper's form.

    NAME is that of a recipe (--list). The tables in every format, the sources to cite, plots and a
    report page are written into STORE/report/NAME. Like `bench run`, the same command goes on where
    it stopped.
    """
    if list_:
        _list()
        return
    executor = build(ExecutorOptions, take_values(ExecutorOptions, given))
    executor.check()
    site = build(Site, take_values(Site, given))
    reuse = build(Reuse, take_values(Reuse, given))
    asked, choice = _read(name, recipe, take_values(Request, given), site)
    sessions, absent = _open(asked, choice, site, reuse, time_budget)
    code = 0
    if not dry_run:
        code = _compute(sessions, executor, yes=yes)
    rows = _rows(sessions, absent)
    from bench.report.recipes.tables import recipe_tables

    tables = recipe_tables(asked, rows)
    _print(tables, format_)
    from bench.cli.report_files import report_folder, write_outputs, write_paper, write_report_page

    folder = output or report_folder(Path(site.store), asked.name)
    written = [] if dry_run and output is None else write_paper(tables, folder)
    if not dry_run:
        written += write_outputs(rows, folder)
        written += write_report_page(rows, Path(site.store), asked.title, folder)
    if written:
        click.echo("written: " + ", ".join(map(str, written)), err=True)
    if dry_run:
        from bench.cli.reproduce_plan import print_table_plan

        print_table_plan(sessions)
    sys.exit(code)


def _list() -> None:
    from bench.report.recipes.read import built_in_recipes

    recipes = built_in_recipes()
    width = max(len(one.name) for one in recipes)
    for one in recipes:
        click.echo(f"{one.name:{width}}  {one.title}")


def _read(
    name: str | None, path: Path | None, values: dict[str, Any], site: Site
) -> tuple[TableRecipe, Choice]:
    """Return the recipe that is left of what was asked for, and how it is run."""
    from bench.registry.plugin_files import load_plugin_file
    from bench.report.recipes.read import find_recipe, read_recipe
    from bench.report.recipes.requests import Choice, narrow

    if (name is None) == (path is None):
        raise BenchError("name a recipe (`bench reproduce --list`), or give a --recipe FILE")
    for plugin in site.plugins:  # a recipe may name their methods
        load_plugin_file(Path(plugin))
    request = build(Request, values)
    whole = read_recipe(path) if path is not None else find_recipe(str(name))
    choice = Choice(
        methods=request.methods,
        datasets=request.datasets,
        ipcs=request.ipcs if "ipc" in values else (),
        protocol=request.protocol or "",
        profile=request.profile,
        seeds=request.seeds if "seeds" in values else None,
        nets=request.eval_nets,
        precision=request.precision,
    )
    return narrow(whole, choice), choice


def _open(
    recipe: TableRecipe, choice: Choice, site: Site, reuse: Reuse, time_budget: float | None
) -> tuple[list[Session], list[Failure]]:
    """Return what is to be computed, and the cells whose datasets are not on this machine.

    Raises:
        BenchError: for anything wrong with the request, the data or the store; a dataset that the
            user named, or every one of the recipe, is not here.
    """
    from bench.api import open_run
    from bench.cli.data import progress_bars
    from bench.cli.live import make_reporter
    from bench.grid.reporter import Control
    from bench.report.recipes.requests import make_requests
    from bench.report.recipes.unavailable import (
        import_command,
        unavailable_rows,
        without_datasets,
    )
    from bench.support.stopping import Stop

    control = Control(make_reporter(quiet=False), Stop(time_budget))
    with progress_bars() as progress:
        absent = {} if choice.datasets else _absent(recipe.datasets, site, progress)
        requests = make_requests(recipe, choice)
        for name, why in absent.items():
            how = "" if f"data import {name}" in why else f" Here: {import_command(name)}"
            control.reporter.note(f"{name} is left out: {why}{how}")
        sessions = [
            open_run(request, site, control, progress, reuse)
            for request in without_datasets(requests, absent)
        ]
    if not sessions:
        raise BenchError(f"no dataset of '{recipe.name}' is here: {'; '.join(absent.values())}")
    for text in dict.fromkeys(text for session in sessions for text in session.unpublished()):
        control.reporter.note(f"warning: {text}")
    return sessions, unavailable_rows(requests, absent)


def _absent(datasets: Sequence[str], site: Site, progress: Progress) -> dict[str, str]:
    """Return why datasets cannot be had, by name; a damaged file is no reason, but an error."""
    from bench.datasets.data_folder import data_dir, packed_path
    from bench.datasets.library import ensure

    folder, absent = data_dir(Path(site.data_dir)), dict[str, str]()
    for name in datasets:
        try:
            ensure(name, folder, progress)
        except BenchError as error:
            if packed_path(name, folder).exists():
                raise
            absent[name] = str(error)
    return absent


def _compute(sessions: Sequence[Session], executor: ExecutorOptions, *, yes: bool) -> int:
    from bench.cli.run import compute_missing, print_notes

    # All are estimated first: hours later the user may be away.
    estimates = [forecast(session, executor) for session in sessions]
    ask_before_days(sessions, estimates, yes=yes)
    codes = []
    for session, each in zip(sessions, estimates, strict=True):
        codes.append(compute_missing(session, executor.execution(), estimates=each))
        print_notes([*session.kept, *session.warnings()], err=True)
    return max(codes)


def _rows(sessions: Sequence[Session], absent: Sequence[Failure]) -> Rows:
    """Return the results of all requests, and every cell without one: missing ones too."""
    from bench.ledger.record_rows import cell_row
    from bench.ledger.rows import Rows

    rows = Rows([], list(absent))
    for session in sessions:
        own = session.rows()
        rows.evaluations.extend(own.evaluations)
        rows.failures.extend(own.failures)
        # What failed to be distilled is said once, by its own record.
        failed = {row.cell_id for row in own.failures}
        known = failed | {row.cell_id for row in own.evaluations}
        rows.failures.extend(
            cell_row(cell, "missing", "")
            for cell in session.grid.evaluate
            if cell.id not in known and cell.distil.id not in failed
        )
    return rows


def _print(tables: Sequence[PaperTable], format_: str | None) -> None:
    if format_ is None and writes_to_terminal():
        from rich.console import Console

        from bench.report.paper.screen import print_paper

        print_paper(tables, Console())
        return
    from bench.report.paper.render import render_paper

    write_text(render_paper(tables, format_ or "md"), None)
