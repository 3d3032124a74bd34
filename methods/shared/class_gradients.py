"""The gradients of each class's batch, where classes may have batches of different sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.plugin import Context
from bench.plugin.compute import FunctionalNetwork, passes


def class_gradients(
    network: FunctionalNetwork,
    weights: Mapping[str, Tensor],
    batches: Sequence[Tensor],
    classes: Tensor,
    ctx: Context,
    *,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Return the gradient of the mean cross-entropy of each class's batch, stacked.

    Classes with equally many images are computed together.

    Args:
        network: the network as a function.
        weights: its parameters, shared by all classes.
        batches: one per class, float32 ``(N, C, H, W)``, normalised; N may differ.
        classes: the label of each batch, int64 ``(len(batches),)``.
        ctx: whose precision to use.
        create_graph: whether the gradients can be differentiated.

    Returns:
        Tensors ``(len(batches), *shape of the parameter)``, by parameter.
    """
    of_size: dict[int, list[int]] = {}
    for i, batch in enumerate(batches):
        of_size.setdefault(len(batch), []).append(i)
    parts = []
    for same in of_size.values():
        images = torch.stack([batches[i] for i in same])
        labels = torch.stack([classes[i] for i in same])[:, None].expand(images.shape[:2])
        with passes.autocast(ctx):
            parts.append(
                network.per_class_gradients(weights, images, labels, create_graph=create_graph)
            )
    if len(parts) == 1:
        return parts[0]
    order = torch.tensor([i for same in of_size.values() for i in same], device=classes.device)
    place = order.argsort()
    return {name: torch.cat([part[name] for part in parts])[place] for name in weights}
