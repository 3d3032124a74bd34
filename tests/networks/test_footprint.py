"""The size of a network, found without computing it."""

from __future__ import annotations

import torch

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network
from bench.networks.footprint import count_weights, largest_output

SPEC = DatasetSpec("large", 10, 3, 224, 224, (0.5,) * 3, (0.2,) * 3, flip=True)


def test_weights_are_those_of_the_network() -> None:
    network = build_network("convnet3", SPEC)
    assert count_weights("convnet3", SPEC) == sum(w.numel() for w in network.parameters())


def test_the_largest_output_is_the_first_layers() -> None:
    assert largest_output("convnet6", SPEC) == 128 * 224 * 224


def test_random_numbers_are_not_drawn() -> None:
    before = torch.get_rng_state()
    largest_output("resnet10(width=4)", SPEC)
    assert torch.equal(torch.get_rng_state(), before)
