"""The loss of DiM's matching in one network, under an augmentation that all images share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.plugin import DSA, Context
from bench.plugin.compute import Draw, passes
from bench.plugin.datasets import normalise


def logit_distance(real: Tensor, fake: Tensor) -> Tensor:
    r"""Return :math:`\overline{(\log\sigma(\psi(x)) - \log\sigma(\psi(\tilde x)))^2}`.

    Args:
        real: logits of real images, ``(N, num_classes)``.
        fake: logits of as many generated ones, of the same classes in the same order.

    Returns:
        The mean over images and classes, 0-d.
    """
    distance: Tensor = (real.log_softmax(1) - fake.log_softmax(1)).square().mean()
    return distance


class SiameseLoss:
    """Maps generated and real images to :func:`logit_distance` and its gradient.

    It draws no random numbers, so that a step with it can be replayed as a graph.

    Args:
        network: in training mode; only its batch statistics change.
        augmentation: of real and generated images alike; in mode ``all``, so that every draw has
            the same operations.
        size: of :func:`bench.distillation.passes.slice_size`.
        ctx: whose dataset, device and precision to use.
    """

    def __init__(
        self, network: nn.Module, augmentation: DSA, size: int | None, ctx: Context
    ) -> None:
        self._network, self._augmentation = network, augmentation
        self._size, self._ctx = size, ctx
        self._any: Draw | None = None

    def inputs(self, real: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return what a call needs beside generated images.

        Args:
            real: images in [-1, 1], float32 ``(N, C, H, W)``.
            generator: draws the augmentation; on their device.
        """
        shape = self._ctx.real.spec.shape
        self._any = self._augmentation.draw(len(real), shape, generator, shared=True)
        return real, *self._any.values()

    def __call__(self, fake: Tensor, real: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance, 0-d, and its gradient on the generated images.

        Args:
            fake: generated images in [-1, 1] of the same classes, detached, float32.
            real: of :meth:`inputs`.
            *drawn: the rest of it.
        """
        assert self._any is not None, "a call comes after inputs"
        draw = self._any.at(drawn)
        self._network.requires_grad_(False)

        def match(part: slice) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                target = self.logits(real[part], draw)
            images = fake[part].detach().requires_grad_()
            share = (part.stop - part.start) / len(fake)
            with torch.enable_grad():
                distance = share * logit_distance(target, self.logits(images, draw))
            (gradient,) = torch.autograd.grad(distance, images)
            return distance.detach(), gradient

        parts = passes.parallel(match, passes.even_slices(len(fake), self._size), self._ctx)
        distances, gradients = zip(*parts, strict=True)
        self._network.requires_grad_(True)
        return torch.stack(distances).sum(), torch.cat(gradients)

    def changed(self) -> Iterator[Tensor]:
        """Return the network's batch statistics, which a call changes."""
        return self._network.buffers()

    def logits(self, images: Tensor, draw: Draw) -> Tensor:
        """Return the logits of images in [-1, 1] under an augmentation."""
        pixels = normalise((images + 1) / 2, self._ctx.real.spec)
        with passes.autocast(self._ctx):
            logits: Tensor = self._network(self._augmentation.apply(pixels, draw))
        return logits.float()
