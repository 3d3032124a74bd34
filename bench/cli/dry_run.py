"""The plan of a run: ``bench run --dry-run`` prints its cells and how long they would take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from bench.cli.live import format_seconds
from bench.grid.estimate import Estimate, estimate
from bench.grid.order import plan
from bench.grid.session import Session
from bench.ledger.cell import EvaluateCell

# Seconds for the estimate of the same grid in the profile ``lite``.
_LITE_SECONDS = 3.0
GPU = "an H100 (a guess from its datasheet, not measured)"


def print_plan(session: Session, *, as_json: bool) -> None:
    """Print every cell of a session, its state and its estimated seconds."""
    missing = set(session.missing())
    estimates = session.estimate(missing)
    rows = _rows(session, estimates, missing)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    too_large = session.too_large
    unknown = missing - estimates.keys() - too_large.keys()
    lines = []
    for row in rows:
        about = _about(row, unmeasured=row["id"] in unknown)
        lines.append(f"{row['id']}  {row['state']:8} {row['cell']}  {about}".rstrip())
    if lines:
        click.echo("\n".join(lines))
    for line in (*_by_method(session, estimates), *_elsewhere(session, estimates)):
        click.echo(line)
    left_out = f", without {len(unknown)} that could not be estimated" if unknown else ""
    left_out += f"; {len(too_large)} will fail for lack of memory" if too_large else ""
    click.echo(
        f"{len(rows)} cells, {len(missing)} missing, {describe_sum(estimates.values())} to run "
        f"on {session.device.type} (one-step methods and shared work not counted){left_out}"
    )


def _by_method(session: Session, estimates: Mapping[str, Estimate]) -> Iterator[str]:
    """Yield the time of each method's distillations, and of all evaluations."""
    groups: dict[str, list[Estimate]] = {}
    for cell in plan(session.grid):
        if cell.id in estimates:
            name = "evaluation" if isinstance(cell, EvaluateCell) else cell.method
            groups.setdefault(name, []).append(estimates[cell.id])
    for name, each in groups.items():
        if any(one.seconds for one in each):
            yield f"{name}: {len(each)} cells, {describe_sum(each)} ({_bases(each)})"


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
    each = list(estimates)
    low, high, total = (
        format_seconds(sum(values))
        for values in ([e.low for e in each], [e.high for e in each], [e.seconds for e in each])
    )
    return f"about {total}" + (f" ({low} to {high})" if low != high else "")


def _elsewhere(session: Session, estimates: Mapping[str, Estimate]) -> Iterator[str]:
    """Yield what the smaller profile and a GPU would take."""
    if not any(each.seconds for each in estimates.values()):
        return
    lite = session.as_lite() if session.request.profile == "paper" else None
    if lite is not None:
        ids = [cell.id for cell in plan(lite)]
        smaller = estimate(lite, session.runner, ids, _LITE_SECONDS)
        if len(smaller) == len(ids):
            yield f"--profile lite: {describe_sum(smaller.values())}, from nothing"
    if session.device.type != "cuda":
        seconds = sum(each.gpu or 0.0 for each in estimates.values())
        yield f"on {GPU}: about {format_seconds(seconds)}"


def _rows(
    session: Session, estimates: Mapping[str, Estimate], missing: set[str]
) -> list[dict[str, Any]]:
    """Return one JSON object per cell; the skipped ones come last."""
    rows: list[dict[str, Any]] = []
    for cell in plan(session.grid):
        row: dict[str, Any] = {"id": cell.id, "cell": cell.title, "state": "cached"}
        row["estimated_seconds"] = 0.0
        if cell.id in missing:
            row |= {"state": "missing", "estimated_seconds": None}
            if (each := estimates.get(cell.id)) is not None:
                row["estimated_seconds"] = round(each.seconds, 1)
                row["estimated_range"] = [round(each.low, 1), round(each.high, 1)]
                row["estimated_by"] = each.basis
        if reason := session.too_large.get(cell.id):
            row["reason"] = f"will fail: {reason}"
        rows.append(row)
    for skip in session.grid.skipped:
        rows.append(
            {"id": skip.cell.id, "cell": skip.cell.title, "state": "skipped", "reason": skip.reason}
        )
    return rows


def _about(row: Mapping[str, Any], *, unmeasured: bool) -> str:
    """Return what is said of a cell besides its state."""
    if seconds := row.get("estimated_seconds"):
        return f"about {format_seconds(seconds)}"
    reason = str(row.get("reason", ""))
    return reason or ("could not be estimated" if unmeasured else "")
