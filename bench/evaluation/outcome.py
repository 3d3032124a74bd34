"""What one network of an evaluation has come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class NetOutcome:
    """A network that was trained and tested.

    Attributes:
        accuracy: on the test set, in percent.
        final_loss: of its last step; not finite if it diverged.
        train_seconds: wall time of its training.
        test_seconds: wall time of its test.
    """

    accuracy: float
    final_loss: float
    train_seconds: float
    test_seconds: float

    @classmethod
    def from_state(cls, kept: Mapping[str, Any]) -> Self:
        """Rebuild the outcome that a checkpoint holds.

        Raises:
            TypeError: it has other fields, or other types.
            ValueError: no network can have come to that.
        """
        found = cls(**{name: float(value) for name, value in kept.items()})
        seconds = (found.train_seconds, found.test_seconds)
        if not 0 <= found.accuracy <= 100 or not all(0 <= s < math.inf for s in seconds):
            raise ValueError(f"a network cannot have come to {kept!r:.200}")
        return found
