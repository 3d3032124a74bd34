"""The layer-wise distance of two gradients that gradient matching minimises.

B. Zhao, K. R. Mopuri and H. Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Added to the product of two norms, as in the released code; equation 10 has nothing there.
EPSILON = 1e-6


def gradient_distance(real: Mapping[str, Tensor], distilled: Mapping[str, Tensor]) -> Tensor:
    r"""Return the distance for each of several classes (equations 9 and 10).

    .. math:: \sum_l \sum_{i=1}^{\mathrm{out}_l} \Big( 1 -
              \frac{A^l_i \cdot B^l_i}{\|A^l_i\| \|B^l_i\| + 10^{-6}} \Big)

    Each output node :math:`i` of a layer's weights gives one row. Parameters of one dimension
    (biases, and the scales and shifts of most norms) have no rows and do not count.

    Args:
        real: by parameter, ``(classes, *shape of the parameter)``.
        distilled: alike; the result can be differentiated through it.

    Returns:
        ``(classes,)``, each at least 0 (but for rounding) and at most twice the number of rows.
    """
    pairs = [(a.flatten(2), distilled[name].flatten(2)) for name, a in real.items() if a.ndim > 2]
    cosines = [(a * b).sum(2) / (a.norm(dim=2) * b.norm(dim=2) + EPSILON) for a, b in pairs]
    return (1 - torch.cat(cosines, 1)).sum(1)
