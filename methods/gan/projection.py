"""The losses of a critic that sees the class: hinge losses, with a penalty at real images.

The critic scores an image for a class, so that a generator must match the images of each class.
With an auxiliary classifier, the generator is rewarded for the typical image of a class instead,
and after few steps it draws little else. The score is that of T. Miyato and M. Koyama, "cGANs with
Projection Discriminator", 2018, equation 5, on the features and heads of the discriminator that
:mod:`methods.gan.loss` has: the head that classifies there holds the vectors of the classes here,
unless the discriminator has vectors of their own.
It also learns to classify real images, and those alone, because otherwise a small critic needs
thousands of steps until it tells classes apart. The losses are those of J. H. Lim and J. C. Ye,
"Geometric GAN", 2017; the penalty is :math:`R_1` of L. Mescheder et al., "Which Training Methods
for GANs do actually Converge?", 2018.

Images are float ``(N, C, H, W)`` in [-1, 1] and labels int64 ``(N,)``.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.plugin.compute import passes
from methods.gan.loss import Objective
from methods.gan.networks import Discriminator


def class_score(discriminator: Discriminator, images: Tensor, labels: Tensor) -> Tensor:
    r"""Return :math:`D(x, y) = w^T \phi(x) + v_y^T \phi(x)`, biases included, float32 ``(N,)``."""
    source, _, scores = discriminator.opinions(images)
    return _score(source, scores, labels)


def _score(source: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    score: Tensor = source.float() + scores.float().gather(1, labels[:, None]).squeeze(1)
    return score


def generator_loss(discriminator: Discriminator, fake: Tensor, labels: Tensor) -> Tensor:
    r"""Return :math:`-\overline{D(\tilde x, y)}`, a 0-d float32.

    Args:
        discriminator: scores.
        fake: generated images, through which the gradient flows.
        labels: the classes that they were generated for.
    """
    return -class_score(discriminator, fake, labels).mean()


def discriminator_loss(
    discriminator: Discriminator,
    real: Tensor,
    labels: Tensor,
    fake: Tensor,
    fake_labels: Tensor,
    class_weight: float = 1.0,
) -> Tensor:
    r"""Return the discriminator's loss but for the penalty, a 0-d float32.

    .. math:: \overline{[1 + D(\tilde x, \tilde y)]_+} + \overline{[1 - D(x, y)]_+}
              + c\, \mathrm{CE}(C(x), y)

    Both batches pass together: the discriminator treats every sample alone.

    Args:
        discriminator: scores.
        real: real images :math:`x`.
        labels: their classes :math:`y`.
        fake: generated images :math:`\tilde x`, detached.
        fake_labels: the classes :math:`\tilde y` that they were generated for.
        class_weight: :math:`c`. Where the head that classifies also scores, much of it rewards a
            generator for the typical image of a class, as an auxiliary classifier does.
    """
    source, classes, each = discriminator.opinions(torch.cat([fake, real]))
    scores, n = _score(source, each, torch.cat([fake_labels, labels])), len(fake)
    wrong = F.cross_entropy(classes[n:].float(), labels)
    hinges = (1 + scores[:n]).relu().mean() + (1 - scores[n:]).relu().mean()
    return hinges + class_weight * wrong


def real_penalty(discriminator: Discriminator, real: Tensor, labels: Tensor) -> Tensor:
    r"""Return :math:`\overline{\lVert \nabla_x D(x, y) \rVert_2^2}`, 0-d float32.

    Args:
        discriminator: whose score is penalised.
        real: real images :math:`x`.
        labels: their classes :math:`y`.
    """
    images = real.detach().requires_grad_()
    score = class_score(discriminator, images, labels).sum()
    slope = passes.image_gradient(score, images, create_graph=True)
    penalty: Tensor = slope.flatten(1).square().sum(1).mean()
    return penalty


def _penalty(
    discriminator: Discriminator, real: Tensor, labels: Tensor, _fake: Tensor, _mix: Tensor
) -> Tensor:
    return real_penalty(discriminator, real, labels)


def projection(class_weight: float) -> Objective:
    """Return these losses, the cross-entropy weighted by a factor."""
    discriminator = partial(discriminator_loss, class_weight=class_weight)
    return Objective(generator_loss, discriminator, _penalty, same_classes=True)
