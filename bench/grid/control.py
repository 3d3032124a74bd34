"""What accompanies running work: who watches it, what may stop it, how often it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.grid.reporter import Reporter
from bench.support.stopping import Stop

# Seconds between two checkpoints of a cell.
CHECKPOINT_EVERY = 60.0


@dataclass
class Control:
    """How running work is watched, kept and stopped; none of it changes a result.

    Attributes:
        view: who watches.
        stop: asked after every step.
        checkpoint_every: seconds between checkpoints; 0 keeps one after every step.
    """

    view: Reporter = field(default_factory=Reporter)
    stop: Stop = field(default_factory=Stop)
    checkpoint_every: float = CHECKPOINT_EVERY
