"""The stages that `speed` measures: for each, the plain loop, this package's own, and the FLOPs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from bench.augment.dsa import DSA
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import Stepper, begin_method, training_seconds, wait_for
from bench.speed.flops import dm_flops, gan_flops, matching_flops, train_flops
from bench.speed.measuring import Runner
from bench.speed.plain.augment import OPERATIONS, PlainDSA
from bench.speed.plain.dim import PlainDiM
from bench.speed.plain.dm import PlainDM
from bench.speed.plain.evaluation import train_plain
from bench.speed.plain.gan import PlainGAN
from bench.speed.plain.networks import PlainConvNet
from bench.support.seeds import global_seed, make_generator

# Shapes of CIFAR-10, made-up pixels: speed does not depend on what they show.
SPEC = DatasetSpec(
    "made-up", 10, 3, 32, 32, (0.491, 0.482, 0.447), (0.247, 0.243, 0.262), flip=True
)
_PER_CLASS = 1000
_ARCH = "convnet3"
_PROTOCOL = get_protocol("default")
_BATCH = 256


@dataclass(frozen=True)
class Stage:
    """One kind of work.

    Attributes:
        name: what users type.
        title: what it is, for tables.
        images: images of one unit of work.
        plain: makes the plain loop's runner.
        ours: makes this package's runner, in a precision.
        flops: counts the operations that an image needs; ``None`` where they are not the measure.
        method: the registered method that it needs, if any.
        has_bf16: whether a precision changes anything.
    """

    name: str
    title: str
    images: int
    plain: Callable[[RealSet], Runner]
    ours: Callable[[RealSet, str], Runner]
    flops: Callable[[RealSet], float] | None = None
    method: str | None = None
    has_bf16: bool = True


def made_up_set(device: torch.device) -> RealSet:
    """Return 10,000 images of noise, 1,000 a class, in no order."""
    draws, count = make_generator(0), SPEC.num_classes * _PER_CLASS
    images = torch.randint(0, 256, (count, *SPEC.shape), generator=draws, dtype=torch.uint8)
    labels = torch.arange(count)[torch.randperm(count, generator=draws)] % SPEC.num_classes
    return RealSet(SPEC, images.to(device), labels.to(device), "0" * 64)


def _evaluation(ipc: int) -> Stage:
    nets, per_epoch = _PROTOCOL.nets, ipc * SPEC.num_classes

    def chosen(real: RealSet) -> Tensor:
        return torch.cat([pool[:ipc] for pool in real.class_indices])

    def plain(real: RealSet) -> Runner:
        index = chosen(real)
        images, labels = real.gather(index), real.labels[index]

        def run(epochs: int) -> float:
            networks = [_network().to(real.device) for _ in range(nets)]
            draws = make_generator(0, real.device)
            started = time.perf_counter()
            for network in networks:
                train_plain(network, images, labels, _PROTOCOL, epochs, draws)
            wait_for(real.device)
            return time.perf_counter() - started

        return run

    def ours(real: RealSet, precision: str) -> Runner:
        return lambda epochs: training_seconds(
            chosen(real), real, _ARCH, _PROTOCOL, nets=nets, epochs=epochs, precision=precision
        )

    title = f"evaluation training, IPC {ipc}, {nets} networks"
    return Stage(f"evaluation-ipc{ipc}", title, nets * per_epoch, plain, ours, train_flops)


def _network() -> PlainConvNet:
    with global_seed(0):
        return PlainConvNet(SPEC.num_classes)


def _method(name: str, ipc: int | None = None, **params: object) -> Callable[..., Runner]:
    """Return what makes a runner of a method's steps."""

    def ours(real: RealSet, precision: str) -> Runner:
        method = begin_method(name, params, real, ipc=ipc, arch=_ARCH, precision=precision)
        return Stepper(method, real.device).run

    return ours


def _plain_steps(make: Callable[[RealSet], PlainDM | PlainGAN]) -> Callable[[RealSet], Runner]:
    return lambda real: _timed(make(real).step, real.device)


def _plain_dsa(real: RealSet) -> Runner:
    images, draws = _pixels(real), make_generator(0, real.device)
    each = [PlainDSA((name,), draws) for name in OPERATIONS]
    return _timed(lambda: [dsa(images) for dsa in each], real.device)


def _dsa(real: RealSet, precision: str) -> Runner:  # noqa: ARG001
    images, draws = _pixels(real), make_generator(0, real.device)
    each = [DSA(name) for name in OPERATIONS]
    return _timed(lambda: [dsa(images, draws) for dsa in each], real.device)


def _pixels(real: RealSet) -> Tensor:
    return real.gather(torch.arange(_BATCH, device=real.device))


def _plain_gather(real: RealSet) -> Runner:
    pixels = real.gather(torch.arange(len(real), device=real.device)).cpu()
    data = TensorDataset(pixels, real.labels.cpu())
    loader = DataLoader(data, _BATCH, shuffle=True, num_workers=0, generator=make_generator(0))
    return _timed(lambda: [_sent(batch, real.device) for batch in loader], real.device)


def _gather(real: RealSet, precision: str) -> Runner:  # noqa: ARG001
    draws = make_generator(0, real.device)

    def epoch() -> None:
        order = torch.randperm(len(real), generator=draws, device=real.device)
        for part in torch.split(order, _BATCH):
            _sent((real.gather(part), real.labels[part]), real.device)

    return _timed(epoch, real.device)


def _sent(batch: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """Return a batch on the device; nobody keeps it."""
    return [part.to(device) for part in batch]


def _timed(unit: Callable[[], object], device: torch.device) -> Runner:
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
        _plain_steps(PlainDM), _method("dm", 10), dm_flops, "dm",
    ),
    Stage(
        "gan", "GAN iteration, width 196, batch 128", 128,
        _plain_steps(PlainGAN), _method("gan"), gan_flops, "gan",
    ),
    Stage(
        "matching", "matching iteration: 16 network steps and one of the GAN, batch 64", 17 * 64,
        _plain_steps(PlainDiM), _method("dim", pool=(_ARCH,)), matching_flops, "dim",
    ),
    Stage(
        "dsa", f"DSA, each of its 6 operations on {_BATCH} images", 6 * _BATCH,
        _plain_dsa, _dsa, has_bf16=False,
    ),
    Stage(
        "gather", f"data gather, shuffled batches of {_BATCH}", SPEC.num_classes * _PER_CLASS,
        _plain_gather, _gather, has_bf16=False,
    ),
)  # fmt: skip
STAGES: dict[str, Stage] = {stage.name: stage for stage in _ALL}
