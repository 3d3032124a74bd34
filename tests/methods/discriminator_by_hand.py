"""A small discriminator, and what it computes, written out in float64 from its weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.spec import DatasetSpec
from bench.support.seeds import global_seed, make_generator
from methods.gan.networks import Discriminator

SPEC = DatasetSpec("made", 3, 1, 8, 8, (0.5,), (0.5,), flip=False)
STRIDES = (1, 2)  # of an 8x8 image's convolutions


def made_discriminator(*, own_vectors: bool = False) -> Discriminator:
    """Return a float64 discriminator whose every weight is random, the norms' among them."""
    with global_seed(3):
        network = Discriminator(SPEC, width=4, own_vectors=own_vectors).double()
        for weight in network.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.3)
    return network


def batch(seed: int, n: int = 5) -> tuple[Tensor, Tensor]:
    generator = make_generator(seed)
    images = torch.rand(n, *SPEC.shape, generator=generator, dtype=torch.float64) * 2 - 1
    return images, torch.randint(3, (n,), generator=generator)


def by_hand(network: Discriminator, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return source and class scores of the discriminator, from its weights alone."""
    state, features = network.state_dict(), features_by_hand(network, images)
    source = features @ state["source.weight"].T + state["source.bias"]
    return source[:, 0], features @ state["classes.weight"].T + state["classes.bias"]


def features_by_hand(network: Discriminator, images: Tensor) -> Tensor:
    """Return what the discriminator's heads see."""
    state = network.state_dict()
    for k, stride in enumerate(STRIDES):
        conv, norm = f"body.{3 * k}", f"body.{3 * k + 1}"
        images = F.conv2d(images, state[f"{conv}.weight"], state[f"{conv}.bias"], stride, 1)
        flat = images.flatten(1)
        centred = flat - flat.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        images = scaled.view_as(images) * state[f"{norm}.weight"] + state[f"{norm}.bias"]
        images = torch.where(images > 0, images, 0.01 * images)
    return images.flatten(2).max(2).values


def crossed(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy."""
    chosen = logits.exp()[torch.arange(len(labels)), labels]
    return -(chosen / logits.exp().sum(1)).log().mean()


def close(actual: Tensor, expected: Tensor, rtol: float = 1e-6) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=rtol, atol=1e-7)


def slopes_by_hand(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the norm of the gradient of each image's score, by central differences over pixels."""
    step, columns = 1e-6, []
    for pixel in range(SPEC.pixels):
        shift = torch.zeros(SPEC.pixels, dtype=torch.float64)
        shift[pixel] = step
        shift = shift.view(SPEC.shape)
        columns.append((score(images + shift) - score(images - shift)) / (2 * step))
    return torch.stack(columns, 1).square().sum(1).sqrt()
