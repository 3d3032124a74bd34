"""Gradient matching: distilled images whose gradients point where those of real images point.

B. Zhao, K. R. Mopuri and H. Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021,
Algorithm 1 and equations 9 and 10; where the paper is silent, the released code
(VICO-UoE/DatasetCondensation, main.py and utils.py) decides.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.plugin import (
    DSA,
    DistilledSet,
    FunctionalNetwork,
    ImageSet,
    Method,
    Profile,
    Task,
    by_ipc,
    image_gradient,
    param,
)
from methods.compute import autocast, class_groups, parallel, slice_size
from methods.first_images import first_images, init_param, too_few
from methods.gradient_distance import gradient_distance
from methods.network_training import descend, fix_batch_norm

# The released code's epochs between two matching steps, by IPC.
_INNER = {1: 1, 10: 50, 20: 25, 30: 20, 40: 15, 50: 10}

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
        256, help="real images per class and matching step; at most the smallest class", min=1
    )
    batch_train: int = param(256, help="distilled images per step of the networks", min=1)
    init: str = init_param("noise")


class GradientMatching(Method):
    r"""Matches, class by class, the gradients that real and distilled images give a network.

    One step is one matching step. For each class it draws a batch :math:`T_c` of real images and
    one augmentation :math:`A_c` that all images share, and follows the gradient of

    .. math:: \sum_c D\big( \nabla_\theta L(A_c(T_c)), \nabla_\theta L(A_c(S_c)) \big)

    with SGD on the normalised pixels. :math:`D` is the layer-wise distance
    (:func:`methods.gradient_distance.gradient_distance`), :math:`L` the mean cross-entropy. Then
    the network trains on the distilled images for ``inner`` epochs, or after ``outer`` steps a
    fresh one takes its place. Batch normalisation takes its statistics from real images before
    each matching step and keeps them during it.
    """

    Params = GradientMatchingParams
    profiles = PROFILES

    @classmethod
    def skip(cls, task: Task) -> str | None:
        """Return a reason if real images to start from are too few."""
        return too_few(task)

    @staticmethod
    @abstractmethod
    def augmentation(task: Task) -> DSA:
        """Return what images go through: alike when they are matched, each by itself in training.

        Raises:
            BenchError: for an unknown strategy.
        """

    def setup(self) -> None:
        """Draw the first images: float32 ``(num_classes, ipc, C, H, W)``, normalised."""
        task, ctx = self.task, self.ctx
        assert task.arch is not None
        assert task.ipc is not None
        self._spec, self._params, self._ctx, self._arch = task.spec, task.params, ctx, task.arch
        self._dsa = self.augmentation(task)
        self._batch = min(task.params.batch_real, *task.class_counts)
        self._images = first_images(task.params.init, task.ipc, ctx)
        self._velocity = torch.zeros_like(self._images)
        self._classes = torch.arange(task.spec.num_classes, device=ctx.device)
        self._slice = slice_size(task.arch, ctx)
        # With batch normalisation fixed, a pass may hold any of the classes.
        self._groups = class_groups(task.spec.num_classes, self._batch, self._slice or 1)
        self._network: nn.Module | None = None

    def steps(self) -> int:
        """``iterations`` networks with ``outer`` steps each."""
        total: int = self._params.iterations * self._params.outer
        return total

    def step(self, i: int) -> Mapping[str, Tensor]:
        """Match in the running network, then train or leave it; ``loss`` is a mean over classes."""
        if self._network is None:
            self._network = self._ctx.network(self._arch)
        distances, gradients = self._match(self._network)
        self._velocity.mul_(self._params.momentum).add_(gradients)
        self._images.sub_(self._velocity, alpha=self._params.lr_img)
        if (i + 1) % self._params.outer:
            self._train(self._network)
        else:
            self._network = None
        return {"loss": distances.mean()}

    def state_dict(self) -> dict[str, Any]:
        """Return the images, their velocity and the network, if one is left to go on with."""
        network = None if self._network is None else self._network.state_dict()
        return {"images": self._images, "velocity": self._velocity, "network": network}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self._images.copy_(state["images"])
        self._velocity.copy_(state["velocity"])
        self._network = None
        if state["network"] is not None:
            # Its initial weights are overwritten: the stream of new networks must not move on.
            self._network = self._ctx.network(self._arch, stream="restored")
            self._network.load_state_dict(state["network"])

    def result(self) -> DistilledSet:
        """Return the images as they are, in normalised units."""
        return ImageSet(self._spec, self._images.flatten(0, 1).clone(), self._labels(), {})

    def _match(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Return the distances ``(classes,)`` and the gradient of their sum by the images.

        The sum falls apart into its terms: each class's images move only its own.
        """
        ctx, choosing, augmenting = self._ctx, *map(self._ctx.generator, ("real", "augmentation"))
        fix_batch_norm(network, ctx)
        frozen, count = FunctionalNetwork(network, slice_size=self._slice), len(self._classes)
        weights, shape = frozen.parameters(), self._spec.shape
        draws = [self._dsa.draw(1, shape, augmenting, shared=True) for _ in range(count)]
        picks = [ctx.real.sample_class(c, self._batch, choosing) for c in range(count)]

        def gradients(batches: Iterable[Tensor], group: slice, graph: bool) -> dict[str, Tensor]:
            pairs = zip(batches, draws[group], strict=True)
            seen = torch.stack([self._dsa.apply(batch, draw) for batch, draw in pairs])
            labels = self._classes[group, None].expand(seen.shape[:2])
            with autocast(ctx):
                return frozen.per_class_gradients(weights, seen, labels, create_graph=graph)

        def match(group: slice) -> tuple[Tensor, Tensor]:
            images = self._images[group].detach().requires_grad_()
            target = gradients(map(ctx.real.gather, picks[group]), group, False)
            distances = gradient_distance(target, gradients(images, group, True))
            gradient = image_gradient(distances.sum(), images)
            return distances.detach(), gradient

        distances, moves = zip(*parallel(match, self._groups, ctx), strict=True)
        return torch.cat(distances), torch.cat(moves)

    def _train(self, network: nn.Module) -> None:
        """Train the network on the distilled images, each augmented by itself."""
        ctx, params, rate = self._ctx, self._params, self._params.lr_net
        order, augmenting = ctx.generator("order"), ctx.generator("training-augmentation")
        images, labels = self._images.flatten(0, 1), self._labels()
        network.train()
        for _ in range(params.inner):
            shuffled = torch.randperm(len(labels), generator=order, device=ctx.device)
            for batch in torch.split(shuffled, params.batch_train):
                seen = self._dsa(images[batch], augmenting)
                descend(network, seen, labels[batch], lr=rate, slice_size=self._slice, ctx=ctx)

    def _labels(self) -> Tensor:
        return self._classes.repeat_interleave(self._images.shape[1])
