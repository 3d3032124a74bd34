"""``bench retry``: continues what earlier runs left, without their options being given again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.field_options import build, field_options, take_values
from bench.cli.forecast import ask_before_days, forecast, yes_option
from bench.cli.help_screen import GroupedCommand
from bench.cli.options import examples, plugin_option, store_option, time_budget_option
from bench.executors.choose import ExecutorOptions
from bench.grid.request import Reuse
from bench.grid.site import Site
from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from bench.grid.reporter import Control
    from bench.grid.request import Request
    from bench.grid.session import Session
    from bench.ledger.requests import SavedRequest


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "bench retry",
        "bench retry 4f1c --failed --time-budget 8h",
    ),
)
@click.argument("beginnings", metavar="[REQUEST...]", nargs=-1)
@click.option("--failed", is_flag=True,
              help="Only cells that failed, and those that depend on them.")  # fmt: skip
@field_options(Site, "data_dir", "device", "threads", otherwise="the request's")
@field_options(Reuse, "keep_cached", "no_wait")
@time_budget_option
@yes_option
@field_options(ExecutorOptions)
@store_option
@plugin_option
def retry(
    beginnings: tuple[str, ...], failed: bool, time_budget: float | None, yes: bool,
    store: Path, plugins: tuple[Path, ...], **given: Any,
) -> None:  # fmt: skip
    """Run again what earlier requests left: failed, interrupted or never reached.

    REQUEST is an id, or its beginning, as `bench status` shows it; without one, all of the store's.
    A failed cell keeps its log, and its checkpoint if it has one. Exit codes as of `bench run`.
    """
    from bench.ledger.requests import choose_requests

    executor = build(ExecutorOptions, take_values(ExecutorOptions, given))
    executor.check()
    reuse = build(Reuse, take_values(Reuse, given))
    changes = {**take_values(Site, given), "store": str(store), "plugins": tuple(map(str, plugins))}
    left = _left(store, choose_requests(store, beginnings, _print), failed)
    if not left:
        click.echo(f"nothing to run again in '{store}'")
        return
    from bench.cli.live import make_reporter
    from bench.cli.run import run_and_report
    from bench.grid.reporter import Control
    from bench.support.stopping import Stop

    control = Control(make_reporter(quiet=False), Stop(time_budget))
    sessions = [_open(saved, *_reopened(saved, changes), control, reuse) for saved, _ in left]
    estimates = [forecast(session, executor) for session in sessions]
    ask_before_days(sessions, [
        {cell: seconds for cell, seconds in each.items() if cell in ids}
        for each, (_, ids) in zip(estimates, left, strict=True)
    ], yes=yes)  # fmt: skip
    codes = []
    for session, each, (saved, ids) in zip(sessions, estimates, left, strict=True):
        _print(f"request {saved.id}: {saved.command}")
        execute = executor.execution()
        codes.append(run_and_report(session, execute, estimates=each, only=ids))
    sys.exit(max(codes))


def _left(
    store: Path, requests: list[SavedRequest], failed: bool
) -> list[tuple[SavedRequest, set[str]]]:
    """Return the requests that have cells to run again, with those; each cell once."""
    from bench.ledger.cell_state import read_states, states_in_grid
    from bench.ledger.store import Store

    reader = Store(store)
    stored = read_states(reader)
    for line in reader.damaged:
        _print(line)
    again = ("failed",) if failed else ("failed", "interrupted", "left", "running")
    seen: set[str] = set()
    left = []
    for saved in requests:
        ids = {i for i, s in states_in_grid(saved.cells, stored.get).items() if s in again} - seen
        seen |= ids
        if ids:
            left.append((saved, ids))
    return left


def _reopened(saved: SavedRequest, changes: dict[str, Any]) -> tuple[Request, Site]:
    """Return a saved request and its site, with the values that this command changes."""
    from bench.datasets.data_folder import data_dir as data_folder
    from bench.grid.saved_request import reopen_request

    if "data_dir" not in changes and not os.path.isdir(str(saved.spec.get("data_dir"))):
        # The request may have been merged from another machine.
        changes = {**changes, "data_dir": str(data_folder())}
    return reopen_request(saved, **changes)


def _open(
    saved: SavedRequest, request: Request, site: Site, control: Control, reuse: Reuse
) -> Session:
    from bench.api import open_run
    from bench.cli.data import progress_bars

    try:
        with progress_bars() as progress:
            return open_run(request, site, control, progress, reuse)
    except UnknownNameError as error:
        files = saved.spec.get("plugins")
        if not isinstance(files, list) or not files:
            raise
        again = " ".join(f"--plugin {path}" for path in files)
        raise BenchError(
            f"{error} The request used a plugin; no store says which code to run, so name it "
            f"again: {again}"
        ) from error


def _print(line: str) -> None:
    from bench.support.safe_text import printable

    click.echo(printable(line), err=True)
