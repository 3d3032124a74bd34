"""Herding: real images whose mean embedding stays closest to their class's mean.

M. Welling, "Herding dynamical weights to learn", ICML 2009; as a greedy rule for choosing
exemplars: Rebuffi et al., "iCaRL", CVPR 2017, Algorithm 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.plugin import Paper
from methods.shared.embedding import EmbeddingSelection


def herding_order(features: Tensor, n: int) -> Tensor:
    """Choose ``n`` rows one by one, each bringing the mean of those chosen closest to the mean.

    With f_1..f_N the rows and m their mean, the k-th choice among the rows not chosen yet is
    argmin_i || k m - (sum of the k-1 chosen rows) - f_i ||, iCaRL's Algorithm 4 and the rule that
    the authors of Dataset Condensation gave for their table (VICO-UoE/DatasetCondensation,
    issue 15). A longer choice starts with the shorter one.

    Args:
        features: float ``(N, D)``.
        n: at most ``N``.

    Returns:
        int64 ``(n,)``, distinct, in the order of choice.
    """
    # Around the mean the target is minus the sum of what is chosen: no large numbers cancel.
    centred = features - features.mean(0)
    square = centred.square().sum(1)
    total = torch.zeros_like(centred[0])
    order = torch.empty(n, dtype=torch.int64, device=features.device)
    for k in range(n):
        order[k] = (square + 2 * (centred @ total)).argmin()
        chosen = order[k : k + 1]
        total = total + centred[chosen].squeeze(0)
        square = square.index_fill(0, chosen, torch.inf)
    return order


class Herding(EmbeddingSelection):
    """The greedy herding rule, class by class, in the embedding of a trained network.

    At IPC 1 it picks the image nearest to the class mean, as :class:`methods.k_center.KCenter`.
    """

    name = "herding"
    label = "Herding"
    colour = "#F0A817"
    marker = "s"
    table_order = 20
    family = "coreset"
    published_differences = (
        "the network that embeds images in the papers, and its training, are not known"
    )
    paper = Paper(
        "Herding Dynamical Weights to Learn", 2009, "doi:10.1145/1553374.1553517", "M. Welling"
    )

    @staticmethod
    def order(features: Tensor, n: int) -> Tensor:
        """Apply :func:`herding_order`."""
        return herding_order(features, n)
