"""``bench retry``: runs what former runs left, without being given their options again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.executor_options import executor_options
from bench.cli.options import load_plugins, parse_seconds, plugin_option, store_option
from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from bench.executors.choose import ExecutorOptions
    from bench.grid.expand import Request
    from bench.grid.reporter import Control
    from bench.grid.session import Session
    from bench.grid.site import Site
    from bench.ledger.requests import SavedRequest


@click.command()
@click.argument("beginnings", metavar="[REQUEST...]", nargs=-1)
@click.option(
    "--failed", is_flag=True, help="Only cells that failed, and those that depend on them."
)
@click.option("--device", help="auto, cpu, cuda or mps.  [default: the request's]")
@click.option("--time-budget", help="End after 8h, 90m or 30s; the next call does the rest.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=None,
              help="Folder of packed datasets.  [default: the request's]")  # fmt: skip
@executor_options
@store_option
@plugin_option
def retry(
    beginnings: tuple[str, ...], failed: bool, device: str | None, time_budget: str | None,
    data_dir: Path | None, store: Path, plugins: tuple[Path, ...], chosen: ExecutorOptions,
) -> None:  # fmt: skip
    """Run again what former requests left: failed, interrupted or never reached.

    REQUEST is an id, or its beginning, as `bench status` shows it; without one, all of the store's.
    A failed cell keeps its log, and its checkpoint if it has one. Exit codes as of `bench run`.
    """
    from bench.ledger.requests import choose_requests

    budget = parse_seconds(time_budget) if time_budget is not None else None
    load_plugins(plugins)
    left = _left(store, choose_requests(store, beginnings, _print), failed)
    if not left:
        click.echo(f"nothing to run again in '{store}'")
        return
    from bench.cli.live import make_reporter
    from bench.cli.run import compute
    from bench.grid.reporter import Control
    from bench.support.stopping import Stop

    control = Control(make_reporter(quiet=False), Stop(budget))
    code = 0
    for saved, ids in left:
        request, site = _reopened(saved, store, data_dir, device, plugins, chosen.threads)
        session = _open(saved, request, site, control)
        _print(f"request {saved.id}: {saved.command}")
        ended = compute(session, chosen.execution(), only=ids, measure=chosen.is_here)
        code = max(code, ended)
    sys.exit(code)


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


def _reopened(
    saved: SavedRequest, store: Path, data_dir: Path | None, device: str | None,
    plugins: tuple[Path, ...], threads: int | None,
) -> tuple[Request, Site]:  # fmt: skip
    from bench.datasets.library import data_dir as data_folder
    from bench.grid.saved_request import reopen_request

    changes: dict[str, object] = {"store": str(store), "plugins": tuple(map(str, plugins))}
    if data_dir is not None or not os.path.isdir(str(saved.spec.get("data_dir"))):
        changes["data_dir"] = str(data_folder(data_dir))  # the store may come from another machine
    if device is not None:
        changes["device"] = device
    if threads is not None:
        changes["threads"] = threads
    return reopen_request(saved, **changes)


def _open(saved: SavedRequest, request: Request, site: Site, control: Control) -> Session:
    from bench.cli.data import progress_bars
    from bench.grid.session import open_session

    try:
        with progress_bars() as progress:
            return open_session(request, site, control, progress)
    except UnknownNameError as error:
        files = saved.spec.get("plugins")
        if not isinstance(files, list) or not files:
            raise
        again = " ".join(f"--plugin {path}" for path in files)
        raise BenchError(
            f"{error} It was asked with a plugin; no store says which code to run, so name it "
            f"again: {again}"
        ) from error


def _print(line: str) -> None:
    from bench.support.safe_text import printable

    click.echo(printable(line), err=True)
