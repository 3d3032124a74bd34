r"""CAFE's losses: class means aligned layer by layer, real images told apart by distilled centres.

K. Wang et al., "CAFE: Learning to Condense Dataset by Aligning Features", CVPR 2022.
:math:`\bar f_{k,l}` is the mean over the images of class :math:`k` of their features in layer
:math:`l`; the last layer is the embedding, the classifier's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.plugin import DSA, BenchError, Context
from bench.plugin.compute import Draw, passes

Layers = Callable[[Tensor], list[Tensor]]


def class_means(
    layers: Layers, batches: Sequence[Tensor], size: int | None
) -> tuple[list[Tensor], Tensor]:
    r"""Return :math:`\bar f_{k,l}` for every layer, and the embedding of every image.

    Args:
        layers: gives each layer's features ``(N, D_l)``, the embedding last.
        batches: one per class, ``(N_k, C, H, W)``.
        size: images per pass; ``None`` for all at once.

    Returns:
        For each layer ``(classes, D_l)``, and ``(sum of N_k, D)`` in the order of the batches.
    """
    images, size = torch.cat(list(batches)), size or sum(map(len, batches))
    shares = images.new_zeros(len(batches), len(images))
    for share, batch, end in zip(shares, batches, accumulate(map(len, batches)), strict=True):
        share[end - len(batch) : end] = 1 / len(batch)
    means: list[Tensor] = []
    embeddings = []
    for part, share in zip(torch.split(images, size), torch.split(shares, size, 1), strict=True):
        features = layers(part)
        parts = [share @ own for own in features]
        means = [a + b for a, b in zip(means, parts, strict=True)] if means else parts
        embeddings.append(features[-1])
    return means, torch.cat(embeddings)


def alignment_loss(
    real: Sequence[Tensor], distilled: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    r"""Return :math:`\sum_l w_l \sum_k \| \bar f^S_{k,l} - \bar f^T_{k,l} \|^2`, 0-d.

    Args:
        real: class means of real images, ``(classes, D_l)`` for each layer.
        distilled: alike; the gradient flows through them.
        weights: one per layer.
    """
    triples = zip(weights, real, distilled, strict=True)
    return torch.stack([w * (own - target).square().sum() for w, target, own in triples]).sum()


def discrimination_loss(features: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    r"""Return how badly distilled centres classify real images, 0-d.

    .. math:: -\sum_i \log \mathrm{softmax}(\langle f^T_i, \bar f^S_{1,L} \rangle, \ldots,
              \langle f^T_i, \bar f^S_{K,L} \rangle)_{y_i}

    Args:
        features: embeddings of real images, ``(N, D)``.
        labels: int64 ``(N,)``, rows of ``centres``.
        centres: the distilled images' class means in the last layer, ``(classes, D)``.
    """
    return F.cross_entropy(features @ centres.T, labels, reduction="sum")


def weights_of_layers(given: Sequence[float], count: int) -> list[float]:
    """Return one weight per layer: ``given`` from the embedding backwards.

    Layers before those that ``given`` reaches take its first weight.

    Raises:
        BenchError: if ``given`` is empty.
    """
    if not given:
        raise BenchError("no weight is given for any layer: give at least the embedding's")
    return [given[max(0, len(given) - count + i)] for i in range(count)]


@dataclass(frozen=True)
class Round:
    """One round in one network: what both losses and their gradient are computed with.

    Attributes:
        layers: gives each layer's features ``(N, D_l)``, the embedding last.
        dsa: the augmentation.
        draws: one per class, which its real and distilled images share.
        picks: one per class: indices of the real images.
        size: images per pass; ``None`` for all at once.
        ctx: real set, device.
    """

    layers: Layers
    dsa: DSA
    draws: Sequence[Draw]
    picks: Sequence[Tensor]
    size: int | None
    ctx: Context

    def losses(
        self, images: Tensor, layer_weights: Sequence[float], discrimination_weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return both losses, and the gradient of their weighted sum by the distilled images.

        The discrimination loss sees those through their centres alone, so its gradient by the
        centres is all that a run of classes needs to know of the others.

        Args:
            images: ``(classes, ipc, C, H, W)``, normalised.
            layer_weights: as :func:`weights_of_layers` takes them.
            discrimination_weight: factor of the discrimination loss.

        Returns:
            The alignment loss, the discrimination loss without its factor, and a tensor like
            ``images``; all detached.
        """
        targets, discrimination, pull = self._against(images)
        pull = discrimination_weight * pull

        def align(group: slice) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                own = images[group].detach().requires_grad_()
                means, _ = self._means(own.unbind(), group)
                weights = weights_of_layers(layer_weights, len(means))
                loss = alignment_loss([layer[group] for layer in targets], means, weights)
                both = loss + (pull[group] * means[-1]).sum()
            gradient = passes.image_gradient(both, own)
            return loss.detach(), gradient

        losses, gradients = zip(
            *passes.parallel(align, self._runs(images.shape[1]), self.ctx), strict=True
        )
        return torch.stack(losses).sum(), discrimination, torch.cat(gradients)

    def _against(self, images: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the real class means, the discrimination loss and its gradient by the centres."""
        real = self.ctx.real

        @torch.no_grad()
        def real_means(group: slice) -> tuple[list[Tensor], Tensor]:
            return self._means([real.gather(pick) for pick in self.picks[group]], group)

        @torch.no_grad()
        def centres_of(group: slice) -> Tensor:
            return self._means(images[group].unbind(), group)[0][-1]

        most = max(map(len, self.picks))
        means, features = zip(*passes.parallel(real_means, self._runs(most), self.ctx), strict=True)
        centres = torch.cat(passes.parallel(centres_of, self._runs(images.shape[1]), self.ctx))
        centres.requires_grad_()
        labels = torch.cat([real.labels[pick] for pick in self.picks])
        loss = discrimination_loss(torch.cat(features), labels, centres)
        (pull,) = torch.autograd.grad(loss, centres)
        return [torch.cat(layer) for layer in zip(*means, strict=True)], loss.detach(), pull

    def _means(self, batches: Sequence[Tensor], group: slice) -> tuple[list[Tensor], Tensor]:
        pairs = zip(batches, self.draws[group], strict=True)
        seen = [self.dsa.apply(batch, draw) for batch, draw in pairs]
        return class_means(self.layers, seen, self.size)

    def _runs(self, per_class: int) -> list[slice]:
        return passes.class_groups(len(self.picks), per_class, self.size)
