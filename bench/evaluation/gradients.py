"""Gradients of one batch, computed whole or in slices.

With per-sample normalisation the gradient of a batch is the sum of its slices' gradients. Slices
keep memory small and let two cores share a batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.evaluation.cores import Crew
from bench.evaluation.loss import summed_loss
from bench.networks.cpu_kernels import computing

# Images per slice, at most; a batch of up to half as many is not divided. Measured for ConvNet-3 at
# IPC 50 on two cores: 823 images/s at 32, 887 at 64, 850 at 128.
SLICE = 64


class Gradient(Protocol):
    """Computes the gradient of a batch."""

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Leave the mean loss's gradient in the network and return that loss.

        Args:
            images: float32 ``(N, C, H, W)``.
            labels: int64 ``(N,)``, or float32 class probabilities ``(N, num_classes)``.

        Returns:
            The mean loss, see :func:`bench.evaluation.loss.summed_loss`: a detached 0-d tensor.
        """


class WholeGradient:
    """One forward and backward pass over the batch; right for every network.

    Args:
        net: in ``train()`` mode.
        precision: ``fp32`` or ``bf16`` (autocast; the weights stay float32).
        temperature: see :func:`bench.evaluation.loss.summed_loss`.
    """

    def __init__(self, net: nn.Module, precision: str, temperature: float | None = None) -> None:
        self._net, self._precision, self._temperature = net, precision, temperature

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """See :class:`Gradient`."""
        self._net.zero_grad()
        return _backward(self._net, images, labels, len(images), self._precision, self._temperature)


class SlicedGradient:
    """Sums the gradients of slices; only for per-sample networks.

    A batch is cut into an even number of nearly equal slices, dealt to two lanes in turn. Each lane
    sums its own in order and the second lane is added to the first, so the result does not depend
    on whether the lanes ran at the same time.

    Args:
        net: in ``train()`` mode.
        precision: ``fp32`` or ``bf16`` (autocast; the weights stay float32).
        crew: runs the lanes.
        temperature: see :func:`bench.evaluation.loss.summed_loss`.
    """

    def __init__(
        self, net: nn.Module, precision: str, crew: Crew, temperature: float | None = None
    ) -> None:
        self._lanes = (net, _sharing_weights(net))
        self._precision, self._crew, self._temperature = precision, crew, temperature

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """See :class:`Gradient`."""
        count = number_of_slices(len(images))
        slices = list(
            zip(torch.tensor_split(images, count), torch.tensor_split(labels, count), strict=True)
        )
        losses: list[Tensor] = [torch.zeros(())] * 2

        def run(lane: int) -> None:
            losses[lane] = self._run(self._lanes[lane], slices[lane::2], len(images))

        if len(slices) == 1:
            run(0)
            return losses[0]
        self._crew.both(lambda: run(0), lambda: run(1))
        for into, other in zip(*(lane.parameters() for lane in self._lanes), strict=True):
            if into.grad is not None and other.grad is not None:
                into.grad += other.grad
        return losses[0] + losses[1]

    def _run(self, net: nn.Module, slices: Sequence[tuple[Tensor, Tensor]], total: int) -> Tensor:
        net.zero_grad()
        losses = [
            _backward(net, x, y, total, self._precision, self._temperature) for x, y in slices
        ]
        return torch.stack(losses).sum()


def number_of_slices(images: int) -> int:
    """Return 1 for a batch too small to be worth dividing, else an even number."""
    return 1 if images <= SLICE // 2 else 2 * math.ceil(images / (2 * SLICE))


def _backward(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    total: int,
    precision: str,
    temperature: float | None,
) -> Tensor:
    """Add the gradient of the summed loss, divided by ``total``, to the network's."""
    with computing(images.device, precision):
        logits = net(images)
    loss = summed_loss(logits, labels, temperature) / total
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def _sharing_weights(net: nn.Module) -> nn.Module:
    """Return a copy whose weights are the original's memory, with gradients of its own."""
    twin = copy.deepcopy(net)
    for mine, theirs in zip(twin.parameters(), net.parameters(), strict=True):
        mine.data = theirs.data
    return twin
