"""A grid without any result, which an empty frame would hide."""

from __future__ import annotations

from bench.ledger.rows import Rows
from bench.support.errors import BenchError


class EveryCellFailedError(BenchError):
    """No cell of a grid has a result: all that ended failed, or were skipped."""


def check_any_result(rows: Rows) -> None:
    """Refuse an empty frame where it would hide that every cell failed, or was skipped.

    Raises:
        EveryCellFailedError: saying why.
    """
    without = [row for row in rows.failures if row.status in ("failed", "skipped")]
    if without and not rows.evaluations:
        # What failed because another cell did says nothing of its own.
        causes = [row for row in without if not row.reason.startswith("it needs '")] or without
        named = (f"{row.method} on {row.dataset}: {row.reason}" for row in causes)
        reasons = list(dict.fromkeys(named))
        more = f"; and {len(reasons) - 5} more reasons" if len(reasons) > 5 else ""
        ended = "was skipped" if all(row.status == "skipped" for row in without) else "failed"
        raise EveryCellFailedError(f"every cell {ended}: {'; '.join(reasons[:5])}{more}")
