"""A generator and a discriminator in training: one step of either, and their whole state."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.plugin import Context
from bench.plugin.compute import passes
from methods.gan.gradients import Extra, PairGradients
from methods.gan.loss import Objective
from methods.gan.networks import ConditionalGenerator, Discriminator
from methods.shared.optimiser_state import load_optimiser_tensors, optimiser_tensors

# DiM's released code; the learning rate is a parameter.
_BETAS = (0.0, 0.9)


class AdversarialPair:
    """Both networks in training mode, each with its Adam.

    Randomness comes from the context's generators ``noise``, ``fake-labels`` and ``penalty``.

    Args:
        generator: trained in place.
        discriminator: trained in place.
        ctx: generators, device and precision.
        batch: real images per step.
        lr: learning rate of both optimisers.
        penalty_weight: factor of the gradient penalty where it counts.
        penalty_batch: images of a batch that the penalty is measured on; ``None`` for all.
        objective: the losses.
        discriminator_rate: the discriminator's learning rate as a multiple of ``lr``.
        memory: of the running mean of the generator's weights: what a step leaves of it; 0 for
            no such mean.

    Attributes:
        averaged: a generator of averaged weights; ``None`` where there is no average.
        generator_adam: the optimiser of the generator.
        discriminator_adam: the optimiser of the discriminator.
    """

    def __init__(
        self,
        generator: ConditionalGenerator,
        discriminator: Discriminator,
        ctx: Context,
        *,
        batch: int,
        lr: float,
        penalty_weight: float,
        penalty_batch: int | None,
        objective: Objective,
        discriminator_rate: float = 1.0,
        memory: float = 0.0,
    ) -> None:
        self.generator = generator.train().requires_grad_(True)
        self.discriminator = discriminator.train().requires_grad_(True)
        self._ctx, self._ratio, self._memory = ctx, discriminator_rate, memory
        _suit_memory_order(generator, discriminator, batch, ctx)
        self._same_classes = objective.same_classes
        self._gradients = PairGradients(
            generator,
            discriminator,
            ctx,
            objective=objective,
            penalty_weight=penalty_weight,
            penalty_batch=penalty_batch,
        )
        self.generator_adam = _adam(generator, lr)
        self.discriminator_adam = _adam(discriminator, lr * discriminator_rate)
        self.averaged = _still_copy(generator) if memory else None

    def generator_step(self, labels: Tensor) -> Tensor:
        """Update the generator once.

        Args:
            labels: the classes to draw, int64 ``(N,)``.

        Returns:
            The loss, detached; a tensor of its own, which no later step overwrites.
        """
        loss, *gradient = self._gradients.of_generator(self._latent(labels), labels)
        _update(self.generator, self.generator_adam, gradient)
        return loss.clone()

    def matching_step(self, labels: Tensor, extra: Extra) -> tuple[Tensor, Tensor]:
        """Update the generator once, by its own loss and another.

        Args:
            labels: the classes to draw, int64 ``(N,)``.
            extra: what is added.

        Returns:
            The whole loss, and the part that was added, detached; tensors of their own.
        """
        latent = self._latent(labels)
        loss, added, *gradient = self._gradients.of_generator_with(extra, latent, labels)
        _update(self.generator, self.generator_adam, gradient)
        return loss.clone(), added.clone()

    def _latent(self, labels: Tensor) -> Tensor:
        return self.generator.latent(labels, self._ctx.generator("noise"))

    def discriminator_step(self, real: Tensor, labels: Tensor, *, penalised: bool = True) -> Tensor:
        """Update the discriminator once, against as many fresh images.

        Args:
            real: real images in [-1, 1], float32 ``(N, C, H, W)``.
            labels: their classes.
            penalised: whether the penalty counts.

        Returns:
            The loss, detached.
        """
        fake, fake_labels = self.draw(len(real), labels if self._same_classes else None)
        count = self._gradients.penalised_images(len(real))
        draws = self._ctx.generator("penalty")
        mix = torch.rand(count, 1, 1, 1, generator=draws, device=real.device)
        loss, *gradient = self._gradients.of_discriminator(
            real, labels, fake, fake_labels, mix, penalised=penalised
        )
        _update(self.discriminator, self.discriminator_adam, gradient)
        return loss.clone()

    @property
    def trained(self) -> ConditionalGenerator:
        """The generator of averaged weights, or the one in training where there is no average."""
        return self.generator if self.averaged is None else self.averaged

    @torch.no_grad()
    def average(self, i: int, *, begun: bool = False) -> None:
        """Update the running mean of the generator's weights and batch statistics.

        Args:
            i: the step that was taken; the first ones count less, as they are soon left behind.
            begun: whether the pair began with a mean that another stage made, which counts in full.
        """
        if self.averaged is None:
            return
        memory = self._memory if begun else min(self._memory, (1 + i) / (10 + i))
        means, values = self.averaged.state_dict(), self.generator.state_dict()
        for name, mean in means.items():
            if mean.is_floating_point():
                mean.lerp_(values[name], 1 - memory)
            else:
                mean.copy_(values[name])

    def set_lr(self, lr: float) -> None:
        """Give both optimisers another learning rate."""
        for optimiser, factor in (
            (self.generator_adam, 1.0),
            (self.discriminator_adam, self._ratio),
        ):
            for group in optimiser.param_groups:
                group["lr"] = lr * factor

    def byproducts(self) -> dict[str, Tensor]:
        """Return all but the generator: the discriminator and both optimisers' states."""
        return {
            **_prefixed("discriminator", self.discriminator.state_dict()),
            **_prefixed("generator_adam", optimiser_tensors(self.generator_adam)),
            **_prefixed("discriminator_adam", optimiser_tensors(self.discriminator_adam)),
        }

    def load_byproducts(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from :meth:`byproducts`, each optimiser at its own learning rate."""
        self.discriminator.load_state_dict(_own("discriminator", tensors))
        load_optimiser_tensors(self.generator_adam, _own("generator_adam", tensors))
        load_optimiser_tensors(self.discriminator_adam, _own("discriminator_adam", tensors))

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that later steps depend on, live."""
        averaged = {} if self.averaged is None else self.averaged.state_dict()
        return {
            **_prefixed("generator", self.generator.state_dict()),
            **_prefixed("averaged", averaged),
            **self.byproducts(),
        }

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        self.generator.load_state_dict(_own("generator", tensors))
        if self.averaged is not None:
            self.averaged.load_state_dict(_own("averaged", tensors))
        self.load_byproducts(tensors)

    @torch.no_grad()
    def draw(self, n: int, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` images; batch statistics are tracked.

        Args:
            n: how many.
            labels: their classes, int64 ``(n,)``; drawn uniformly by default.

        Returns:
            Images in [-1, 1], float32 ``(n, C, H, W)``, and their classes, int64 ``(n,)``.
        """
        ctx, generator = self._ctx, self.generator
        if labels is None:
            draws = ctx.generator("fake-labels")
            labels = torch.randint(generator.num_classes, (n,), generator=draws, device=ctx.device)
        with passes.autocast(ctx):
            return generator.sample(labels, ctx.generator("noise")).float(), labels


def _suit_memory_order(
    generator: ConditionalGenerator, discriminator: Discriminator, batch: int, ctx: Context
) -> None:
    """Give both networks the order in memory that they train fastest in."""
    passes.suit_memory_order("the generator", generator, (batch, generator.noise_dim), ctx)
    # Real and generated images pass together.
    pairs = 2 * batch, *ctx.real.spec.shape
    passes.suit_memory_order("the discriminator", discriminator, pairs, ctx)


def _still_copy(generator: ConditionalGenerator) -> ConditionalGenerator:
    return copy.deepcopy(generator).requires_grad_(False)


def _adam(network: torch.nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr, _BETAS, foreach=True)


def _update(
    network: torch.nn.Module, optimiser: torch.optim.Optimizer, gradient: Sequence[Tensor]
) -> None:
    for weight, slope in zip(network.parameters(), gradient, strict=True):
        weight.grad = slope
    optimiser.step()
    optimiser.zero_grad()


def _prefixed(owner: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{owner}.{name}": value for name, value in tensors.items()}


def _own(owner: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{owner}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
