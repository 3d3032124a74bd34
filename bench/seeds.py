"""Every random draw descends from a cell's identity: seeds are hashes, never counters.

Two draws share a seed only if they were derived from equal parts, so adding a method, an
architecture or an IPC to a grid cannot shift the numbers of any other cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: str | int | None) -> int:
    """Return a 63-bit seed that depends on every part and on their order."""
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on ``device``, seeded."""
    import torch

    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


@contextmanager
def global_seed(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's global state inside the block and put it back afterwards.

    For code that can only draw from global state, such as the initialisers of ``torch.nn``.
    """
    import torch

    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
