"""``bench run``: the grid, from names to a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.config_file import NEED_TRUST, read_config, write_config
from bench.cli.field_options import build, field_options, read_settings, take_values
from bench.cli.forecast import ask_before_days, forecast, yes_option
from bench.cli.help_screen import GroupedCommand
from bench.cli.options import examples, time_budget_option
from bench.executors.choose import ExecutorOptions
from bench.grid.request import Request, Reuse
from bench.grid.site import Site
from bench.tracking import Tracking, tracked

if TYPE_CHECKING:
    from bench.grid.runner import Execute
    from bench.grid.session import Session

# The parameters of the command that are not named like their key in a file.
_PARAMETERS = {"json": "as_json"}


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "bench run -m random,dm -d digits --ipc 1,10 --profile smoke",
        "bench run -m dm -d cifar10 --set dm.iterations=200 --dry-run",
        "bench run --config grid.toml --time-budget 8h",
    ),
)
@field_options(Request)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="TOML file with options, without dashes; those of the command line come first.",
)
@click.option(
    "--trust-config",
    is_flag=True,
    help="The file may also say which code runs, on which machines, and where files are: plugin, "
    "store, data_dir, address and slurm.",
)
@click.option(
    "--save-config",
    type=click.Path(path_type=Path),
    help="Write the options to a file for --config, and end.",
)
@field_options(Site)
@field_options(Reuse)
@field_options(Tracking)
@time_budget_option
@yes_option
@click.option("--dry-run", is_flag=True, help="List the cells and an estimate; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@field_options(ExecutorOptions)
def run(
    config: Path | None,
    trust_config: bool,
    save_config: Path | None,
    time_budget: float | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Distil, evaluate and tabulate a grid of datasets x methods x IPC x architectures.

    Each distillation and each evaluation is a cell. What the store already holds is not computed
    again, and what another run is computing is waited for. SIGINT (Ctrl-C) or SIGTERM ends a run
    after the current step; the same command then continues where it stopped. Exit code 1: a cell
    failed, or was left to another run; 2: wrong
    input.
    """
    started = time.perf_counter()
    flags = {"yes": yes, "dry_run": dry_run, "json": as_json}
    others = {"time_budget": time_budget, **{name: flag or None for name, flag in flags.items()}}
    command = {k: v for k, v in {**given, **others}.items() if v is not None and v != ()}
    in_file = read_config(config, trusted=trust_config) if config else {}
    # A variable of the environment is a default, which a file overrules.
    by_default = [name for name in command if name in in_file and not _is_typed(name)]
    values = read_settings({k: v for k, v in command.items() if k not in by_default}, in_file)
    if save_config is not None:
        given_by_user = (k for k in values if k in in_file or _is_typed(k) or k == "set")
        _save_config({k: values[k] for k in given_by_user}, save_config)
        return
    time_budget = values.pop("time_budget", None)
    yes, dry_run, as_json = (values.pop(name, False) for name in flags)
    executor = build(ExecutorOptions, take_values(ExecutorOptions, values))
    executor.check()
    site = build(Site, take_values(Site, values))
    reuse = build(Reuse, take_values(Reuse, values))
    tracking = build(Tracking, take_values(Tracking, values))
    request = build(Request, take_values(Request, values))
    keeps = dry_run and executor.is_here and reuse in (Reuse(), Reuse(no_wait=True))
    if keeps and _print_kept(request, site, as_json=as_json):
        return
    execute = executor.execution()
    from bench.api import open_run
    from bench.cli.data import progress_bars
    from bench.cli.live import make_reporter
    from bench.grid.reporter import Control
    from bench.support.stopping import Stop

    reporter = tracked(make_reporter(quiet=as_json), tracking.track, Path(site.store))
    control = Control(reporter, Stop(time_budget))
    with progress_bars() as progress:
        session = open_run(request, site, control, progress, reuse)
    warnings = [f"warning: {text}" for text in session.unpublished()]
    for text in warnings:
        session.runner.reporter.note(text)
    if dry_run:
        from bench.cli.dry_run import print_plan

        notes = [*session.notes, *warnings]
        print_plan(session, notes, started=started, as_json=as_json, keeps=keeps)
        return
    estimates = forecast(session, executor)
    ask_before_days([session], [estimates], yes=yes)
    sys.exit(run_and_report(session, execute, estimates=estimates, as_json=as_json))


def _is_typed(name: str) -> bool:
    """Return whether an option was given on the command line, not by the environment."""
    from click.core import ParameterSource

    source = click.get_current_context().get_parameter_source(_PARAMETERS.get(name, name))
    return source is ParameterSource.COMMANDLINE


def _print_kept(request: Request, site: Site, *, as_json: bool) -> bool:
    """Print the plan of a request that was planned before, and return whether there is one."""
    from bench.grid.kept_run import find_kept_run

    kept = find_kept_run(request, site)
    if kept is None:
        return False
    from bench.cli.dry_run import print_kept

    print_kept(kept, as_json=as_json)
    return True


def _save_config(values: dict[str, Any], path: Path) -> None:
    """Write the options that the user gave to a file, and say if reading it needs trust."""
    from bench.cli.paper_options import write_text

    write_text(write_config(values), path)
    trusting = [f"--{name.replace('_', '-')}" for name in NEED_TRUST if name in values]
    if trusting:
        click.echo(f"it names {', '.join(trusting)}: use it with --trust-config", err=True)


def run_and_report(
    session: Session,
    execute: Execute,
    *,
    estimates: Mapping[str, float],
    only: Container[str] | None = None,
    as_json: bool = False,
) -> int:
    """Compute what a session lacks, print the results, and return the exit code.

    The tables and plots are written into ``STORE/report/ID``, where ``ID`` is that of the request:
    another request never writes over them.

    Args:
        session: the request.
        execute: what computes the cells.
        estimates: seconds by cell id, where known, see :mod:`bench.cli.forecast`.
        only: ids; of the missing cells only those that are, or depend on, one of them.
        as_json: print JSON instead of tables.
    """
    code = compute_missing(session, execute, estimates=estimates, only=only)
    _report(session, as_json, Path(session.site.store))
    return code


def compute_missing(
    session: Session,
    execute: Execute,
    *,
    estimates: Mapping[str, float],
    only: Container[str] | None = None,
) -> int:
    """Compute what a session lacks and return the exit code; see :func:`run_and_report`.

    An interruption ends the process, with the exit code of its signal.
    """
    from bench.support.stopping import Interrupted

    try:
        outcome = session.run(estimates, execute, only)
    except Interrupted as ended:
        click.echo(f"stopped by {ended.why}; the same command continues where it stopped", err=True)
        sys.exit(ended.exit_code)
    in_time = session.runner.control.stop.requested  # a spent budget is expected to stop cells
    stopped = 0 if in_time else outcome.counts.get("stopped", 0)
    return 1 if stopped or outcome.counts.get("failed") or outcome.counts.get("busy") else 0


def _report(session: Session, as_json: bool, store: Path) -> None:
    rows, notes = session.rows(), [*session.kept, *session.warnings()]
    from bench.report.tables import render

    if as_json:
        from bench.report.aggregate import collect
        from bench.report.chance import chance_notes

        click.echo(render(*rows, format="json"))
        print_notes([*notes, *chance_notes(collect(rows.evaluations))], err=True)
        return
    from rich.console import Console

    from bench.cli.report_files import report_folder, write_outputs
    from bench.report.terminal import print_report

    print_report(*rows, Console())
    if session.request.evaluate_at:
        notes.append(
            "sets before the last step are not in the tables: bench plot learning, bench report"
        )
    print_notes(notes)
    written = write_outputs(rows, report_folder(store, session.request_id))
    click.echo("written: " + ", ".join(str(p) for p in written))


def print_notes(notes: Sequence[str], *, err: bool = False) -> None:
    """Print lines about a run; on standard error, if asked for."""
    from bench.support.safe_text import printable

    for line in notes:
        click.echo(f"note: {printable(line)}", err=err)
