"""DiM's conditional GAN, an iteration as vimar-gu/DiM has it: three separate passes for a step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench.datasets.real_set import RealSet
from bench.support.seeds import global_seed
from plain.networks import PlainDiscriminator, PlainGenerator

_BETAS = (0.0, 0.9)
_PENALTY = 10.0


class PlainGAN:
    """Both networks and their training; the released code's values.

    Args:
        real: turned into float pixels in [-1, 1], on the CPU, as there.
        batch: real images per step.
        width: channels of both networks.
        latent: entries of the noise.
        lr: of both optimisers (Adam).
        seed: of all draws.
    """

    def __init__(
        self, real: RealSet, batch: int = 128, width: int = 196, latent: int = 100,
        lr: float = 1e-4, seed: int = 0,
    ) -> None:  # fmt: skip
        self.device, self.classes, self._entries = real.device, real.spec.num_classes, latent
        pixels = real.images.cpu().float() / 127.5 - 1
        self.draws = torch.Generator().manual_seed(seed)
        self.loader = DataLoader(
            TensorDataset(pixels, real.labels.cpu()), batch, shuffle=True, num_workers=0,
            drop_last=True, generator=self.draws,
        )  # fmt: skip
        with global_seed(seed):
            self.generator = PlainGenerator(latent, width).to(self.device)
            self.discriminator = PlainDiscriminator(self.classes, width).to(self.device)
        self._adam_g = torch.optim.Adam(self.generator.parameters(), lr, _BETAS)
        self._adam_d = torch.optim.Adam(self.discriminator.parameters(), lr, _BETAS)
        self._criterion = nn.CrossEntropyLoss()
        self._batches: Iterator[list[Tensor]] = iter(())

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return the next real batch: images in [-1, 1] and labels."""
        try:
            images, labels = next(self._batches)
        except StopIteration:
            self._batches = iter(self.loader)
            images, labels = next(self._batches)
        return images.to(self.device), labels.to(self.device)

    def latent(self, labels: Tensor) -> Tensor:
        """Draw noise whose first entries are the one-hot label."""
        noise = torch.normal(0.0, 1.0, (len(labels), self._entries), generator=self.draws)
        noise[:, : self.classes] = F.one_hot(labels.cpu(), self.classes).float()
        return noise.to(self.device)

    def random_labels(self, n: int) -> Tensor:
        """Draw the classes of the images that the discriminator learns from."""
        return torch.randint(self.classes, (n,), generator=self.draws).to(self.device)

    def alpha(self, n: int) -> Tensor:
        """Draw where between real and generated images the penalty is measured: ``(n, 1)``."""
        return torch.rand(n, 1, generator=self.draws).to(self.device)

    def step(self) -> tuple[float, float]:
        """Update the generator, then the discriminator; return both losses."""
        real, labels = self.batch()
        return self.generator_step(real, labels), self.discriminator_step(real, labels)

    def generator_step(self, real: Tensor, labels: Tensor) -> float:
        """Update the generator; its pass gives the discriminator's weights gradients too."""
        self.discriminator.eval()
        self._adam_g.zero_grad()
        fake = self.generator(self.latent(labels))
        source, classes = self.discriminator(fake)
        loss = -source.mean() + self._criterion(classes, labels) + self.extra_loss(real, fake)
        loss.backward()
        self._adam_g.step()
        return float(loss.item())

    def extra_loss(self, real: Tensor, fake: Tensor) -> Tensor | float:
        """Return what the generator's loss has besides; nothing for the GAN alone."""
        return 0.0

    def discriminator_step(self, real: Tensor, labels: Tensor) -> float:
        """Update the discriminator by one pass each for generated, real and mixed images."""
        self.discriminator.train()
        self._adam_d.zero_grad()
        fake_labels = self.random_labels(len(real))
        with torch.no_grad():
            fake = self.generator(self.latent(fake_labels))
        fake_source, fake_classes = self.discriminator(fake)
        real_source, real_classes = self.discriminator(real)
        right = (real_classes.argmax(1) == labels).float().mean()
        loss = (
            fake_source.mean() - real_source.mean()
            + self._criterion(fake_classes, fake_labels) + self._criterion(real_classes, labels)
            + self._penalty(real, fake)
        )  # fmt: skip
        loss.backward()
        self._adam_d.step()
        right.item()
        return float(loss.item())

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        n = len(real)
        alpha = self.alpha(n).expand(n, real.nelement() // n).contiguous().view_as(real)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        source, _ = self.discriminator(between)
        (slope,) = torch.autograd.grad(
            source, between, grad_outputs=torch.ones_like(source), create_graph=True,
            retain_graph=True, only_inputs=True,
        )  # fmt: skip
        penalty: Tensor = ((slope.view(n, -1).norm(2, dim=1) - 1) ** 2).mean() * _PENALTY
        return penalty
