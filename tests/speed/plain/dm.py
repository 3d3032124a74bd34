"""Distribution matching, an iteration as DatasetCondensation's main_DM.py has it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.support.seeds import global_seed
from plain.augment import OPERATIONS, Drawn, PlainDSA, apply
from plain.networks import PlainConvNet


class PlainDM:
    """Learned images and the loop that moves them; the released code's values.

    Args:
        real: kept as float pixels, as there.
        ipc: learned images per class.
        batch: real images per class and iteration.
        seed: of all draws.

    Attributes:
        images: the learned ones, ``(num_classes * ipc, 3, 32, 32)``, class by class.
    """

    def __init__(self, real: RealSet, ipc: int = 10, batch: int = 256, seed: int = 0) -> None:
        self._real, self._ipc, self._batch = real, ipc, batch
        self._pixels = real.gather(torch.arange(len(real), device=real.device))
        self._generator = torch.Generator(real.device).manual_seed(seed)
        self._dsa = PlainDSA(tuple(OPERATIONS), self._generator)
        first = torch.cat([pool[:ipc] for pool in real.class_indices])
        self.images = self._pixels[first].clone().requires_grad_()
        self._optimiser = torch.optim.SGD([self.images], lr=1.0, momentum=0.5)

    def network(self) -> PlainConvNet:
        """Return a fresh random network."""
        seed = int(torch.randint(2**31, (), generator=self._generator, device=self._real.device))
        with global_seed(seed):
            return PlainConvNet(self._real.spec.num_classes).to(self._real.device)

    def pick(self, label: int) -> Tensor:
        """Return indices of random real images of a class."""
        pool = self._real.class_indices[label]
        device = self._real.device
        order = torch.randperm(len(pool), generator=self._generator, device=device)
        return pool[order[: self._batch]]

    def augmentation(self) -> Drawn:
        """Return one augmentation for a class's real and learned images."""
        return self._dsa.draw(1)

    def step(self) -> float:
        """Do one iteration; return the loss, the mean over classes."""
        network = self.network()
        network.train()
        for parameter in network.parameters():
            parameter.requires_grad = False
        classes = self._real.spec.num_classes
        loss = torch.tensor(0.0, device=self._real.device)
        for c in range(classes):
            real = self._pixels[self.pick(c)]
            learned = self.images[c * self._ipc : (c + 1) * self._ipc]
            drawn = self.augmentation()
            real, learned = apply(real, drawn), apply(learned, drawn)
            target = network.embed(real).detach()
            found = network.embed(learned)
            loss = loss + torch.sum((torch.mean(target, dim=0) - torch.mean(found, dim=0)) ** 2)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return loss.item() / classes
