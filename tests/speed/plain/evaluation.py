"""The training of one evaluation network, as DatasetCondensation's ``evaluate_synset`` has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from bench.evaluation.protocols import Protocol
from plain.augment import PlainDSA


def train_plain(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    protocol: Protocol,
    epochs: int,
    generator: torch.Generator,
    sampler: Sampler[int] | None = None,
) -> list[float]:
    """Train a network in place by a protocol.

    Args:
        network: on the images' device.
        images: float32 ``(N, C, H, W)``, normalised.
        labels: int64 ``(N,)``.
        protocol: the recipe.
        epochs: passes over the images.
        generator: draws the augmentation, on the images' device.
        sampler: the order of each epoch, in place of a shuffled one.

    Returns:
        The mean loss of every batch.
    """
    augment = _augmentation(protocol, generator)
    order = torch.Generator().manual_seed(generator.initial_seed())
    loader = DataLoader(
        TensorDataset(images, labels), protocol.batch_size, shuffle=sampler is None,
        sampler=sampler, num_workers=0, generator=order,
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss().to(images.device)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=protocol.lr, momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
    )  # fmt: skip
    network.train()
    losses: list[float] = []
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = protocol.rate(epoch, epochs, protocol.lr)
        seen, correct = 0, 0
        for batch, wanted in loader:
            batch = batch.float().to(images.device)
            if augment is not None:
                batch = augment(batch)
            wanted = wanted.long().to(images.device)
            output = network(batch)
            loss = criterion(output, wanted)
            correct += (output.argmax(1) == wanted).sum().item()
            seen += len(wanted)
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return losses


def _augmentation(protocol: Protocol, generator: torch.Generator) -> PlainDSA | None:
    if not protocol.augment:
        return None
    every = protocol.augment_mode == "all"
    return PlainDSA(protocol.augment.split("_"), generator, every=every)
