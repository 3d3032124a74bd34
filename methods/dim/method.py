"""DiM: distilling a dataset into a generative model, by a GAN and then by matching logits.

K. Wang et al., "DiM: Distilling Dataset into Generative Model", 2023 (arXiv:2303.04707); where
the paper is silent, the released code (vimar-gu/DiM, pool_match.py) decides.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from bench.plugin import (
    Context,
    DistilledSet,
    Method,
    Paper,
    Prerequisite,
    Profile,
    Scalars,
    Task,
    by_dataset,
    nested,
    param,
)
from bench.plugin.compute import global_seed, parse_architecture
from methods.dim.logit_matching import LogitMatcher
from methods.dim.pool import released_pool
from methods.gan.method import (
    ConditionalGAN,
    adversarial_pair,
    generator_set,
    new_discriminator,
)
from methods.gan.networks import ConditionalGenerator
from methods.gan.pair import AdversarialPair
from methods.shared.batches import ShuffledBatches
from methods.shared.dsa_param import dsa_param


class DiM(Method["DiM.Params"]):
    r"""Continues the conditional GAN with a loss that matches logits of real and drawn images.

    Every epoch draws a fresh network :math:`\psi` from a pool. Before each generator step it
    trains on some augmented real batches; then, for a real batch :math:`x` with classes :math:`y`
    and one augmentation :math:`A` that all images share, the generator's loss is that of the GAN
    (see :class:`methods.gan.method.ConditionalGAN`) plus

    .. math:: w \, \overline{\big( \log\sigma(\psi(A(x)))
              - \log\sigma(\psi(A(G(z, y)))) \big)^2}

    The discriminator's step is the GAN's, and both optimisers keep their state. One difference
    from the released code: there, images in [-1, 1] go through the mean and standard deviation of
    [0, 1] pixels in this stage, though the generator is later evaluated on properly normalised
    images; here they are normalised properly throughout.
    """

    @dataclass(frozen=True)
    class Params:
        """The released code's values; ``gan`` are those of the GAN that it starts from."""

        gan: ConditionalGAN.Params = nested(ConditionalGAN)
        epochs: int = param(100, help="passes over the real set with matching", min=1)
        max_steps: int | None = param(
            None, help="stop matching after this many steps; none for all epochs", min=1
        )
        batch: int = param(64, help="real images per step, of the networks too", min=1)
        lr: float = param(5e-6, help="Adam learning rate of the GAN while matching", min=0)
        match_weight: float = param(0.01, help="factor of the matching loss", min=0)
        pool: tuple[str, ...] = param(
            by_dataset(
                released_pool,
                "convnet3 and ResNets of depth 10 and 18, strided and pooling: of 32 channels for "
                "CIFAR, with a large stem for SVHN, MNIST and FashionMNIST",
            ),
            help="architectures to match in, joined by '+'",
            check=parse_architecture,
        )
        net_life: int | None = param(
            None, help="steps until another network is drawn; none for an epoch", min=1
        )
        net_steps: int = param(16, help="a network's training steps before each matching", min=0)
        net_lr: float = param(0.01, help="learning rate of the networks (SGD)", min=0)
        dsa: str = dsa_param(
            "color_crop_cutout",
            help="augmentations while matching, joined by '_' (flip is left out for digits); "
            "the networks train without cutout",
        )

    name = "dim"
    # At 1, lite started from another GAN, at 2 its mean of weights began anew; smoke and paper did
    # not change.
    version = 3
    artefact = "generator"
    label = "DiM"
    colour = "#E56605"
    marker = "*"
    table_order = 150
    published_differences = (
        "the released code normalises images otherwise while matching, takes the GAN, generator "
        "and epoch that test best, tests one network in train() mode, and shows other numbers of "
        "images"
    )
    published_protocol = "dim"
    paper = Paper(
        "DiM: Distilling Dataset into Generative Model",
        2023,
        "arXiv:2303.04707",
        "K. Wang, J. Gu, D. Zhou, Z. Zhu, W. Jiang, Y. You",
    )
    profiles = {
        "day": Profile(
            {
                "gan": ConditionalGAN.profiles["day"].overrides,
                "max_steps": 1500,
                "lr": 3e-5,
                "pool": ("convnet3", "resnet10(width=16)", "resnet10_ap(width=16)"),
                "net_life": 100,
                "net_steps": 8,
            },
            "the day's GAN; 1,500 matching steps, not 100 epochs, in 15 networks from a pool of 3, "
            "whose ResNets have 16 channels, trained for 8 steps, not 16, before each matching",
        ),
        "lite": Profile(
            {
                "gan": ConditionalGAN.profiles["lite"].overrides,
                "max_steps": 400,
                "lr": 3e-5,
                "pool": ("convnet3(width=64)", "resnet10(width=16)", "resnet10_ap(width=16)"),
                "net_life": 40,
                "net_steps": 4,
            },
            "the lite GAN; 400 matching steps of 64 images, not 100 epochs, in 10 networks "
            "from a pool of 3 narrow ones, trained for 4 steps, not 16, before each matching",
        ),
        "smoke": Profile(
            {
                "gan": ConditionalGAN.profiles["smoke"].overrides,
                "max_steps": 60,
                "batch": 32,
                "lr": 5e-5,
                "pool": ("convnet3(width=32)",),
                "net_life": 20,
                "net_steps": 2,
            },
            "the smoke GAN; 60 matching steps of 32 images in 3 narrow ConvNets",
        ),
    }
    ipc_agnostic = True
    uses_arch = False
    state = ("pair", "batches", "matcher")
    modes = ("stream", "frozen")

    @classmethod
    def prerequisite(cls, task: Task[DiM.Params]) -> Prerequisite | None:
        """Return the GAN, which the method ``gan`` shares if its parameters are the same."""
        return Prerequisite(ConditionalGAN.name, vars(task.params.gan))

    def setup(self) -> None:
        """Take over the GAN's networks and optimisers."""
        params, ctx = self.params, self.ctx
        self.batches = ShuffledBatches(ctx, params.batch)
        self.pair = _continued(self.task, ctx)
        self.matcher = LogitMatcher(
            ctx,
            params.pool,
            params.dsa,
            batch=params.batch,
            train_steps=params.net_steps,
            lr=params.net_lr,
        )

    def steps(self) -> int:
        """Return all whole batches of all epochs, or ``max_steps`` if that is fewer."""
        return self.batches.steps(self.params.epochs, self.params.max_steps)

    def step(self, i: int) -> Scalars:
        """Train the network of the pool, then update the generator and the discriminator."""
        if i % (self.params.net_life or self.batches.per_epoch) == 0:
            self.matcher.renew()
        self.matcher.train()
        real, labels = self.batches.pick(i)
        penalised = i % self.params.gan.penalty_every == 0
        extra = self.matcher.extra(real, self.params.match_weight)
        generator_loss, matching_loss = self.pair.matching_step(labels, extra)
        discriminator_loss = self.pair.discriminator_step(real, labels, penalised=penalised)
        self.pair.average(i, begun=True)
        return {
            "generator_loss": generator_loss,
            "matching_loss": matching_loss,
            "discriminator_loss": discriminator_loss,
        }

    def result(self) -> DistilledSet:
        """Return a copy of the generator."""
        return generator_set(self.spec, self.pair.trained)


def _continued(task: Task[DiM.Params], ctx: Context) -> AdversarialPair:
    """Return the GAN of ``ctx.start`` as it was left, at the learning rate of this stage."""
    start = ctx.start
    trained = None if start is None else getattr(start.distilled, "network", None)
    if start is None or not isinstance(trained, ConditionalGenerator):
        raise TypeError(f"{DiM.name} must start from the artefact of {ConditionalGAN.name}")
    generator = copy.deepcopy(trained)
    with global_seed(0):  # the weights are overwritten below; global state must not move
        discriminator = new_discriminator(task.spec, task.params.gan).to(ctx.device)
    params = task.params
    pair = adversarial_pair(
        generator, discriminator, ctx, params.gan, batch=params.batch, lr=params.lr
    )
    pair.load_byproducts(start.byproducts)
    return pair
