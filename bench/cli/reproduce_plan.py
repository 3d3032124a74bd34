"""What a paper's table still needs: ``bench reproduce --dry-run`` prints it below the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from bench.cli.dry_run import GPU, describe_sum
from bench.grid.clock import format_seconds
from bench.grid.estimate import Estimate
from bench.grid.session import Session, open_session
from bench.networks.precision import PRECISIONS
from bench.support.errors import BenchError


def print_table_plan(sessions: Sequence[Session]) -> None:
    """Print how many cells of each method are stored and missing, and how long these would take."""
    missing = [set(session.missing()) for session in sessions]
    counts: dict[str, list[int]] = {}
    for session, ids in zip(sessions, missing, strict=True):
        for cell in session.grid.evaluate:
            counts.setdefault(cell.distil.method, [0, 0])[cell.id in ids] += 1
    for method, (stored, absent) in counts.items():
        click.echo(f"{method}: {stored} of {stored + absent} results are stored")
    if not any(missing):
        click.echo("nothing is missing")
        return
    for precision, stored in _other_precisions(sessions).items():
        click.echo(f"{stored} of these results are stored with --precision {precision}")
    _print_hours(sessions, missing)


def _print_hours(sessions: Sequence[Session], missing: Sequence[set[str]]) -> None:
    estimates: list[Estimate] = []
    count, unknown = 0, 0
    for session, ids in zip(sessions, missing, strict=True):
        own = session.estimate(ids)
        estimates += own.values()
        count += len(ids)
        unknown += len(ids - own.keys())
    left_out = f", without {unknown} that could not be estimated" if unknown else ""
    click.echo(
        f"{count} cells are missing, {describe_sum(estimates)} to run on "
        f"{sessions[0].device.type} (one-step methods and shared work not counted){left_out}"
    )
    if sessions[0].device.type != "cuda":
        seconds = sum(each.gpu or 0.0 for each in estimates)
        click.echo(f"on {GPU}: about {format_seconds(seconds)}")


def _other_precisions(sessions: Sequence[Session]) -> dict[str, int]:
    """Return how many results the store has in another precision, where it has any."""
    found: dict[str, int] = {}
    for precision in PRECISIONS:
        for session in sessions:
            request = session.request
            if precision == request.precision:
                continue
            try:
                other = open_session(replace(request, precision=precision), session.site)
            except BenchError:  # a precision that this device does not have
                continue
            missing = set(other.missing())
            if stored := sum(cell.id not in missing for cell in other.grid.evaluate):
                found[precision] = found.get(precision, 0) + stored
    return found
