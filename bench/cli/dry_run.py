"""The plan of a run: ``bench run --dry-run`` prints its cells and how long they would take."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bench.cli.live import make_reporter
from bench.grid.clock import format_seconds
from bench.grid.estimate import Estimate
from bench.grid.kept_plan import Plan
from bench.grid.kept_run import KeptRun

if TYPE_CHECKING:
    from bench.grid.session import Session

# Seconds for the estimate of the same grid in the profile ``lite``, at most.
LITE_SECONDS = 3.0
# Seconds from the start of the command to the end of its estimates; and those that these may take
# however long torch took to load.
END_SECONDS, LEAST_SECONDS = 13.5, 6.0
GPU = "an H100 (a guess from its datasheet, not measured)"


@dataclass(frozen=True)
class _Listing:
    """What is printed of a run.

    Attributes:
        plan: its cells.
        missing: the ids of those that are still to be computed.
        estimates: how long each takes, by id; those that are not known are left out.
        too_large: why others do not fit into memory, by id.
        lite: how long the same request takes in the profile ``lite``; empty where not known.
    """

    plan: Plan
    missing: Collection[str]
    estimates: Mapping[str, Estimate]
    too_large: Mapping[str, str]
    lite: Collection[Estimate]


def print_kept(run: KeptRun, *, as_json: bool) -> None:
    """Print every cell of a plan that was kept, as :func:`print_plan` does; needs no torch."""
    note = make_reporter(quiet=as_json).note
    for line in run.plan.notes:
        note(line)
    too_large = run.plan.lacks(run.missing)
    estimates = run.plan.estimates(run.missing, run.store)
    fitting = {cell_id: each for cell_id, each in estimates.items() if cell_id not in too_large}
    lite = run.plan.lite_estimates()
    _print(_Listing(run.plan, run.missing, fitting, too_large, lite), as_json=as_json)


def print_plan(
    session: Session, notes: Collection[str], *, started: float, as_json: bool, keeps: bool
) -> None:
    """Print every cell of a session, its state and its estimated seconds.

    Args:
        session: the request.
        notes: what the user was told of it.
        started: when the command was, by the clock of ``time.perf_counter``.
        as_json: print JSON instead of lines.
        keeps: whether the plan is kept for the next dry run.
    """
    from bench.grid import estimator
    from bench.grid.order import plan
    from bench.grid.planned import keep, make_plan

    now = time.perf_counter()
    end = now + min(estimator.SECONDS, max(LEAST_SECONDS, started + END_SECONDS - now))
    missing = set(session.missing())
    estimates = session.estimate(missing, end - time.perf_counter())
    lite = session.as_lite() if session.request.profile == "paper" else None
    smaller: Collection[Estimate] = ()
    if lite is not None and any(each.seconds for each in estimates.values()):
        ids = [cell.id for cell in plan(lite)]
        left = end - time.perf_counter()
        by_id = estimator.estimate(lite, session.runner, ids, min(LITE_SECONDS, left))
        smaller = by_id.values() if len(by_id) == len(ids) else ()
    made = make_plan(session, notes, lite)
    _print(_Listing(made, missing, estimates, session.too_large, smaller), as_json=as_json)
    if keeps:
        keep(session, made, missing, lite)


def _print(listing: _Listing, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(list(_rows(listing)), indent=2))
        return
    missing, estimates, too_large = listing.missing, listing.estimates, listing.too_large
    unknown = len(missing) - len(estimates) - len(too_large)
    lines = [
        f"{row['id']}  {row['state']:8} {row['cell']}  {_about(row)}".rstrip()
        for row in _rows(listing)
    ]
    lines += [*_by_method(listing), *_elsewhere(listing)]
    left_out = f", without {unknown} that could not be estimated" if unknown else ""
    left_out += f"; {len(too_large)} will fail for lack of memory" if too_large else ""
    count = len(listing.plan.cells) + len(listing.plan.skipped)
    lines.append(
        f"{count} cells, {len(missing)} missing, {describe_sum(estimates.values())} to run on "
        f"{listing.plan.device} (one-step methods and shared work not counted){left_out}"
    )
    click.echo("\n".join(lines))


def _by_method(listing: _Listing) -> Iterator[str]:
    """Yield the time of each method's distillations, and of all evaluations."""
    groups: dict[str, list[Estimate]] = {}
    for cell in listing.plan.cells:
        if (each := listing.estimates.get(cell.id)) is not None:
            groups.setdefault(listing.plan.kinds[cell.kind].name, []).append(each)
    for name, estimates in groups.items():
        if any(each.seconds for each in estimates):
            yield f"{name}: {len(estimates)} cells, {describe_sum(estimates)} ({_bases(estimates)})"


def _bases(estimates: Iterable[Estimate]) -> str:
    texts = {
        "counted": "by counted operations",
        "records": "by what such cells took here",
        "timed": "by a timed step",
        "similar": "by similar cells, for lack of time; the next dry run knows more",
        "at least": "counting its step takes too long: at least",
    }
    return "; ".join(texts[basis] for basis in dict.fromkeys(each.basis for each in estimates))


def describe_sum(estimates: Iterable[Estimate]) -> str:
    """Write the sum of estimates, with the range in which it probably lies."""
    counts = Counter(estimates)  # thousands of cells share a few estimates
    low = format_seconds(sum(times * each.low for each, times in counts.items()))
    high = format_seconds(sum(times * each.high for each, times in counts.items()))
    total = format_seconds(sum(times * each.seconds for each, times in counts.items()))
    return f"about {total}" + (f" ({low} to {high})" if low != high else "")


def _elsewhere(listing: _Listing) -> Iterator[str]:
    """Yield what the smaller profile and a GPU would take."""
    if not any(each.seconds for each in listing.estimates.values()):
        return
    if listing.lite:
        yield f"--profile lite: {describe_sum(listing.lite)}, from nothing"
    if listing.plan.device != "cuda":
        seconds = sum(each.gpu or 0.0 for each in listing.estimates.values())
        yield f"on {GPU}: about {format_seconds(seconds)}"


def _rows(listing: _Listing) -> Iterator[dict[str, Any]]:
    """Yield one JSON object per cell; the skipped ones come last."""
    for cell in listing.plan.cells:
        row: dict[str, Any] = {"id": cell.id, "cell": cell.title, "state": "cached"}
        row["estimated_seconds"] = 0.0
        if cell.id in listing.missing:
            row |= {"state": "missing", "estimated_seconds": None}
            if (each := listing.estimates.get(cell.id)) is not None:
                row["estimated_seconds"] = round(each.seconds, 1)
                row["estimated_range"] = [round(each.low, 1), round(each.high, 1)]
                row["estimated_by"] = each.basis
        if reason := listing.too_large.get(cell.id):
            row["reason"] = f"will fail: {reason}"
        yield row
    for skip in listing.plan.skipped:
        yield {"id": skip.id, "cell": skip.title, "state": "skipped", "reason": skip.reason}


def _about(row: Mapping[str, Any]) -> str:
    """Return what is said of a cell besides its state."""
    if seconds := row.get("estimated_seconds"):
        return f"about {format_seconds(seconds)}"
    if reason := row.get("reason"):
        return str(reason)
    unmeasured = row["state"] == "missing" and row["estimated_seconds"] is None
    return "could not be estimated" if unmeasured else ""
