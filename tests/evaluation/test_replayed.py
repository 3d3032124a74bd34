"""Evaluations whose steps are replayed train the same networks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from fake_recorder import FakeRecorder
from torch import Tensor

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import FixedSource
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.replayed import ReplayedNetworks
from bench.evaluation.stacked import StackedNets
from bench.evaluation.training import Networks, OneNetwork, Training
from bench.networks.replay import Recorder, recorder_for
from bench.networks.step_reasons import take_reasons
from bench.support.seeds import make_generator

SPEC = DatasetSpec("blobs", 4, 3, 16, 16, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), flip=True)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
# 3 batches of an epoch, the last of which is smaller.
PROTOCOL = dataclasses.replace(get_protocol("default"), epochs=6, batch_size=12)
ARCHES = ("convnet2(width=8)", "convnet2(width=8,norm=batch)", "resnet10(width=4)")


def train(
    arch: str, seeds: list[int], recorder: Recorder | None, device: torch.device = CPU
) -> list[Tensor]:
    """Return the last losses and all weights and running statistics of networks."""
    recipe = Recipe.of(SPEC, arch, PROTOCOL)
    modules = [recipe.initial_network(seed, device) for seed in seeds]
    inner: Networks = (
        StackedNets(modules)
        if len(seeds) > 1
        else OneNetwork(modules[0], WholeGradient(modules[0], "fp32"))
    )
    labels = (torch.arange(30) % 4).to(device)
    images = torch.randn(30, *SPEC.shape, generator=make_generator(1)).to(device)
    nets = inner if recorder is None else ReplayedNetworks(inner, recorder)
    training = Training(nets, FixedSource(images, labels, 0), recipe, seeds)
    losses = training.run(lambda _: None)
    return [losses, *(value for net in modules for value in net.state_dict().values())]


@pytest.mark.parametrize("seeds", [[11], [11, 12]])
@pytest.mark.parametrize("arch", ARCHES)
def test_replayed_networks_are_the_networks_of_plain_steps(arch: str, seeds: list[int]) -> None:
    recorder = FakeRecorder()
    ours, plain = train(arch, seeds, recorder), train(arch, seeds, None)
    assert all(map(torch.equal, ours, plain))
    assert recorder.recorded == 2, "one for each size of batch"
    assert take_reasons()["evaluation step"].startswith("replayed")


def test_a_weight_that_has_no_gradient_stays_without() -> None:
    recipe = Recipe.of(SPEC, "convnet2(width=8)", PROTOCOL)
    module = recipe.initial_network(1, CPU)
    frozen, *others = module.parameters()
    frozen.requires_grad_(False)
    inner = OneNetwork(module, WholeGradient(module, "fp32"))
    nets = ReplayedNetworks(inner, FakeRecorder())
    for _ in range(6):
        nets.backward([torch.randn(4, *SPEC.shape)], [torch.arange(4)])
    assert frozen.grad is None
    assert all(weight.grad is not None for weight in others)


@pytest.mark.gpu
@pytest.mark.parametrize("seeds", [[11], [11, 12]])
@pytest.mark.parametrize("arch", ARCHES)
def test_graphs_on_a_gpu_train_the_same_networks(arch: str, seeds: list[int]) -> None:
    ours = train(arch, seeds, recorder_for(CUDA), CUDA)
    for mine, theirs in zip(ours, train(arch, seeds, None, CUDA), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-3)
    assert "ms by replay" in take_reasons()["evaluation step"]
