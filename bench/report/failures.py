"""What is not in the tables, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.report.aggregate import cells
from bench.report.number_formats import ipc_name, listing, plural

if TYPE_CHECKING:
    from pandas import DataFrame


def failure_notes(failures: DataFrame) -> list[str]:
    """Return a sentence per method, dataset and reason, naming every cell that it covers."""
    groups: dict[tuple[str, str, str, str, str], list[dict[str, Any]]] = {}
    for cell in cells(failures):
        reason = cell["reason"] or "no reason given"
        key = (cell["dataset"], cell["method"], cell["profile"], cell["status"], reason)
        groups.setdefault(key, []).append(cell)
    return [_sentence(*key, members) for key, members in sorted(groups.items())]


def _sentence(
    dataset: str,
    method: str,
    profile: str,
    status: str,
    reason: str,
    members: Sequence[dict[str, Any]],
) -> str:
    ipcs = sorted({c["ipc"] for c in members}, key=lambda i: float("inf") if i is None else i)
    parts = [
        f"IPC {listing(ipc_name(ipc) for ipc in ipcs)}",
        listing(sorted({c["mode"] for c in members if c["mode"]})),
        listing(sorted({c["eval_arch"] for c in members if c["eval_arch"]})),
        f"profile {profile}",
        f"seed {listing(sorted({c['seed'] for c in members if c['seed'] is not None}))}",
    ]
    where = "; ".join(part for part in parts if part)
    counted = plural(len(members), "cell")
    return f"{method} on {dataset} ({where}): {counted} {status}: {reason.rstrip('.')}."
