"""How a batch is computed: in cache-sized slices on a CPU, whole on a GPU, in fp32 or bf16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.plugin import Context, is_per_sample

# Images per pass: on a CPU what keeps a ConvNet's activations in its cache, elsewhere what keeps
# many classes in a modest memory.
_SLICE = {"cpu": 16}
_SLICE_ELSEWHERE = 2048


def slice_size(arch: str, ctx: Context) -> int | None:
    """Return how many images to compute at once, or ``None`` if batches must stay whole.

    Only an architecture that treats every sample alone may be cut: there it changes nothing but
    memory and its traffic.
    """
    return _SLICE.get(ctx.device.type, _SLICE_ELSEWHERE) if is_per_sample(arch) else None


def autocast(ctx: Context) -> torch.autocast:
    """Return a context that computes in bf16 if ``ctx.precision`` asks for it."""
    return torch.autocast(ctx.device.type, torch.bfloat16, enabled=ctx.precision == "bf16")


def embed(network: Any, images: Tensor, ctx: Context) -> Tensor:
    """Return ``network.embed(images)`` in the context's precision: float32 ``(N, D)``.

    Args:
        network: built by an architecture.
        images: float32 ``(N, C, H, W)``, normalised.
        ctx: whose precision to use.
    """
    with autocast(ctx):
        features: Tensor = network.embed(images)
    return features.float()
