"""The losses of the critic that sees the class against their equations, in float64."""

from __future__ import annotations

import torch
from discriminator_by_hand import (
    SPEC,
    batch,
    by_hand,
    close,
    crossed,
    features_by_hand,
    made_discriminator,
    slopes_by_hand,
)
from torch import Tensor

from bench.support.seeds import global_seed
from methods.gan.networks import Discriminator
from methods.gan.projection import (
    class_score,
    discriminator_loss,
    generator_loss,
    projection,
    real_penalty,
)


def score_by_hand(network: Discriminator, images: Tensor, labels: Tensor) -> Tensor:
    """Return the score of each image for its class."""
    source, classes = by_hand(network, images)
    return torch.stack([s + c[y] for s, c, y in zip(source, classes, labels, strict=True)])


def test_the_score_depends_on_the_class() -> None:
    network, (images, labels) = made_discriminator(), batch(1)
    close(class_score(network, images, labels), score_by_hand(network, images, labels))
    assert not torch.isclose(
        class_score(network, images, labels), class_score(network, images, (labels + 1) % 3)
    ).any()


def test_generator_loss() -> None:
    network, (fake, labels) = made_discriminator(), batch(1)
    close(generator_loss(network, fake, labels), -score_by_hand(network, fake, labels).mean())


def test_discriminator_loss() -> None:
    """With scores on both sides of the hinges."""
    network, (real, labels), (fake, fake_labels) = made_discriminator(), batch(1, 7), batch(2, 6)
    true = score_by_hand(network, real, labels)
    false = score_by_hand(network, fake, fake_labels)
    shift = float(torch.cat([true, false]).median())
    network.source.bias.data.sub_(shift)
    true, false = true - shift, false - shift
    assert (true > 1).any()
    assert (true < 1).any()
    assert (false < -1).any()
    assert (false > -1).any()
    wrong = crossed(by_hand(network, real)[1], labels)
    expected = (1 + false).clamp(min=0).mean() + (1 - true).clamp(min=0).mean() + wrong
    close(discriminator_loss(network, real, labels, fake, fake_labels), expected)
    lighter = projection(0.25).discriminator(network, real, labels, fake, fake_labels)
    close(lighter, expected - 0.75 * wrong)


def test_own_vectors_score_and_do_not_classify() -> None:
    network, (real, labels), (fake, fake_labels) = (
        made_discriminator(own_vectors=True), batch(1), batch(2)
    )  # fmt: skip
    vectors = network.state_dict()["vectors.weight"]

    def score(images: Tensor, classes: Tensor) -> Tensor:
        features = features_by_hand(network, images)
        return by_hand(network, images)[0] + (features * vectors[classes]).sum(1)

    true, false = score(real, labels), score(fake, fake_labels)
    close(class_score(network, real, labels), true)
    close(generator_loss(network, fake, fake_labels), -false.mean())
    hinges = (1 + false).clamp(min=0).mean() + (1 - true).clamp(min=0).mean()
    wrong = crossed(by_hand(network, real)[1], labels)
    close(discriminator_loss(network, real, labels, fake, fake_labels), hinges + wrong)


def test_own_vectors_leave_the_other_weights_as_they_are() -> None:
    with global_seed(5):
        plain = Discriminator(SPEC, 4)
    with global_seed(5):
        other = Discriminator(SPEC, 4, own_vectors=True)
    state = other.state_dict()
    assert set(state) - set(plain.state_dict()) == {"vectors.weight"}
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())


def test_real_penalty() -> None:
    network, (real, labels) = made_discriminator(), batch(1)
    norms = slopes_by_hand(lambda images: score_by_hand(network, images, labels), real)
    close(real_penalty(network, real, labels), norms.square().mean(), rtol=1e-5)


def test_real_penalty_reaches_the_weights() -> None:
    """Its derivative along the weights themselves, by central differences."""
    network, (real, labels) = made_discriminator(), batch(1)
    weights = list(network.body.parameters())
    directions = [w.detach().clone() for w in weights]
    gradient = torch.autograd.grad(real_penalty(network, real, labels), weights, allow_unused=True)
    pairs = zip(gradient, directions, strict=True)
    actual = sum((g * d).sum() for g, d in pairs if g is not None)

    def moved(step: float) -> Tensor:
        for weight, direction in zip(weights, directions, strict=True):
            weight.data.add_(direction, alpha=step)
        return real_penalty(network, real, labels).detach()

    up, down = moved(1e-5), moved(-2e-5)
    close(torch.as_tensor(actual), (up - down) / 2e-5, rtol=1e-4)
