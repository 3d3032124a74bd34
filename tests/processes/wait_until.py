"""Waiting until something has happened, with patience for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 400.0  # seconds; a process may need a minute to import torch where the machine is busy


def wait_until(what: str, happens: Callable[[], object], every: float = 0.1) -> None:
    """Poll a condition until it holds; fail with ``what`` when patience ends."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(every)
