"""DSA: gradient matching under an augmentation that real and distilled images share.

B. Zhao and H. Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", ICML 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.plugin import Paper, init_param
from methods.shared.dsa_param import dsa_param
from methods.shared.gradient_matching import GradientMatching, GradientMatchingParams


class SiameseMatching(GradientMatching):
    """Gradient matching under siamese augmentation, from real first images.

    See :class:`methods.shared.gradient_matching.GradientMatching`. Each matching step draws one
    operation and its parameters per class, for all its images; a network's training batches draw
    one operation each, and its parameters image by image.
    """

    @dataclass(frozen=True)
    class Params(GradientMatchingParams):
        """Those of gradient matching, and the augmentation."""

        init: str = init_param("real")
        dsa: str = dsa_param()

    name = "dsa"
    label = "DSA"
    colour = "#332387"
    marker = ">"
    table_order = 80
    published_differences = "none"
    paper = Paper(
        "Dataset Condensation with Differentiable Siamese Augmentation",
        2021,
        "arXiv:2102.08259",
        "B. Zhao, H. Bilen",
    )
