"""Gradient matching: distilled images whose gradients point where those of real images point.

B. Zhao, K. R. Mopuri and H. Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021,
Algorithm 1 and equations 9 and 10; where the paper is silent, the released code
(VICO-UoE/DatasetCondensation, main.py and utils.py) decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from bench.plugin import (
    LearnedImages,
    Profile,
    RunningNetwork,
    Scalars,
    Task,
    by_ipc,
    init_param,
    param,
)
from bench.plugin.compute import FunctionalNetwork
from methods.shared.class_gradients import class_gradients
from methods.shared.gradient_distance import gradient_distance
from methods.shared.network_training import fix_batch_norm, train_epoch

# The released code's epochs between two matching steps, by IPC.
_INNER = {1: 1, 10: 50, 20: 25, 30: 20, 40: 15, 50: 10}

# The learning rate of the pixels that the released code's readme asks for with an MLP.
_MLP_RATE = 0.01

# A few minutes for ten classes of 32x32 on two CPU cores, whatever the IPC. So few steps must be
# longer ones, and would leave much of the noise that DC starts from.
PROFILES = {
    "lite": Profile(
        {
            "iterations": by_ipc(
                lambda ipc: max(4, 1600 // (ipc * (9 + ipc))),
                "1600 / (IPC * (9 + IPC)), at least 4",
            ),
            "outer": by_ipc(lambda ipc: min(ipc, 10), "IPC, at most 10"),
            "inner": by_ipc(
                lambda ipc: max(1, min(5, 50 // ipc)), "50 / IPC, at least 1 and at most 5"
            ),
            "lr_img": 0.5,
            "batch_real": 64,
            "init": "real",
        },
        "160, 80 or 40 matching steps at IPC 1, 10 or 50 in place of 1,000, 10,000 or 50,000, five "
        "times as long (DC's from real first images), with 64 real images per class, not 256, and "
        "networks trained for at most 5 epochs between them in place of 50",
    ),
    "smoke": Profile(
        {"iterations": 2, "outer": 2, "inner": 1, "batch_real": 8},
        "4 matching steps in 2 networks: shows only that the path works",
    ),
}


def inner_epochs(ipc: int) -> int:
    """Return the released code's epochs between two matching steps.

    Between the IPCs it knows, the number follows a straight line, rounded; beyond 50 it stays.
    """
    return round(float(np.interp(ipc, list(_INNER), list(_INNER.values()))))


@dataclass(frozen=True)
class GradientMatchingParams:
    """The paper's values; the methods' pages say where each comes from."""

    iterations: int = param(1000, help="networks, each freshly initialised", min=1)
    outer: int = param(
        by_ipc(lambda ipc: min(ipc, 50), "IPC, at most 50"),
        help="matching steps with each network",
        min=1,
    )
    inner: int = param(
        by_ipc(inner_epochs, "1, 50, 25, 20, 15, 10 at IPC 1, 10, 20, 30, 40, 50; linear between"),
        help="a network's epochs on the distilled images between two matching steps",
        min=0,
    )
    lr_img: float = param(0.1, help="learning rate of the pixels", min=0)
    momentum: float = param(0.5, help="momentum of the pixels", min=0, max=1)
    lr_net: float = param(0.01, help="learning rate of the networks (SGD)", min=0)
    batch_real: int = param(
        256, help="real images per class and matching step; all there are, if fewer", min=1
    )
    batch_train: int = param(256, help="distilled images per step of the networks", min=1)
    init: str = init_param("noise")


class GradientMatching(LearnedImages[GradientMatchingParams]):
    r"""Matches, class by class, the gradients that real and distilled images give a network.

    One step is one matching step. For each class it draws a batch :math:`T_c` of real images and
    one augmentation :math:`A_c` that all images share (none in DC), and follows the gradient of

    .. math:: \sum_c D\big( \nabla_\theta L(A_c(T_c)), \nabla_\theta L(A_c(S_c)) \big)

    with SGD on the normalised pixels. :math:`D` is the layer-wise distance
    (:func:`methods.shared.gradient_distance.gradient_distance`), :math:`L` the mean cross-entropy.
    Then the network trains on the distilled images for ``inner`` epochs, or after ``outer`` steps a
    fresh one takes its place. Batch normalisation takes its statistics from real images before
    each matching step and keeps them during it.
    """

    Params = GradientMatchingParams
    profiles = PROFILES
    state = ("images", "velocity", "network")

    @classmethod
    def unpublished(cls, task: Task[GradientMatchingParams]) -> str | None:
        """Return an IPC between those of the released code, or an MLP without its own rate."""
        if task.ipc not in _INNER:
            return f"IPC {task.ipc} (its epochs follow a rule of ours)"
        is_mlp = (task.arch or "").partition("(")[0] == "mlp"
        if is_mlp and task.params.lr_img != _MLP_RATE:
            return f"mlp (the authors set {cls.name}.lr_img={_MLP_RATE})"
        return None

    def setup(self) -> None:
        """Draw the first images; the first network is initialised by the first step."""
        super().setup()
        self.network = RunningNetwork(lambda stream: self.ctx.network(self.arch, stream))

    def steps(self) -> int:
        """Return ``outer`` steps for each of ``iterations`` networks."""
        return self.params.iterations * self.params.outer

    def step(self, i: int) -> Scalars:
        """Match in the running network, then train or drop it; ``loss`` is a mean over classes."""
        network = self.network.get()
        loss = self.match(network)
        if (i + 1) % self.params.outer:
            self.train(network)
        else:
            self.network.drop()
        return {"loss": loss}

    def match(self, network: nn.Module) -> Tensor:
        """Move the images along the gradient of the distances; return their mean, 0-d."""
        fix_batch_norm(network, self.ctx)
        frozen = FunctionalNetwork(network, slice_size=self.slice_size)
        weights = frozen.parameters()
        draws, picks = self.draw_per_class(self.dsa), self.sample_per_class(self.params.batch_real)

        def gradients(batches: Iterable[Tensor], run: slice, graph: bool) -> dict[str, Tensor]:
            pairs = zip(batches, draws[run], strict=True)
            seen = [self.dsa.apply(batch, draw) for batch, draw in pairs]
            return class_gradients(
                frozen, weights, seen, self.classes[run], self.ctx, create_graph=graph
            )

        def distances(run: slice, images: Tensor) -> Tensor:
            target = gradients(map(self.ctx.real.gather, picks[run]), run, False)
            return gradient_distance(target, gradients(images, run, True))

        largest = max(map(len, picks))
        return self.descend(distances, batch=largest, independent=True) / len(self.classes)

    def train(self, network: nn.Module) -> None:
        """Train the network on the distilled images, each augmented by itself."""
        network.train()
        for _ in range(self.params.inner):
            train_epoch(network, self, self.params.lr_net, self.params.batch_train)
