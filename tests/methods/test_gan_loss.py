"""Losses against the equations, written out in float64 without automatic differentiation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.support.seeds import global_seed, make_generator
from methods.gan.loss import discriminator_loss, generator_loss, gradient_penalty
from methods.gan.networks import Discriminator

SPEC = DatasetSpec("made", 3, 1, 8, 8, (0.5,), (0.5,), flip=False)
STRIDES = (1, 2)  # of an 8x8 image's convolutions


def made_discriminator() -> Discriminator:
    """Return a float64 discriminator whose every weight is random, the norms' among them."""
    with global_seed(3):
        network = Discriminator(SPEC, width=4).double()
        for weight in network.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.3)
    return network


def batch(seed: int, n: int = 5) -> tuple[Tensor, Tensor]:
    generator = make_generator(seed)
    images = torch.rand(n, *SPEC.shape, generator=generator, dtype=torch.float64) * 2 - 1
    return images, torch.randint(3, (n,), generator=generator)


def by_hand(network: Discriminator, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return source and class scores of the discriminator, from its weights alone."""
    state = network.state_dict()
    for k, stride in enumerate(STRIDES):
        conv, norm = f"body.{3 * k}", f"body.{3 * k + 1}"
        images = F.conv2d(images, state[f"{conv}.weight"], state[f"{conv}.bias"], stride, 1)
        flat = images.flatten(1)
        centred = flat - flat.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        images = scaled.view_as(images) * state[f"{norm}.weight"] + state[f"{norm}.bias"]
        images = torch.where(images > 0, images, 0.01 * images)
    features = images.flatten(2).max(2).values
    source = features @ state["source.weight"].T + state["source.bias"]
    return source[:, 0], features @ state["classes.weight"].T + state["classes.bias"]


def crossed(logits: Tensor, labels: Tensor) -> Tensor:
    chosen = logits.exp()[torch.arange(len(labels)), labels]
    return -(chosen / logits.exp().sum(1)).log().mean()


def close(actual: Tensor, expected: Tensor, rtol: float = 1e-6) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=rtol, atol=1e-7)


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


def slopes_by_hand(network: Discriminator, images: Tensor) -> Tensor:
    """Return the norm of each image's gradient, by central differences over its pixels."""
    step, columns = 1e-6, []
    for pixel in range(SPEC.pixels):
        shift = torch.zeros(SPEC.pixels, dtype=torch.float64)
        shift[pixel] = step
        shift = shift.view(SPEC.shape)
        up, down = by_hand(network, images + shift)[0], by_hand(network, images - shift)[0]
        columns.append((up - down) / (2 * step))
    return torch.stack(columns, 1).square().sum(1).sqrt()


def test_gradient_penalty() -> None:
    network, (real, _), (fake, _) = made_discriminator(), batch(1), batch(2)
    alpha = torch.rand(5, 1, 1, 1, generator=make_generator(9)).double()
    mix = alpha.to(real.dtype)
    norms = slopes_by_hand(network, alpha * real + (1 - alpha) * fake)
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
