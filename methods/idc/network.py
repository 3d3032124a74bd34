"""The network in which IDC matches: trained on real images, with CutMix.

J.-H. Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022;
the released code is snu-mllab/Efficient-Dataset-Condensation, train.py and misc/utils.py.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import Context
from bench.plugin.compute import FunctionalNetwork, passes
from methods.shared.optimiser_state import load_optimiser_tensors, optimiser_tensors


def cutmix(
    images: Tensor, labels: Tensor, classes: int, probability: float, ctx: Context
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image into each, and mix labels by area (Yun et al., 2019).

    The rectangle, the same for the whole batch, has its centre anywhere and a uniform share of the
    area, less what lies outside. Draws from the context's generators ``cutmix``.

    Args:
        images: float32 ``(N, C, H, W)``.
        labels: int64 ``(N,)``.
        classes: how many there are.
        probability: that the batch is mixed at all.
        ctx: gives the generators.

    Returns:
        The images and class probabilities, float32 ``(N, classes)``.
    """
    host = ctx.generator("cutmix", host=True)
    hot = F.one_hot(labels, classes).float()
    if float(torch.rand((), generator=host)) >= probability:
        return images, hot
    height, width = images.shape[2:]
    side = math.sqrt(float(torch.rand((), generator=host)))
    rows, columns = _span(height, side, ctx), _span(width, side, ctx)
    order = torch.randperm(len(labels), generator=ctx.generator("cutmix"), device=images.device)
    mixed = images.clone()
    mixed[:, :, rows, columns] = images[order, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, (1 - pasted) * hot + pasted * hot[order]


def _span(size: int, side: float, ctx: Context) -> slice:
    """Place a rectangle's side, a share of ``size``, around a random pixel; cut at the borders."""
    half, centre = int(size * side) // 2, ctx.draw_int(size, "cutmix")
    return slice(max(0, centre - half), min(size, centre + half))


class TrainedNetwork:
    """A network as a function, with weights that SGD moves.

    Args:
        network: freshly initialised.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: of SGD, on all weights.
        slice_size: of :func:`bench.distillation.passes.slice_size`.

    Attributes:
        function: the network, in ``train()`` mode.
        weights: where it stands.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        slice_size: int | None,
    ) -> None:
        self.function = FunctionalNetwork(network.train(), slice_size=slice_size)
        self.weights, self._slice = self.function.parameters(), slice_size
        self._optimiser = torch.optim.SGD(
            self.weights.values(), lr=lr, momentum=momentum, weight_decay=weight_decay
        )

    def descend(self, images: Tensor, targets: Tensor, ctx: Context) -> None:
        """Take a step on the mean cross-entropy of a batch.

        Args:
            images: float32 ``(N, C, H, W)``, normalised.
            targets: class probabilities, float32 ``(N, classes)``.
            ctx: whose device and precision to use.
        """
        size = self._slice or len(images)
        parts = list(zip(torch.split(images, size), torch.split(targets, size), strict=True))

        def gradients(part: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
            with passes.autocast(ctx):
                return self.function.gradients(self.weights, *part)

        shares = [len(part) / len(images) for part, _ in parts]
        results = passes.parallel(gradients, parts, ctx)
        for name, weight in self.weights.items():
            weight.grad = sum(
                (share * one[name] for share, one in zip(shares, results, strict=True)),
                torch.zeros_like(weight),
            )
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and the optimiser's state."""
        weights = {name: weight.detach() for name, weight in self.weights.items()}
        return {"weights": weights, "optimiser": optimiser_tensors(self._optimiser)}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])
        load_optimiser_tensors(self._optimiser, state["optimiser"])
