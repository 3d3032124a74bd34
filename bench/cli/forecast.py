"""What a run says before it starts: how long it takes, what will fail, and whether to start."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.grid.clock import format_seconds
from bench.report.number_formats import plural

if TYPE_CHECKING:
    from bench.executors.choose import ExecutorOptions
    from bench.grid.session import Session

_LONG = 24 * 3600.0
# What networks are computed with where nothing is amiss, or where the user wants it so.
_EXPECTED_KERNELS = ("native", "torch (BENCH_NATIVE=0)")


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--yes``."""
    return click.option(
        "--yes", is_flag=True,
        help="Do not ask before a run that takes days; without a terminal nothing is asked.",
    )(command)  # fmt: skip


def forecast(session: Session, executor: ExecutorOptions) -> dict[str, float]:
    """Return the estimated seconds of missing cells by id, and say what is to be known of them.

    That is how long they take together, which of them do not fit into memory, and whether networks
    train slower here than they could. Of other machines nothing is known: it is said that nothing
    is estimated, and by what it can be.
    """
    missing = session.missing()
    if not executor.is_here:
        _report_elsewhere(session, executor, len(missing))
        return {}
    if missing:
        _report_slow_kernels(session)
        _report_too_large(session)
    return _estimates(session, missing)


def ask_before_days(
    sessions: Sequence[Session], estimates: Sequence[Mapping[str, float]], *, yes: bool
) -> None:
    """Ask whether to start what takes days, unless a time budget ends it before.

    Without a terminal there is no one to ask: a line says so, and the run goes on.

    Args:
        sessions: at least one; they have one control.
        estimates: of each, what :func:`forecast` returned.
        yes: whether the user has agreed beforehand.

    Raises:
        click.Abort: the user does not want it.
    """
    control = sessions[0].runner.control
    total = sum(sum(seconds.values()) for seconds in estimates)
    budget = control.stop.seconds_left()
    if total <= _LONG or (budget is not None and budget <= _LONG):
        return
    note = control.reporter.note
    if any(session.request.profile == "paper" for session in sessions):
        note("that is days: --profile lite gives a smaller run of the same algorithms, marked so")
    if yes:
        return
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        note("nothing is asked, as this is no terminal: the run starts (--yes says so beforehand)")
        return
    click.confirm(f"Start a run of about {format_seconds(total)}?", abort=True, err=True)


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def _report_elsewhere(session: Session, executor: ExecutorOptions, missing: int) -> None:
    if missing and session.request.profile != "smoke":
        session.runner.reporter.note(
            f"{plural(missing, 'cell')} to compute; how long they take is not estimated and "
            f"nothing is asked, as --executor {executor.executor} computes on other machines than "
            "this one: --dry-run gives an estimate for this one"
        )


def _report_slow_kernels(session: Session) -> None:
    """Say once, before the run, that networks train without the compiled kernels, and why.

    Kernels that are missing or damaged are compiled here, so that workers find them.
    """
    from bench.grid.compute import report_kernels
    from bench.networks.cpu_kernels import describe_kernels

    if session.device.type != "cpu":
        return
    report_kernels(session.runner.site, session.runner.control)
    computed_with = describe_kernels()
    if computed_with not in _EXPECTED_KERNELS:
        session.runner.reporter.note(
            f"networks train slower here than with compiled kernels: {computed_with}"
        )


def _report_too_large(session: Session) -> None:
    """Say once for each reason how many cells will fail because they do not fit into memory."""
    note = session.runner.reporter.note
    for reason, count in Counter(session.too_large.values()).items():
        note(f"{count} of the cells to compute will fail: {reason}")


def _estimates(session: Session, missing: Sequence[str]) -> dict[str, float]:
    """Estimate the run; the smoke profile is not worth it."""
    if session.request.profile == "smoke" or not missing:
        return {}
    note = session.runner.reporter.note
    note("estimating the work of each kind of cell")
    estimates = {cell_id: each.seconds for cell_id, each in session.estimate(missing).items()}
    note(
        f"about {format_seconds(sum(estimates.values()))} on {session.device.type} for "
        f"{len(estimates)} cells; --dry-run says more"
    )
    return estimates
