"""What a checkpoint costs: ``pytest -m slow tests/faults/test_checkpoint_cost.py -s`` prints it.

States are those of the heaviest work that bench does, on images of CIFAR-10's shape: a state's size
does not depend on what the images show, nor on how many of them are in a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set

from bench.datasets.real_set import RealSet
from bench.distillation.context import Start
from bench.distilled.image_set import ImageSet
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.training import OneNetwork, Training
from bench.grid.site import CHECKPOINT_EVERY
from bench.ledger.checkpoint import Checkpoint
from methods.dim.method import DiM
from methods.dm import DM
from methods.gan.method import ConditionalGAN
from methods.mtt.method import MTT

REPEATS = 5
ALLOWED = 0.02
State = dict[str, Any]


@pytest.fixture(scope="module")
def real() -> RealSet:
    return tiny_real_set(num_classes=10, per_class=50, shape=(3, 32, 32))


def _gan(real: RealSet) -> Any:
    method = begin(ConditionalGAN, tiny_context(real), None, None, batch=2)
    method.step(0)
    return method


def gan(real: RealSet) -> State:
    return dict(_gan(real).state_dict())


def dim(real: RealSet) -> State:
    made = _gan(real)
    context = tiny_context(real, start=Start(made.result(), made.byproducts()))
    method = begin(DiM, context, None, None, gan_batch=2, batch=2, net_steps=1, pool=("resnet18",))
    method.step(0)
    return dict(method.state_dict())


def dm(real: RealSet) -> State:
    method = begin(DM, tiny_context(real), 50, "convnet3", batch_real=2)
    method.step(0)
    return dict(method.state_dict())


def mtt(real: RealSet) -> State:
    method = begin(MTT, tiny_context(real, rehearsal=True), 50, "convnet3")
    return dict(method.state_dict())


def _evaluation(real: RealSet, arch: str) -> State:
    """Return what five networks hand over after their first step."""
    device = torch.device("cpu")
    images, labels = real.gather(torch.arange(2)), real.labels[:2]
    source = ImageSet(real.spec, images, labels, {}).source("stored", None, torch.Generator())
    recipe = Recipe.of(real.spec, arch, get_protocol("default"), epochs=1)
    found: State = {}
    for name in map(str, range(5)):
        net = recipe.initial_network(int(name), device)
        alone = OneNetwork(net, WholeGradient(net, "fp32"))
        training = Training(alone, source, recipe, [int(name)])
        training.run(lambda epochs: None)
        found[name] = training.state_dict()
    return {"nets": found}


def five_convnets(real: RealSet) -> State:
    return _evaluation(real, "convnet3")


def five_resnets(real: RealSet) -> State:
    return _evaluation(real, "resnet18")


HEAVIEST: dict[str, Callable[[RealSet], State]] = {
    "gan, width 196": gan,
    "dim, width 196, a ResNet-18 from its pool": dim,
    "dm, IPC 50": dm,
    "mtt, IPC 50": mtt,
    "evaluation of 5 ConvNet-3": five_convnets,
    "evaluation of 5 ResNet-18": five_resnets,
}


def _measured(state: State, path: Path) -> Iterator[tuple[float, float, float]]:
    """Save a state some times.

    Yields:
        Wall seconds and processor seconds of a checkpoint, and the wall seconds that a run has to
        go on without another one.
    """
    checkpoint = Checkpoint(path, "x", CHECKPOINT_EVERY, print)
    for _ in range(REPEATS):
        started, before = time.monotonic(), time.process_time()
        assert checkpoint.save(state)
        ended, after = time.monotonic(), time.process_time()
        yield ended - started, after - before, checkpoint.next_due - ended


@pytest.mark.slow
def test_cost(real: RealSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "| State | File | One checkpoint | of it processor time | Share of a long run |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shares = []
    for name, make in HEAVIEST.items():
        path = tmp_path / "checkpoint.safetensors"
        found = zip(*_measured(make(real), path), strict=True)
        wall, cpu, between = (median(each) for each in found)
        shares.append(wall / (wall + between))
        size = path.stat().st_size / 1e6
        lines.append(f"| {name} | {size:.1f} MB | {wall:.2f} s | {cpu:.2f} s | {shares[-1]:.2%} |")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert max(shares) < ALLOWED
