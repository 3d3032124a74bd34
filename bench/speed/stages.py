"""The stages that ``bench speed`` measures: the work of each, and how many operations it needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.augment.dsa import DSA
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import Stepper, begin_method, training_seconds, wait_for
from bench.speed.measuring import Runner
from bench.support.seeds import make_generator

# Shapes of CIFAR-10, made-up pixels: speed does not depend on what they show.
SPEC = DatasetSpec(
    "made-up", 10, 3, 32, 32, (0.491, 0.482, 0.447), (0.247, 0.243, 0.262), flip=True
)
IMAGES_PER_CLASS = 1000
_ARCH = "convnet3"
_PROTOCOL = get_protocol("default")
_BATCH = 256
_OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")  # of DSA
# Floating-point operations that an image needs: those of convolutions and matrix products, a
# multiply-add being two. tests/speed/test_flops.py counts them in plain loops.
_FLOPS = {
    "evaluation": 297_394_176.0,
    "dm": 105_263_627.54887219,
    "gan": 10_837_152_424.0,
    "matching": 941_260_117.1764706,
}


@dataclass(frozen=True)
class Stage:
    """One kind of work.

    Attributes:
        name: what users type.
        title: what it is, for tables.
        images: images of one unit of work.
        work: makes the runner, in a precision.
        flops: operations that an image needs; ``None`` where they are not the measure.
        method: the registered method that it needs, if any.
        has_bf16: whether a precision changes anything.
    """

    name: str
    title: str
    images: int
    work: Callable[[RealSet, str], Runner]
    flops: float | None = None
    method: str | None = None
    has_bf16: bool = True


def made_up_set(device: torch.device) -> RealSet:
    """Return 10,000 images of noise, 1,000 a class, in no order."""
    draws, count = make_generator(0), SPEC.num_classes * IMAGES_PER_CLASS
    images = torch.randint(0, 256, (count, *SPEC.shape), generator=draws, dtype=torch.uint8)
    labels = torch.arange(count)[torch.randperm(count, generator=draws)] % SPEC.num_classes
    return RealSet(SPEC, images.to(device), labels.to(device), "0" * 64)


def _evaluation(ipc: int) -> Stage:
    nets = _PROTOCOL.nets

    def work(real: RealSet, precision: str) -> Runner:
        chosen = torch.cat([pool[:ipc] for pool in real.class_indices])
        return lambda epochs: training_seconds(
            chosen, real, _ARCH, _PROTOCOL, nets=nets, epochs=epochs, precision=precision
        )

    title = f"evaluation training, IPC {ipc}, {nets} networks"
    images = nets * ipc * SPEC.num_classes
    return Stage(f"evaluation-ipc{ipc}", title, images, work, _FLOPS["evaluation"])


def _method(name: str, ipc: int | None = None, **params: object) -> Callable[..., Runner]:
    """Return a function that makes a runner of a method's steps."""

    def work(real: RealSet, precision: str) -> Runner:
        method = begin_method(name, params, real, ipc=ipc, arch=_ARCH, precision=precision)
        return Stepper(method, real.device).run

    return work


def _dsa(real: RealSet, precision: str) -> Runner:  # noqa: ARG001
    images, draws = _pixels(real), make_generator(0, real.device)
    each = [DSA(name) for name in _OPERATIONS]
    return timed(lambda: [dsa(images, draws) for dsa in each], real.device)


def _pixels(real: RealSet) -> Tensor:
    return real.gather(torch.arange(_BATCH, device=real.device))


def _gather(real: RealSet, precision: str) -> Runner:  # noqa: ARG001
    draws = make_generator(0, real.device)

    def epoch() -> None:
        order = torch.randperm(len(real), generator=draws, device=real.device)
        for part in torch.split(order, _BATCH):
            real.gather(part), real.labels[part]

    return timed(epoch, real.device)


def timed(unit: Callable[[], object], device: torch.device) -> Runner:
    """Return a runner of units of work, which waits for the device at both ends."""

    def run(count: int) -> float:
        wait_for(device)
        started = time.perf_counter()
        for _ in range(count):
            unit()
        wait_for(device)
        return time.perf_counter() - started

    return run


_ALL = (
    *(_evaluation(ipc) for ipc in (1, 10, 50)),
    Stage(
        "dm", f"DM iteration, IPC 10, {_BATCH} real images a class", 10 * (_BATCH + 10),
        _method("dm", 10), _FLOPS["dm"], "dm",
    ),
    Stage(
        "gan", "GAN iteration, width 196, batch 128", 128,
        _method("gan"), _FLOPS["gan"], "gan",
    ),
    Stage(
        "matching", "matching iteration: 16 network steps and one of the GAN, batch 64", 17 * 64,
        _method("dim", pool=(_ARCH,)), _FLOPS["matching"], "dim",
    ),
    Stage(
        "dsa", f"DSA, each of its 6 operations on {_BATCH} images", 6 * _BATCH,
        _dsa, has_bf16=False,
    ),
    Stage(
        "gather", f"data gather, shuffled batches of {_BATCH}", SPEC.num_classes * IMAGES_PER_CLASS,
        _gather, has_bf16=False,
    ),
)  # fmt: skip
STAGES: dict[str, Stage] = {stage.name: stage for stage in _ALL}
