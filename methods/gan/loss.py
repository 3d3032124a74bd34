"""The losses of DiM's conditional GAN: Wasserstein with gradient penalty, and classes.

I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, equation 3, with a classifier
beside the critic as in A. Odena et al., "Conditional Image Synthesis with Auxiliary Classifier
GANs", 2017; put together as in the released code of DiM (arXiv:2303.04707).

Throughout, ``D(x)`` is the source score and ``C(x)`` the class logits of the discriminator,
images are float ``(N, C, H, W)`` in [-1, 1] and labels int64 ``(N,)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.plugin.compute import passes
from methods.gan.networks import Discriminator


class Objective(NamedTuple):
    """The losses that a pair of networks trains with; each returns a 0-d float32.

    Attributes:
        generator: of the discriminator, generated images and the classes they were drawn for.
        discriminator: of the discriminator, real images, their classes, generated images, theirs.
        penalty: of the discriminator, real images, their classes, as many generated images, and
            numbers that are uniform in [0, 1), float32 ``(N, 1, 1, 1)``.
        same_classes: whether the discriminator's step draws images of the real batch's classes,
            and not of uniform ones.
    """

    generator: Callable[[Discriminator, Tensor, Tensor], Tensor]
    discriminator: Callable[[Discriminator, Tensor, Tensor, Tensor, Tensor], Tensor]
    penalty: Callable[[Discriminator, Tensor, Tensor, Tensor, Tensor], Tensor]
    same_classes: bool


def generator_loss(
    discriminator: Discriminator, fake: Tensor, labels: Tensor, class_weight: float = 1.0
) -> Tensor:
    r"""Return :math:`-\overline{D(\tilde x)} + c\, \mathrm{CE}(C(\tilde x), y)`, a 0-d float32.

    Args:
        discriminator: scores and classifies.
        fake: generated images, through which the gradient flows.
        labels: the classes that they were generated for.
        class_weight: :math:`c`, 1 in the paper.
    """
    source, classes = discriminator(fake)
    wrong = class_weight * F.cross_entropy(classes.float(), labels)
    loss: Tensor = wrong - source.float().mean()
    return loss


def discriminator_loss(
    discriminator: Discriminator,
    real: Tensor,
    labels: Tensor,
    fake: Tensor,
    fake_labels: Tensor,
    class_weight: float = 1.0,
) -> Tensor:
    r"""Return the discriminator's loss but for the gradient penalty, a 0-d float32.

    .. math:: \overline{D(\tilde x)} - \overline{D(x)}
              + c\, (\mathrm{CE}(C(\tilde x), \tilde y) + \mathrm{CE}(C(x), y))

    Both batches pass together: the discriminator treats every sample alone.

    Args:
        discriminator: scores and classifies.
        real: real images :math:`x`.
        labels: their classes :math:`y`.
        fake: generated images :math:`\tilde x`, detached.
        fake_labels: the classes :math:`\tilde y` that they were generated for.
        class_weight: :math:`c`, 1 in the paper.
    """
    sizes = [len(fake), len(real)]
    source, classes = discriminator(torch.cat([fake, real]))
    fake_source, real_source = source.float().split(sizes)
    fake_classes, real_classes = classes.float().split(sizes)
    distance = fake_source.mean() - real_source.mean()
    wrong = F.cross_entropy(fake_classes, fake_labels) + F.cross_entropy(real_classes, labels)
    loss: Tensor = distance + class_weight * wrong
    return loss


def gradient_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    r"""Return :math:`\overline{(\lVert \nabla_{\hat x} D(\hat x) \rVert_2 - 1)^2}`, 0-d float32.

    The points :math:`\hat x = \alpha x + (1 - \alpha) \tilde x` lie between each real image and
    the generated one beside it, :math:`\alpha` uniform in [0, 1) per pair.

    Args:
        discriminator: whose score :math:`D` is penalised.
        real: real images :math:`x`.
        fake: as many generated images :math:`\tilde x`, detached.
        mix: :math:`\alpha`, float32 ``(N, 1, 1, 1)``.
    """
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    source, _ = discriminator(between)
    slope = passes.image_gradient(source.float().sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def _penalty(
    discriminator: Discriminator, real: Tensor, _labels: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    return gradient_penalty(discriminator, real, fake, mix)


def wasserstein(class_weight: float) -> Objective:
    """Return the paper's losses, the cross-entropy weighted by a factor."""
    return Objective(
        partial(generator_loss, class_weight=class_weight),
        partial(discriminator_loss, class_weight=class_weight),
        _penalty,
        same_classes=False,
    )
