"""DiM's matching, an iteration as pool_match.py has it, in ConvNet-3."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.datasets.real_set import RealSet, normalise
from bench.support.seeds import global_seed
from plain.augment import Drawn, PlainDSA, apply
from plain.gan import PlainGAN
from plain.networks import PlainConvNet

_WEIGHT = 0.01


class PlainDiM(PlainGAN):
    """The GAN with a network that is trained on real images and matched in.

    As in this package and unlike the released code, images are normalised properly for the network.

    Args:
        real: see :class:`PlainGAN`.
        batch: real images per step, of the network too.
        width: channels of the GAN's networks.
        latent: entries of the noise.
        lr: of the GAN's optimisers.
        seed: of all draws.
        net_steps: training steps of the network before each matching.
        net_width: channels of the network.
    """

    def __init__(
        self, real: RealSet, batch: int = 64, width: int = 196, latent: int = 100,
        lr: float = 5e-6, seed: int = 0, *, net_steps: int = 16, net_width: int = 128,
    ) -> None:  # fmt: skip
        super().__init__(real, batch, width, latent, lr, seed)
        self._spec, self._net_steps = real.spec, net_steps
        device_draws = torch.Generator(real.device).manual_seed(seed)
        self._for_network = PlainDSA(("color", "crop"), device_draws, every=True)
        self._for_matching = PlainDSA(("color", "crop", "cutout"), device_draws, every=True)
        with global_seed(seed):
            self.network = PlainConvNet(self.classes, net_width).to(self.device)
        self._sgd = torch.optim.SGD(
            self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4
        )
        self._wrong = nn.CrossEntropyLoss()

    def network_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield real batches in [-1, 1] from a freshly shuffled epoch."""
        for images, labels in self.loader:
            yield images.to(self.device), labels.to(self.device)

    def network_augmentation(self, n: int) -> Drawn:
        """Draw for a training batch of the network: every image its own."""
        return self._for_network.draw(n)

    def matching_augmentation(self) -> Drawn:
        """Draw for a matching: one for real and generated images alike."""
        return self._for_matching.draw(1)

    def train_network(self) -> None:
        """Take the network's training steps."""
        for i, (images, labels) in enumerate(self.network_batches()):
            if i == self._net_steps:
                break
            seen = apply(self._normalised(images), self.network_augmentation(len(images)))
            loss = self._wrong(self.network(seen), labels)
            self._sgd.zero_grad()
            loss.backward()
            self._sgd.step()

    def extra_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Train the network, then return the matching loss; gradients reach the network too."""
        self.train_network()
        both = self._normalised(torch.cat([real, fake]))
        both = apply(both, self.matching_augmentation())
        target = F.log_softmax(self.network(both[: len(real)]), dim=1)
        found = F.log_softmax(self.network(both[len(real) :]), dim=1)
        return ((target - found) ** 2).mean() * _WEIGHT

    def _normalised(self, images: Tensor) -> Tensor:
        return normalise((images + 1) / 2, self._spec)
