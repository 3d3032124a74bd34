"""The plan of a run: ``bench run --dry-run`` prints its cells and how long they would take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from bench.cli.live import format_seconds
from bench.grid.order import plan
from bench.grid.session import Session


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
    left_out = f", without {len(unknown)} that could not be measured" if unknown else ""
    left_out += f"; {len(too_large)} will fail for lack of memory" if too_large else ""
    total = format_seconds(sum(estimates.values()))
    click.echo(
        f"{len(rows)} cells, {len(missing)} missing, about {total} to run "
        f"on {session.device.type} (one-step methods not counted){left_out}"
    )


def _rows(
    session: Session, estimates: Mapping[str, float], missing: set[str]
) -> list[dict[str, Any]]:
    """Return one JSON object per cell; the skipped ones come last."""
    rows: list[dict[str, Any]] = []
    for cell in plan(session.grid):
        state = "missing" if cell.id in missing else "cached"
        seconds: float | None = round(estimates.get(cell.id, 0.0), 1)
        if state == "missing" and cell.id not in estimates:
            seconds = None
        row = {"id": cell.id, "cell": cell.title, "state": state, "estimated_seconds": seconds}
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
    return reason or ("could not be measured" if unmeasured else "")
