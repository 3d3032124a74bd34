"""Augmentation of several batches at once, each with parameters from its own generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.augment.dsa import DSA, Draw


def augment_together(
    dsa: DSA, batches: Sequence[Tensor], generators: Sequence[torch.Generator]
) -> list[Tensor]:
    """Return ``[dsa(batch, generator) for ...]``, computed in as few calls as the draws allow.

    The result is the same as for each batch alone. Batches that drew the same operations are
    transformed in one call: all batches in ``all`` mode, and one call for each drawn operation in
    ``single`` mode. The host never waits for the device.

    Args:
        dsa: the strategy.
        batches: float ``(N, C, H, W)``, of one image shape and dtype; sizes ``N`` can differ.
        generators: one per batch, on its device.
    """
    drawn = []
    for batch, generator in zip(batches, generators, strict=True):
        n, channels, height, width = batch.shape
        drawn.append(dsa.draw(n, (channels, height, width), generator))
    by_operations: dict[tuple[str, ...], list[int]] = {}
    for i, draw in enumerate(drawn):
        by_operations.setdefault(draw.operations, []).append(i)
    results = list(batches)
    for members in by_operations.values():
        images = torch.cat([batches[i] for i in members])
        augmented = dsa.apply(images, _joined([drawn[i] for i in members]))
        parts = torch.split(augmented, [len(batches[i]) for i in members])
        for i, part in zip(members, parts, strict=True):
            results[i] = part
    return results


def _joined(draws: Sequence[Draw]) -> Draw:
    """Return one draw for all images of draws that have the same operations."""
    first = draws[0]
    steps = []
    for s, (module, params) in enumerate(first.steps):
        rows = {key: torch.cat([draw.steps[s][1][key] for draw in draws]) for key in params}
        steps.append((module, rows))
    total = sum(draw.n for draw in draws)
    return Draw(total, first.shape, first.shared, first.operations, tuple(steps))
