"""K-Center: real images that cover their class, each the farthest from those chosen before.

O. Sener and S. Savarese, "Active learning for convolutional neural networks: a core-set approach",
ICLR 2018, Algorithm 1; greedy farthest-first traversal is due to T. F. Gonzalez (1985).
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.plugin import Paper
from methods.shared.embedding import EmbeddingSelection


def k_center_order(features: Tensor, n: int) -> Tensor:
    """Choose the row nearest to the mean, then again and again the row farthest from the chosen.

    argmax_i min_{j chosen} || f_i - f_j ||, started at the row nearest to the mean: the rule that
    the authors of Dataset Condensation gave for their table (VICO-UoE/DatasetCondensation,
    issue 21). Sener and Savarese start from the labelled pool, which does not exist here; DeepCore
    starts from a random row. A longer choice starts with the shorter one.

    Args:
        features: float ``(N, D)``.
        n: at most ``N``.

    Returns:
        int64 ``(n,)``, distinct, in the order of choice.
    """
    centred = features - features.mean(0)
    square = centred.square().sum(1)
    distance = torch.full_like(square, torch.inf)
    order = torch.empty(n, dtype=torch.int64, device=features.device)
    for k in range(n):
        order[k] = distance.argmax() if k else square.argmin()
        chosen = order[k : k + 1]
        to_chosen = square + square[chosen] - 2 * (centred @ centred[chosen].squeeze(0))
        # Twins of a chosen row are at distance zero; the chosen rows themselves never come again.
        distance = torch.minimum(distance, to_chosen.clamp(min=0)).index_fill(0, chosen, -1)
    return order


class KCenter(EmbeddingSelection):
    """Greedy k-center, class by class, in the embedding of a trained network."""

    name = "k-center"
    label = "K-Center"
    colour = "#E671A1"
    marker = "^"
    table_order = 30
    family = "coreset"
    published_differences = (
        "the network that embeds images in the papers, and its training, are not known"
    )
    paper = Paper(
        "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
        2018,
        "arXiv:1708.00489",
        "O. Sener, S. Savarese",
    )

    @staticmethod
    def order(features: Tensor, n: int) -> Tensor:
        """Apply :func:`k_center_order`."""
        return k_center_order(features, n)
