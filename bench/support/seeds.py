"""Seeds of random draws: hashes of a cell's identity, never counters.

Two draws share a seed only if they are derived from equal parts, so that a method, an architecture
or an IPC can be added to a grid without changing the numbers of another cell.
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
    text = "\x1f".join(f"{type(p).__name__}:{_escaped(str(p))}" for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def distillation_seed(
    method: str, dataset: str, ipc: int | None, arch: str | None, index: int
) -> int:
    """Return the seed of everything that a method draws.

    Parameters are left out on purpose: two settings of one method start from the same draw.
    """
    return derive_seed("distil", method, dataset, ipc, arch or "", index)


def network_seeds(dataset: str, arch: str, index: int, nets: int) -> list[int]:
    """Return one seed per evaluation network.

    Neither the method nor the IPC is part of them, so comparisons are paired: the k-th network of
    every method starts from the same weights.
    """
    return [derive_seed("evaluate", dataset, arch, index, net) for net in range(nets)]


def frozen_seed(random_seed: int, ipc: int | None) -> int:
    """Return the seed of the images that a generator draws once for a ``frozen`` evaluation.

    Every network and architecture is then trained on the same images.

    Args:
        random_seed: of the distillation.
        ipc: images per class.
    """
    return derive_seed(random_seed, "freeze", ipc)


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a random generator on ``device``, seeded with ``seed``."""
    import torch

    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


@contextmanager
def global_seed(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's global state inside the block and restore it afterwards.

    For code that draws from global state, such as the initialisers of ``torch.nn``. The CPU's
    generator is seeded and, for another device, that device's; no other generator changes.
    """
    import torch

    device = torch.device(device)
    gpu = device.type if device.type != "cpu" else None
    with torch.random.fork_rng(devices=[device] if gpu else [], device_type=gpu):
        torch.default_generator.manual_seed(seed)
        if gpu:
            # torch.manual_seed would seed every GPU, also those that fork_rng does not restore.
            seeded = make_generator(seed, device).get_state()
            torch.get_device_module(device).set_rng_state(seeded, device)
        yield


def _escaped(text: str) -> str:
    """Escape the separator inside a part, so that different parts never give the same text."""
    return text.replace("\\", "\\\\").replace("\x1f", "\\x1f")
