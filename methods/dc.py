"""DC: dataset condensation with gradient matching, without augmentation.

B. Zhao, K. R. Mopuri and H. Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.plugin import DSA, Reference, Task
from methods.gradient_matching import GIVES_UP, LITE, SMOKE, GradientMatching


class DC(GradientMatching):
    """Matches the gradients of distilled images, noise at first, with those of real ones.

    See :class:`methods.gradient_matching.GradientMatching`.
    """

    name: ClassVar[str] = "dc"
    reference: ClassVar[Reference | None] = Reference(
        "Dataset Condensation with Gradient Matching",
        2021,
        "arXiv:2006.05929",
        "B. Zhao, K. R. Mopuri, H. Bilen",
    )
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lite": LITE, "smoke": SMOKE}
    gives_up: ClassVar[Mapping[str, str]] = GIVES_UP

    @staticmethod
    def augmentation(task: Task) -> DSA:  # noqa: ARG004
        """None."""
        return DSA("none")
