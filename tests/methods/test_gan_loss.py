"""Losses against the equations, written out in float64 without automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from discriminator_by_hand import (
    batch,
    by_hand,
    close,
    crossed,
    made_discriminator,
    slopes_by_hand,
)
from torch import Tensor

from bench.support.seeds import make_generator
from methods.gan.loss import discriminator_loss, generator_loss, gradient_penalty, wasserstein


def test_generator_loss() -> None:
    network, (fake, labels) = made_discriminator(), batch(1)
    source, classes = by_hand(network, fake)
    close(generator_loss(network, fake, labels), crossed(classes, labels) - source.mean())


def test_discriminator_loss() -> None:
    network = made_discriminator()
    (real, labels), (fake, fake_labels) = batch(1, 4), batch(2, 6)
    real_source, real_classes = by_hand(network, real)
    fake_source, fake_classes = by_hand(network, fake)
    expected = (
        fake_source.mean() - real_source.mean()
        + crossed(fake_classes, fake_labels) + crossed(real_classes, labels)
    )  # fmt: skip
    close(discriminator_loss(network, real, labels, fake, fake_labels), expected)


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_the_class_weight_is_a_factor_of_the_cross_entropies(weight: float) -> None:
    network, losses = made_discriminator(), wasserstein(weight)
    (real, labels), (fake, fake_labels) = batch(1, 4), batch(2, 6)
    real_source, real_classes = by_hand(network, real)
    fake_source, fake_classes = by_hand(network, fake)
    wrong = crossed(fake_classes, fake_labels)
    expected = weight * wrong - fake_source.mean()
    close(losses.generator(network, fake, fake_labels), expected)
    expected = fake_source.mean() - real_source.mean()
    expected += weight * (wrong + crossed(real_classes, labels))
    close(losses.discriminator(network, real, labels, fake, fake_labels), expected)


def test_gradient_penalty() -> None:
    network, (real, _), (fake, _) = made_discriminator(), batch(1), batch(2)
    alpha = torch.rand(5, 1, 1, 1, generator=make_generator(9)).double()
    mix = alpha.to(real.dtype)
    norms = slopes_by_hand(lambda x: by_hand(network, x)[0], alpha * real + (1 - alpha) * fake)
    expected = (norms - 1).square().mean()
    close(gradient_penalty(network, real, fake, mix), expected, rtol=1e-5)


def test_gradient_penalty_reaches_the_weights() -> None:
    """Its derivative along a random direction of the weights, by central differences."""
    network, (real, _), (fake, _) = made_discriminator(), batch(1), batch(2)
    weights = list(network.body.parameters())
    mix = torch.rand(5, 1, 1, 1, generator=make_generator(9)).to(real.dtype)
    directions = [torch.randn(w.shape, generator=make_generator(4)).double() for w in weights]

    def moved(step: float) -> Tensor:
        for weight, direction in zip(weights, directions, strict=True):
            weight.data.add_(direction, alpha=step)
        return gradient_penalty(network, real, fake, mix)

    gradient = torch.autograd.grad(moved(0.0), weights, allow_unused=True)
    pairs = zip(gradient, directions, strict=True)
    actual = sum((g * d).sum() for g, d in pairs if g is not None)
    up, down = moved(1e-5).detach(), moved(-2e-5).detach()
    close(torch.as_tensor(actual), (up - down) / 2e-5, rtol=1e-4)
