"""Global random state, which no plugin may move."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Check that the block draws from no global generator and leaves none seeded."""
    before = (torch.get_rng_state(), random.getstate(), _numpy_state())
    yield
    assert torch.equal(torch.get_rng_state(), before[0]), "torch's global generator moved"
    assert random.getstate() == before[1], "Python's global generator moved"
    assert _numpy_state() == before[2], "NumPy's global generator moved"


def _numpy_state() -> str:
    state = np.random.get_state(legacy=False)
    return str(state["state"]["key"].tolist()) + str(state["state"]["pos"])
