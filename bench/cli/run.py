"""``bench run``: the grid, from names to a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.config_file import read_config
from bench.cli.executor_options import executor_options
from bench.cli.options import (
    CommaList,
    FiniteRange,
    data_dir_option,
    load_plugins,
    parse_ipcs,
    parse_seconds,
    parse_settings,
    plugin_option,
    store_option,
)
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.executors.choose import ExecutorOptions
    from bench.grid.expand import Request
    from bench.grid.runner import Execute
    from bench.grid.session import Session

_LONG = 24 * 3600.0


@click.command()
@click.option("--method", "-m", type=CommaList(), help="Methods, e.g. random,dm,dim; or all.")
@click.option("--dataset", "-d", type=CommaList(), help="Datasets, e.g. digits,mnist.")
@click.option("--ipc", type=CommaList(), help="Images per class.  [default: 1,10,50]")
@click.option("--arch", type=CommaList(), help="Distil with.  [default: convnet3]")
@click.option("--eval-arch", type=CommaList(), help="Evaluate with.  [default: as --arch]")
@click.option("--protocol", help="How to judge.  [default: the profile's]")
@click.option("--mode", type=CommaList(), help="For generators: stream,frozen.  [default: both]")
@click.option("--seeds", type=int, help="Distillations per cell.  [default: 1]")
@click.option("--eval-nets", type=int, help="Networks per distilled set.  [default: protocol's]")
@click.option("--profile", help="paper, lite or smoke.  [default: paper]")
@click.option("--set", "settings", multiple=True, metavar="METHOD.KEY=VALUE",
              help="Set a method's parameter; repeatable.")  # fmt: skip
@click.option("--precision", help="fp32 or bf16.  [default: fp32]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with the options above.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--time-budget", help="End after 8h, 90m or 30s; the next call does the rest.")
@click.option("--checkpoint-every", type=FiniteRange(min=0), default=60.0, show_default=True,
              metavar="SECONDS", help="How often a running cell is kept.")  # fmt: skip
@click.option("--deterministic", is_flag=True, help="The same bits every time on a GPU; slower.")
@click.option("--dry-run", is_flag=True, help="List the cells and an estimate; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@executor_options
@store_option
@data_dir_option
@plugin_option
def run(
    config: Path | None, settings: tuple[str, ...], device: str, dry_run: bool, as_json: bool,
    store: Path, data_dir: Path | None, plugins: tuple[Path, ...], time_budget: str | None,
    checkpoint_every: float, deterministic: bool, chosen: ExecutorOptions, **given: Any,
) -> None:  # fmt: skip
    """Distil, evaluate and tabulate a grid of datasets x methods x IPC x architectures.

    What the store already holds is not computed again. SIGINT (Ctrl-C) or SIGTERM ends a run after
    the current step; the same command then continues where it stopped.
    """
    budget = parse_seconds(time_budget) if time_budget is not None else None
    load_plugins(plugins)
    options = read_config(config) if config else {}
    options.update({k: v for k, v in given.items() if v is not None})
    request = _request(options, parse_settings(settings))
    from bench.cli.data import progress_bars
    from bench.cli.live import make_reporter
    from bench.datasets.library import data_dir as data_folder
    from bench.grid.reporter import Control
    from bench.grid.session import open_session
    from bench.grid.site import Site
    from bench.support.stopping import Stop

    site = Site(
        str(store), str(data_folder(data_dir)), device, tuple(map(str, plugins)),
        checkpoint_every, chosen.threads, deterministic,
    )  # fmt: skip
    execute = chosen.execution()
    control = Control(make_reporter(quiet=as_json), Stop(budget))
    with progress_bars() as progress:
        session = open_session(request, site, control, progress)
    if dry_run:
        _print_plan(session, as_json)
        return
    sys.exit(compute(session, execute, measure=chosen.is_here, as_json=as_json))


def compute(
    session: Session,
    execute: Execute,
    *,
    only: Container[str] | None = None,
    measure: bool = True,
    as_json: bool = False,
) -> int:
    """Compute what a session lacks, print the results, and return the exit code.

    Args:
        session: the request.
        execute: who computes.
        only: ids; of the missing cells only those that are, or rest on, one of them.
        measure: time a step of each kind of work first, to say how long it will take.
        as_json: print JSON instead of tables.
    """
    from bench.support.stopping import Interrupted

    estimates = _estimates(session, session.request) if measure else {}
    try:
        outcome = session.run(estimates, execute, only)
    except Interrupted as ended:
        click.echo(f"stopped by {ended.why}; the same command continues where it stopped", err=True)
        sys.exit(ended.exit_code)
    _report(session, as_json, Path(session.site.store))
    in_time = session.runner.control.stop.requested  # what a spent budget stopped was expected to
    stopped = 0 if in_time else outcome.counts.get("stopped", 0)
    return 1 if outcome.counts.get("failed") or stopped else 0


def _request(options: dict[str, Any], settings: dict[str, dict[str, str]]) -> Request:
    from bench.grid.expand import Request
    from bench.registry.registry import METHODS

    methods = options.pop("method", None)
    datasets = options.pop("dataset", None)
    if not methods:
        raise BenchError(f"name at least one --method: {', '.join(METHODS.names())}, or all")
    if not datasets:
        raise BenchError("name at least one --dataset; `bench list datasets` shows what exists")
    overrides = {k: dict(v) for k, v in options.pop("set", {}).items()}
    for method, values in settings.items():
        overrides.setdefault(method, {}).update(values)
    renamed = {"ipc": "ipcs", "arch": "archs", "eval_arch": "eval_archs", "mode": "modes"}
    fields = {renamed.get(k, k): v for k, v in options.items()}
    if "ipcs" in fields:
        fields["ipcs"] = parse_ipcs(fields["ipcs"])
    names = METHODS.names() if methods == ["all"] else methods
    return Request(methods=names, datasets=datasets, overrides=overrides, **fields)


def _estimates(session: Session, request: Request) -> dict[str, float]:
    """Estimate the run and warn when it is long; the smoke profile is not worth it."""
    if request.profile == "smoke" or not session.missing():
        return {}
    from bench.cli.live import format_seconds

    note = session.runner.reporter.note
    note("measuring a step of each kind of work")
    estimates = session.estimate()
    total = sum(estimates.values())
    note(f"estimated {format_seconds(total)} on {session.device.type} for {len(estimates)} cells")
    if total > _LONG and request.profile == "paper":
        note("that is days: --profile lite gives a smaller run of the same algorithms, marked so")
    return estimates


def _print_plan(session: Session, as_json: bool) -> None:
    from bench.cli.live import format_seconds
    from bench.grid.order import plan

    estimates, missing = session.estimate(), set(session.missing())
    unknown = missing - estimates.keys()
    rows: list[dict[str, Any]] = [
        {"id": c.id, "cell": c.title, "state": "missing" if c.id in missing else "cached",
         "estimated_seconds": None if c.id in unknown else round(estimates.get(c.id, 0.0), 1)}
        for c in plan(session.grid)
    ]  # fmt: skip
    rows += [{"id": s.cell.id, "cell": s.cell.title, "state": "skipped", "reason": s.reason}
             for s in session.grid.skipped]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        seconds = row.get("estimated_seconds")
        about = row.get("reason", "could not be measured" if row["id"] in unknown else "")
        about = f"about {format_seconds(seconds)}" if seconds else about
        click.echo(f"{row['id']}  {row['state']:8} {row['cell']}  {about}".rstrip())
    total = sum(estimates.values())
    left_out = f", without {len(unknown)} that could not be measured" if unknown else ""
    click.echo(f"{len(rows)} cells, {len(missing)} missing, about {format_seconds(total)} to run "
               f"on {session.device.type} (one-step methods not counted){left_out}")  # fmt: skip


def _report(session: Session, as_json: bool, store: Path) -> None:
    frame, failures = session.frames()
    from bench.report.tables import render

    if as_json:
        click.echo(render(frame, failures, format="json"))
        return
    from rich.console import Console

    from bench.report.terminal import print_report
    from bench.support.atomic_files import writing

    print_report(frame, failures, Console())
    with writing(store / "report"):
        written = write_outputs(frame, failures, store / "report")
    click.echo("written: " + ", ".join(str(p) for p in written))


def write_outputs(frame: Any, failures: Any, folder: Path) -> list[Path]:
    """Write the table (Markdown, CSV) and the accuracy and cost plots of a run."""
    from bench.report.plots import plot_accuracy, plot_cost
    from bench.report.tables import render
    from bench.support.atomic_files import replacing

    written = []
    for name in ("md", "csv"):
        path = folder / f"table.{name}"
        with replacing(path) as temporary:
            temporary.write_text(render(frame, failures, format=name), encoding="utf-8")
        written.append(path)
    if len(frame):
        written += [*plot_accuracy(frame, folder), *plot_cost(frame, folder)]
    return written
