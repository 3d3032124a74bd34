"""The conditional GAN that DiM starts from, on its own: the paper's ablation."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import Tensor

from bench.plugin import (
    Context,
    DatasetSpec,
    DistilledSet,
    Method,
    Paper,
    Scalars,
    param,
)
from bench.plugin.compute import global_seed
from bench.plugin.sets import GeneratorSet
from methods.gan.loss import Objective, wasserstein
from methods.gan.networks import ConditionalGenerator, Discriminator
from methods.gan.pair import AdversarialPair
from methods.gan.profiles import PROFILES
from methods.gan.projection import projection
from methods.shared.batches import ShuffledBatches

# Classes of the paper's datasets: what its noise_dim of 100 makes room for.
_PAPER_CLASSES = 10
_OBJECTIVES = {"wasserstein": wasserstein, "projection": projection}


class ConditionalGAN(Method["ConditionalGAN.Params"]):
    r"""Trains a class-conditional generator with a Wasserstein critic that also classifies.

    A step is one update of the generator and one of the discriminator, on one real batch:

    .. math:: L_G = -\overline{D(G(z, y))} + \mathrm{CE}(C(G(z, y)), y)

    .. math:: L_D = \overline{D(\tilde x)} - \overline{D(x)} + \mathrm{CE}(C(\tilde x), \tilde y)
              + \mathrm{CE}(C(x), y)
              + \lambda \overline{(\lVert \nabla_{\hat x} D(\hat x) \rVert_2 - 1)^2}

    where the generator draws the real batch's classes in the first and uniform ones in the
    second. Images are in [-1, 1]. Nothing in it depends on IPC: the generator draws any number.
    """

    @dataclass(frozen=True)
    class Params:
        """The released code's values."""

        width: int = param(196, help="channels of both networks", min=1)
        noise_dim: int = param(
            100,
            help="latent entries for up to 10 classes, the one-hot label among them; "
            "every class above 10 adds one",
            min=_PAPER_CLASSES + 1,
        )
        epochs: int = param(150, help="passes over the real set", min=1)
        max_steps: int | None = param(
            None, help="stop after this many steps; none for all epochs", min=1
        )
        batch: int = param(128, help="real images per step", min=1)
        lr: float = param(1e-4, help="Adam learning rate of both networks", min=0)
        decay_after: float = param(
            1.0,
            help="share of the steps after which the learning rate falls linearly to zero; "
            "1 keeps it constant",
            min=0,
            max=1,
        )
        penalty_weight: float = param(10.0, help="factor of the gradient penalty", min=0)
        penalty_batch: int | None = param(
            None, help="images of a batch that the penalty is measured on; none for all", min=1
        )
        penalty_every: int = param(
            1,
            help="steps from one penalty to the next; its weight grows by the same factor",
            min=1,
            later=True,
        )
        objective: str = param(
            "wasserstein",
            help="wasserstein: the paper's losses; projection: hinge losses of a critic that sees "
            "the class, with the penalty at real images",
            choices=tuple(_OBJECTIVES),
            later=True,
        )
        discriminator_rate: float = param(
            1.0, help="learning rate of the discriminator as a multiple of lr", min=0, later=True
        )
        class_weight: float = param(
            1.0,
            help="factor of the cross-entropy in the objective",
            min=0,
            later=True,
        )
        own_vectors: bool = param(
            False,
            help="projection: score an image for a class by vectors of its own, not by the "
            "classifier's",
            later=True,
        )
        memory: float = param(
            0.0,
            help="the generator's weights are a running mean over steps, of which a step leaves "
            "this share; 0 takes those of the last step",
            min=0,
            max=1,
            later=True,
        )

    name = "gan"
    # At 1, lite had 48 channels and the paper's losses; smoke and paper did not change.
    version = 2
    artefact = "generator"
    label = "GAN"
    colour = "#56B4E8"
    marker = "P"
    table_order = 140
    published_differences = "the released code takes the generator that tests best"
    paper = Paper(
        "DiM: Distilling Dataset into Generative Model (its GAN alone)",
        2023,
        "arXiv:2303.04707",
        "K. Wang, J. Gu, D. Zhou, Z. Zhu, W. Jiang, Y. You",
    )
    profiles = PROFILES
    ipc_agnostic = True
    uses_arch = False
    state = ("pair", "batches")
    modes = ("stream", "frozen")

    def setup(self) -> None:
        """Initialise both networks from the context's seed."""
        params, ctx = self.params, self.ctx
        self.batches = ShuffledBatches(ctx, params.batch)
        noise_dim = latent_size(params.noise_dim, self.spec)
        with global_seed(ctx.draw_int(2**62, "networks")):
            generator = ConditionalGenerator(self.spec, params.width, noise_dim)
            discriminator = new_discriminator(self.spec, params)
        networks = generator.to(ctx.device), discriminator.to(ctx.device)
        self.pair = adversarial_pair(*networks, ctx, params, batch=params.batch, lr=params.lr)

    def steps(self) -> int:
        """Return all whole batches of all epochs, or ``max_steps`` if that is fewer."""
        return self.batches.steps(self.params.epochs, self.params.max_steps)

    def step(self, i: int) -> Scalars:
        """Update the generator, then the discriminator."""
        self.pair.set_lr(self.params.lr * self._decay(i))
        real, labels = self.batches.pick(i)
        penalised = i % self.params.penalty_every == 0
        losses = {
            "generator_loss": self.pair.generator_step(labels),
            "discriminator_loss": self.pair.discriminator_step(real, labels, penalised=penalised),
        }
        self.pair.average(i)
        return losses

    def result(self) -> DistilledSet:
        """Return a copy of the generator."""
        return generator_set(self.spec, self.pair.trained)

    def byproducts(self) -> dict[str, Tensor]:
        """Return the discriminator and both optimisers' states, from which DiM continues."""
        return self.pair.byproducts()

    def _decay(self, i: int) -> float:
        """Return the factor of the learning rate at step ``i``: 1, then linearly towards 0."""
        falling = (1 - self.params.decay_after) * self.steps()
        return min(1.0, (self.steps() - i) / falling) if falling else 1.0


def adversarial_pair(
    generator: ConditionalGenerator,
    discriminator: Discriminator,
    ctx: Context,
    params: ConditionalGAN.Params,
    *,
    batch: int,
    lr: float,
) -> AdversarialPair:
    """Return both networks in training as ``params`` say.

    Batch and learning rate are the caller's, since DiM goes on with others.
    """
    return AdversarialPair(
        generator,
        discriminator,
        ctx,
        batch=batch,
        lr=lr,
        penalty_weight=params.penalty_every * params.penalty_weight,
        penalty_batch=params.penalty_batch,
        objective=objective_of(params),
        discriminator_rate=params.discriminator_rate,
        memory=params.memory,
    )


def new_discriminator(spec: DatasetSpec, params: ConditionalGAN.Params) -> Discriminator:
    """Return a discriminator as ``params`` say, initialised from PyTorch's global generator."""
    return Discriminator(spec, params.width, own_vectors=params.own_vectors)


def objective_of(params: ConditionalGAN.Params) -> Objective:
    """Return the losses that ``params`` name."""
    return _OBJECTIVES[params.objective](params.class_weight)


def latent_size(noise_dim: int, spec: DatasetSpec) -> int:
    """Return the generator's latent entries for a dataset.

    The paper's datasets have 10 classes, whose labels leave 90 of 100 entries to noise. More
    classes lengthen the vector so that as many stay: 190 for CIFAR-100, where 100 would leave none.
    """
    return noise_dim + max(0, spec.num_classes - _PAPER_CLASSES)


def generator_set(spec: DatasetSpec, generator: ConditionalGenerator) -> GeneratorSet:
    """Return a copy of ``generator`` as a distilled set; the original stays in training."""
    return GeneratorSet(spec, "conditional-gan", copy.deepcopy(generator), {})
