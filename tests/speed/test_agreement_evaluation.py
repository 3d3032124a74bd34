"""The engine and the plain loop: the same losses from the same weights and batches."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from plain.evaluation import train_plain
from plain.flops import count
from plain.networks import PlainConvNet
from replay import EpochOrders, small_real_set
from small_networks import small_architecture
from torch import nn
from torch.nn import functional as F

from bench.datasets.real_set import RealSet
from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import train_and_test
from bench.evaluation.protocols import Protocol, get_protocol
from bench.evaluation.recipe import Recipe
from bench.networks.architecture import build_network
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError
from bench.support.seeds import derive_seed, global_seed, make_generator

CPU = torch.device("cpu")
REAL = small_real_set()
# 70 images in batches of 37 and 33: no slice of an even size divides either.
SHOWN = torch.arange(70)
PLAIN = dataclasses.replace(get_protocol("plain"), batch_size=37)
EPOCHS = 11
# An architecture whose image needs more operations than this is too dear for two such trainings.
DEAR = 5e6


def engine_losses(arch: str, protocol: Protocol, epochs: int, real: RealSet = REAL) -> list[float]:
    """Return the last loss of each of two networks."""
    source = FixedSource(real.gather(SHOWN), real.labels[SHOWN], 0)
    few = dataclasses.replace(real, images=real.images[:4], labels=real.labels[:4])
    recipe = Recipe.of(real.spec, arch, protocol, epochs=epochs)
    made = train_and_test(source, recipe, (5, 6), few)
    assert made.training_steps == epochs * math.ceil(len(SHOWN) / protocol.batch_size)
    return list(made.final_losses)


def initial(arch: str, seed: int, real: RealSet = REAL) -> nn.Module:
    """Return the network that the engine starts from for ``seed``."""
    with global_seed(derive_seed(seed, "init")):
        return build_network(arch, real.spec)


def plain_losses(network: nn.Module, protocol: Protocol, seed: int, epochs: int) -> list[float]:
    images, labels = REAL.gather(SHOWN), REAL.labels[SHOWN]
    orders = EpochOrders(len(SHOWN), seed)
    return train_plain(network, images, labels, protocol, epochs, make_generator(0), orders)


def loss_before(network: nn.Module, seed: int) -> float:
    """Return the loss of a network that was not trained, on the last batch of the training."""
    orders = EpochOrders(len(SHOWN), seed)
    *_, order = (list(orders) for _ in range(EPOCHS))
    last = SHOWN[order[PLAIN.batch_size :]]
    with torch.no_grad():
        logits = network.train()(REAL.gather(last))
    return float(F.cross_entropy(logits, REAL.labels[last]))


def is_dear(arch: str) -> bool:
    network, image = initial(arch, 0).eval(), torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        return count(lambda: network(image)) > DEAR


@pytest.mark.parametrize("name", ARCHITECTURES.names())
def test_every_architecture_follows_the_plain_loop(name: str) -> None:
    try:
        arch = small_architecture(name)
        dear = is_dear(arch)
    except BenchError as error:  # not for 32x32 images, or the name of a family of names
        pytest.skip(str(error))
    if dear:
        pytest.skip(f"{arch} is too dear for a quick test")
    # At the protocol's rate, a deep network of four channels turns 1e-7 into 1e-2 by itself.
    slow = dataclasses.replace(PLAIN, lr=3e-4)
    plain = [plain_losses(initial(arch, seed), slow, seed, EPOCHS) for seed in (5, 6)]
    assert len(plain[0]) == 22
    unmoved = loss_before(initial(arch, 5), 5)
    moved = abs(plain[0][-1] - unmoved)
    assert moved > 1e-3 * unmoved
    expected = [losses[-1] for losses in plain]
    assert engine_losses(arch, slow, EPOCHS) == pytest.approx(expected, rel=2e-4, abs=0.03 * moved)


def test_convnet_of_stock_layers_gives_the_same_curve() -> None:
    """Every loss of 20 steps, each in one batch; both from the same weights."""
    protocol = dataclasses.replace(PLAIN, batch_size=70, milestones=())
    curves = []
    for seed in (5, 6):
        network = PlainConvNet(3, width=8)
        network.load_state_dict(initial("convnet3(width=8)", seed).state_dict())
        curves.append(plain_losses(network, protocol, seed, 20))
    assert curves[0][-1] < 0.9 * curves[0][0]
    for epochs in (1, 2, 7, 13, 20):
        expected = [curve[epochs - 1] for curve in curves]
        found = engine_losses("convnet3(width=8)", protocol, epochs)
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch", [1, 9, 16, 17, 33, 65, 69])
def test_whatever_the_batch(batch: int) -> None:
    """Slices of one image, odd slices, a last batch of one image."""
    protocol = dataclasses.replace(PLAIN, batch_size=batch)
    epochs = math.ceil(20 / math.ceil(70 / batch))
    expected = [
        plain_losses(initial("convnet3(width=4)", seed), protocol, seed, epochs)[-1]
        for seed in (5, 6)
    ]
    assert engine_losses("convnet3(width=4)", protocol, epochs) == pytest.approx(expected, rel=1e-3)


def test_schedules_agree() -> None:
    """With momentum 0 and a rate that falls to nothing, later epochs must not move a weight."""
    protocol = dataclasses.replace(PLAIN, milestones=(0.5,), gamma=0.0, momentum=0.0)
    network = initial("convnet3(width=4)", 5)
    losses = plain_losses(network, protocol, 5, 4)
    found = engine_losses("convnet3(width=4)", protocol, 4)
    assert found[0] == pytest.approx(losses[-1], rel=1e-4)
    assert losses[0] != pytest.approx(losses[-1], rel=1e-3)
