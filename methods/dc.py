"""DC: dataset condensation with gradient matching, without augmentation.

B. Zhao, K. R. Mopuri and H. Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021.
"""

from __future__ import annotations

from bench.plugin import Paper
from methods.shared.gradient_matching import GradientMatching


class DC(GradientMatching):
    """Matches the gradients of distilled images, noise at first, with those of real ones.

    See :class:`methods.shared.gradient_matching.GradientMatching`.
    """

    name = "dc"
    label = "DC"
    colour = "#1F9B73"
    marker = "<"
    table_order = 70
    published_differences = "none"
    published_protocol = "plain"
    paper = Paper(
        "Dataset Condensation with Gradient Matching",
        2021,
        "arXiv:2006.05929",
        "B. Zhao, K. R. Mopuri, H. Bilen",
    )
