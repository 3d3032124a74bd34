"""Lines across a panel: what the whole dataset reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.aggregate import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_whole(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw what the whole dataset reaches as a line across the panel."""
    for row in (r for r in rows if r.ipc is None):
        colour = row.style.colour
        axes.axhline(row.mean, color=colour, linestyle=(0, (1, 1.5)), linewidth=1.1,
                     label=row.style.label)  # fmt: skip
        if row.std is not None:
            low, high = row.mean - row.std, row.mean + row.std
            axes.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)
