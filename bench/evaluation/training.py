"""The training of one evaluation network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.architecture import build_network
from bench.augment.dsa import DSA
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import TrainingSource
from bench.evaluation.gradients import Gradient
from bench.evaluation.protocols import Protocol
from bench.seeds import derive_seed, global_seed, make_generator


@dataclass(frozen=True)
class Recipe:
    """A protocol as it is applied to one distilled set.

    Attributes:
        protocol: the named recipe.
        spec: the dataset.
        learning_rate: the protocol's, or the one that was learned with the set.
        epochs: the protocol's, or those that the set asks for.
    """

    protocol: Protocol
    spec: DatasetSpec
    learning_rate: float
    epochs: int


def initial_network(arch: str, spec: DatasetSpec, seed: int, device: torch.device) -> nn.Module:
    """Build the network that ``seed`` stands for, in ``train()`` mode.

    It is initialised on the CPU, so that every device starts from the same weights.
    """
    with global_seed(derive_seed(seed, "init")):
        return build_network(arch, spec).to(device).train()


def train(
    net: nn.Module,
    gradient: Gradient,
    source: TrainingSource,
    recipe: Recipe,
    seed: int,
    after_step: Callable[[int], None],
) -> Tensor:
    """Train a network in place; everything random descends from ``seed``.

    Args:
        net: the network that ``gradient`` fills with gradients.
        gradient: whole or sliced.
        source: gives the images of each epoch.
        recipe: how to train.
        seed: of this network.
        after_step: called after every step with the number of epochs completed; whatever it
            raises ends the training.

    Returns:
        The mean loss of the last batch, a 0-d tensor.
    """
    protocol = recipe.protocol
    device = next(net.parameters()).device
    draw, order, noise = (
        make_generator(derive_seed(seed, part), device) for part in ("draw", "order", "augment")
    )
    dsa = DSA.for_dataset(recipe.spec, protocol.augment, protocol.augment_mode)
    optimiser = torch.optim.SGD(
        net.parameters(),
        lr=recipe.learning_rate,
        momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
    )
    loss = torch.zeros((), device=device)
    for epoch in range(recipe.epochs):
        rate = protocol.rate(epoch, recipe.epochs, recipe.learning_rate)
        optimiser.param_groups[0]["lr"] = rate
        images, labels = source.epoch(draw)
        shuffled = torch.randperm(len(labels), generator=order, device=device)
        for batch in torch.split(shuffled, protocol.batch_size):
            loss = gradient(dsa(images[batch], noise), labels[batch])
            optimiser.step()
            after_step(epoch)
    after_step(recipe.epochs)
    return loss
