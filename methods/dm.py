"""DM: distilled images whose mean embedding matches that of the real ones, class by class.

B. Zhao and H. Bilen, "Dataset Condensation with Distribution Matching", WACV 2023, Algorithm 1;
where the paper is silent, the released code (VICO-UoE/DatasetCondensation, main_DM.py) decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.plugin import LearnedImages, Paper, Profile, Scalars, by_ipc, by_task, init_param, param
from methods.shared.dsa_param import dsa_param

# About four minutes for ten classes of 32x32 on two CPU cores, whatever the IPC. The gradient of an
# image shrinks with IPC, as its class's mean holds 1/IPC of it; in so few steps a rate of 1 would
# hardly move a larger set. Fewer real images blur the means that larger sets must match.
_LITE = {
    "iterations": by_ipc(lambda ipc: max(50, 14_000 // (30 + ipc)), "14000 / (30 + IPC)"),
    "batch_real": 64,
    "lr_img": by_ipc(lambda ipc: max(1.0, ipc / 2), "IPC / 2, at least 1"),
}


def paper_rate(dataset: str, ipc: int) -> float:
    """Return the learning rate of the released code's readme."""
    return 10.0 if ipc >= 100 and dataset != "cifar100" else 1.0


class DM(LearnedImages["DM.Params"]):
    r"""Matches the class means of real and distilled images in random networks.

    Each step draws a fresh network :math:`\psi`, for each class a batch of real images and one
    augmentation :math:`A` that real and distilled images share, and follows the gradient of

    .. math:: \sum_c \Big\| \frac1{|T_c|} \sum_{x \in T_c} \psi(A_c(x))
              - \frac1{|S_c|} \sum_{s \in S_c} \psi(A_c(s)) \Big\|^2

    with SGD on the normalised pixels. The networks are never trained. As in the released code,
    networks with batch normalisation embed all classes in one batch.
    """

    @dataclass(frozen=True)
    class Params:
        """The released code's values."""

        iterations: int = param(20_000, help="steps, each with a fresh random network", min=1)
        lr_img: float = param(
            by_task(paper_rate, "1; from IPC 100 on 10, but not for CIFAR-100"),
            help="learning rate of the pixels",
            min=0,
        )
        momentum: float = param(0.5, help="momentum of the pixels", min=0, max=1)
        batch_real: int = param(256, help="real images per class and step", min=1)
        init: str = init_param("real")
        dsa: str = dsa_param()

    name = "dm"
    label = "DM"
    colour = "#0E76BF"
    marker = "D"
    table_order = 90
    published_differences = "none"
    paper = Paper("Dataset Condensation with Distribution Matching", 2023, "arXiv:2110.04181",
                  "B. Zhao, H. Bilen")  # fmt: skip
    profiles = {
        "lite": Profile(
            _LITE,
            "451, 350 or 175 steps at IPC 1, 10 or 50 in place of 20,000, longer ones above "
            "IPC 2, and 64 real images per class in place of 256",
        ),
        "smoke": Profile(
            {"iterations": 3, "batch_real": 8},
            "3 steps in place of 20,000: shows only that the path works",
        ),
    }

    def step(self, i: int) -> Scalars:  # noqa: ARG002
        """Follow the gradient of one random network; ``loss`` is the mean over classes."""
        network = self.ctx.network(self.arch).requires_grad_(False)
        draws, real = self.draw_per_class(self.dsa), self.sample_per_class(self.params.batch_real)
        targets = self.real_class_means(network, real, self.dsa, draws)

        def distance(classes: slice, images: Tensor) -> Tensor:
            means = self.class_means(network, images.unbind(), self.dsa, draws[classes])
            return (means - targets[classes]).square().sum()

        return {"loss": self.descend(distance) / self.spec.num_classes}
