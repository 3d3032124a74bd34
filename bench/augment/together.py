"""Augment several batches at once, each with parameters drawn from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.augment.dsa import DSA, Draw


def augment_together(
    dsa: DSA, batches: Sequence[Tensor], generators: Sequence[torch.Generator]
) -> list[Tensor]:
    """Return ``[dsa(batch, generator) for ...]``, computed in as few calls as the draws allow.

    Each image is transformed as it would be alone. Batches that drew the same operations are
    transformed in one call: all of them in ``all`` mode, in ``single`` mode one call for each
    operation that was drawn. Nothing waits for the device.

    Args:
        dsa: the strategy.
        batches: float ``(N, C, H, W)``, of one image shape and dtype; the sizes ``N`` may differ.
        generators: one per batch, on its device.
    """
    drawn = []
    for batch, generator in zip(batches, generators, strict=True):
        n, channels, height, width = batch.shape
        drawn.append(dsa.draw(n, (channels, height, width), generator))
    alike: dict[tuple[str, ...], list[int]] = {}
    for i, draw in enumerate(drawn):
        alike.setdefault(draw.operations, []).append(i)
    results = list(batches)
    for members in alike.values():
        images = torch.cat([batches[i] for i in members])
        seen = dsa.apply(images, _joined([drawn[i] for i in members]))
        parts = torch.split(seen, [len(batches[i]) for i in members])
        for i, part in zip(members, parts, strict=True):
            results[i] = part
    return results


def _joined(draws: Sequence[Draw]) -> Draw:
    """Return the draw of all images of draws that have the same operations."""
    first = draws[0]
    steps = []
    for s, (module, params) in enumerate(first.steps):
        rows = {key: torch.cat([draw.steps[s][1][key] for draw in draws]) for key in params}
        steps.append((module, rows))
    total = sum(draw.n for draw in draws)
    return Draw(total, first.shape, first.shared, first.operations, tuple(steps))
