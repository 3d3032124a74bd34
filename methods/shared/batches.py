"""Shuffled epochs over the real set, resumable at any step."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.plugin import Context


class ShuffledBatches:
    """Batches without replacement, in a new order every epoch; an incomplete last one is left out.

    Args:
        ctx: the real set, and the generator ``order``.
        batch: images per batch; all there are, if fewer.

    Attributes:
        per_epoch: batches in an epoch.
        order: the running epoch's permutation, int64 ``(N,)``; empty before the first batch. All
            that later batches depend on, besides the context.
    """

    def __init__(self, ctx: Context, batch: int) -> None:
        self._ctx, self._count = ctx, len(ctx.real)
        self._batch = min(batch, self._count)
        self.per_epoch = self._count // self._batch
        self.order = torch.empty(0, dtype=torch.int64, device=ctx.device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running epoch's order."""
        return {"order": self.order}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        self.order = state["order"].clone()

    def steps(self, epochs: int, limit: int | None) -> int:
        """Return the batches in ``epochs``, or ``limit`` if that is fewer."""
        total = epochs * self.per_epoch
        return total if limit is None else min(total, limit)

    def pick(self, i: int) -> tuple[Tensor, Tensor]:
        """Return the images and labels of step ``i``; steps are asked for one after the other.

        Returns:
            float32 ``(batch, C, H, W)`` in [-1, 1], and int64 ``(batch,)``.
        """
        position = i % self.per_epoch
        if position == 0:
            generator = self._ctx.generator("order")
            self.order = torch.randperm(self._count, generator=generator, device=self._ctx.device)
        chosen = self.order[position * self._batch : (position + 1) * self._batch]
        real = self._ctx.real
        return real.images[chosen].float() / 127.5 - 1, real.labels[chosen]
