"""DM's, the GAN's and DiM's iterations and the plain ones: the same losses on the same draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import begin
from plain.dim import PlainDiM
from plain.dm import PlainDM
from plain.gan import PlainGAN
from plain.networks import PlainConvNet
from replay import plain_draw, small_real_set

from bench.augment.dsa import DSA
from bench.distillation.context import Context, Start
from bench.distillation.method import Method
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.registry.registry import METHODS

REAL = small_real_set()
WIDTH, ARCH = 8, "convnet3(width=8)"
GAN = {"width": 6, "noise_dim": 14, "batch": 10}
STEPS = 4


class ReplayedDM(PlainDM):
    """The plain loop on the draws of a context."""

    def __init__(self, ctx: Context, ipc: int, batch: int) -> None:
        super().__init__(ctx.real, ipc, batch)
        self.ctx = ctx
        self.dsa = DSA.for_dataset(ctx.real.spec)

    def network(self) -> PlainConvNet:
        network = PlainConvNet(self.ctx.real.spec.num_classes, WIDTH)
        network.load_state_dict(self.ctx.network(ARCH).state_dict())
        return network

    def pick(self, label: int) -> torch.Tensor:
        return self.ctx.real.sample_class(label, self._batch, self.ctx.generator("real"))

    def augmentation(self) -> Any:
        draws = self.ctx.generator("augmentation")
        return plain_draw(self.dsa.draw(1, (3, 32, 32), draws, shared=True))


@pytest.mark.parametrize(("ipc", "batch"), [(2, 19), (7, 30)])
def test_dm(ipc: int, batch: int) -> None:
    """Neither 7 nor 19 images fill a slice, nor do they divide one."""
    ours = begin(METHODS.get("dm"), Context(REAL, 3), ipc, ARCH, batch_real=batch)
    plain = ReplayedDM(Context(REAL, 3), ipc, batch)
    first = ours.result()
    assert isinstance(first, ImageSet)
    with torch.no_grad():
        plain.images.copy_(first.images)
    for i in range(STEPS):
        assert plain.step() == pytest.approx(ours.step(i)["loss"].item(), rel=1e-4)
    moved = ours.result().tensors()["images"]
    assert not torch.equal(moved, first.images)
    torch.testing.assert_close(plain.images.detach(), moved, rtol=1e-3, atol=1e-4)


class Replayed:
    """A plain GAN's draws from a context."""

    ctx: Context
    order: torch.Tensor
    done: int

    def start_from(self, method: Method, ctx: Context) -> None:
        """Take the networks of a method that has done no step."""
        self.ctx, self.done = ctx, 0
        made = method.result()
        assert isinstance(made, GeneratorSet)
        self.generator.load_state_dict(made.network.state_dict())
        critic = {k.removeprefix("discriminator."): v for k, v in method.byproducts().items()
                  if k.startswith("discriminator.")}  # fmt: skip
        self.discriminator.load_state_dict(critic)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        n, size = len(self.ctx.real), GAN["batch"]
        if self.done % (n // size) == 0:
            self.order = torch.randperm(n, generator=self.ctx.generator("order"))
            self.done = 0
        chosen = self.order[self.done * size : (self.done + 1) * size]
        self.done += 1
        return self.ctx.real.images[chosen].float() / 127.5 - 1, self.ctx.real.labels[chosen]

    def latent(self, labels: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(labels), GAN["noise_dim"], generator=self.ctx.generator("noise"))
        noise[:, : self.classes] = torch.eye(self.classes)[labels]
        return noise

    def random_labels(self, n: int) -> torch.Tensor:
        return torch.randint(self.classes, (n,), generator=self.ctx.generator("fake-labels"))

    def alpha(self, n: int) -> torch.Tensor:
        return torch.rand(n, 1, generator=self.ctx.generator("penalty"))


class ReplayedGAN(Replayed, PlainGAN):
    pass


class ReplayedDiM(Replayed, PlainDiM):
    def install_network(self) -> None:
        """Take the network that the method draws first."""
        self.ctx.draw_int(1, "pool")
        self.network.load_state_dict(self.ctx.network(ARCH).state_dict())

    def network_batches(self) -> Any:
        real, size = self.ctx.real, GAN["batch"]
        order = torch.randperm(len(real), generator=self.ctx.generator("matcher-order"))
        for chosen in order.split(size):
            yield real.images[chosen].float() / 127.5 - 1, real.labels[chosen]

    def network_augmentation(self, n: int) -> Any:
        draws = self.ctx.generator("matcher-augmentation")
        return plain_draw(DSA("color_crop", "all").draw(n, (3, 32, 32), draws))

    def matching_augmentation(self) -> Any:
        dsa, draws = DSA("color_crop_cutout", "all"), self.ctx.generator("siamese-augmentation")
        return plain_draw(dsa.draw(1, (3, 32, 32), draws, shared=True))


def assert_same_losses(ours: Method, plain: Any) -> None:
    for i in range(STEPS):
        shown = ours.step(i)
        generator, discriminator = plain.step()
        assert generator == pytest.approx(shown["generator_loss"].item(), rel=1e-3)
        assert discriminator == pytest.approx(shown["discriminator_loss"].item(), rel=1e-3)


def test_gan() -> None:
    ours = begin(METHODS.get("gan"), Context(REAL, 3), None, None, **GAN)
    plain = ReplayedGAN(REAL, GAN["batch"], GAN["width"], GAN["noise_dim"])
    plain.start_from(ours, Context(REAL, 3))
    assert_same_losses(ours, plain)


def test_dim() -> None:
    before = begin(METHODS.get("gan"), Context(REAL, 3), None, None, **GAN)
    start = Start(before.result(), before.byproducts())
    params = {"gan_width": 6, "gan_noise_dim": 14, "batch": 10, "pool": (ARCH,), "net_steps": 3,
              "match_weight": 0.01}  # fmt: skip
    ours = begin(METHODS.get("dim"), Context(REAL, 4, start=start), None, None, **params)
    plain = ReplayedDiM(
        REAL, 10, GAN["width"], GAN["noise_dim"], lr=5e-6, net_steps=3, net_width=WIDTH
    )
    plain.start_from(before, Context(REAL, 4))
    plain.install_network()
    assert_same_losses(ours, plain)
