"""The plain loop of each stage of ``bench speed``."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from bench.datasets.real_set import RealSet
from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import wait_for
from bench.speed.measuring import Runner
from bench.speed.stages import timed
from bench.support.seeds import global_seed, make_generator
from plain.augment import OPERATIONS, PlainDSA
from plain.dim import PlainDiM
from plain.dm import PlainDM
from plain.evaluation import train_plain
from plain.gan import PlainGAN
from plain.networks import PlainConvNet

PROTOCOL, BATCH = get_protocol("default"), 256


def evaluation(ipc: int) -> Callable[[RealSet], Runner]:
    def prepare(real: RealSet) -> Runner:
        index = torch.cat([pool[:ipc] for pool in real.class_indices])
        images, labels = real.gather(index), real.labels[index]

        def run(epochs: int) -> float:
            with global_seed(0):
                networks = [PlainConvNet(real.spec.num_classes) for _ in range(PROTOCOL.nets)]
            networks = [network.to(real.device) for network in networks]
            draws = make_generator(0, real.device)
            started = time.perf_counter()
            for network in networks:
                train_plain(network, images, labels, PROTOCOL, epochs, draws)
            wait_for(real.device)
            return time.perf_counter() - started

        return run

    return prepare


def steps(make: Callable[[RealSet], PlainDM | PlainGAN]) -> Callable[[RealSet], Runner]:
    return lambda real: timed(make(real).step, real.device)


def dsa(real: RealSet) -> Runner:
    images = real.gather(torch.arange(BATCH, device=real.device))
    draws = make_generator(0, real.device)
    each = [PlainDSA((name,), draws) for name in OPERATIONS]
    return timed(lambda: [augment(images) for augment in each], real.device)


def gather(real: RealSet) -> Runner:
    pixels = real.gather(torch.arange(len(real), device=real.device)).cpu()
    data = TensorDataset(pixels, real.labels.cpu())
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=0, generator=make_generator(0))

    def epoch() -> None:
        for images, labels in loader:
            images.to(real.device), labels.to(real.device)

    return timed(epoch, real.device)


PLAIN: dict[str, Callable[[RealSet], Runner]] = {
    **{f"evaluation-ipc{ipc}": evaluation(ipc) for ipc in (1, 10, 50)},
    "dm": steps(PlainDM),
    "gan": steps(PlainGAN),
    "matching": steps(PlainDiM),
    "dsa": dsa,
    "gather": gather,
}
