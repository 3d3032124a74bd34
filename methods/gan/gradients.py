"""The gradients of a generator and a discriminator for one batch, in slices on a CPU.

On a GPU a batch is computed at once, and replayed as one graph where that is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from bench.plugin import Context
from bench.plugin.compute import passes
from methods.gan.loss import Objective
from methods.gan.networks import ConditionalGenerator, Discriminator


class Extra(NamedTuple):
    """A loss on drawn images that is added to the generator's.

    Attributes:
        loss: maps drawn images, detached float32, and ``inputs`` to the loss and to its gradient
            on the images. The same object as long as it computes in the same tensors; it draws no
            random numbers.
        weight: its factor.
        inputs: what differs from step to step.
        changed: returns the tensors that ``loss`` changes in place.
    """

    loss: Callable[..., tuple[Tensor, Tensor]]
    weight: float
    inputs: tuple[Tensor, ...] = ()
    changed: Callable[[], Iterable[Tensor]] = tuple


class PairGradients:
    """Losses and gradients of both networks, which stay as they are.

    All randomness comes with the arguments.

    Args:
        generator: in training mode; its batch statistics are tracked.
        discriminator: in training mode.
        ctx: device and precision.
        objective: the losses.
        penalty_weight: factor of the gradient penalty where it is computed.
        penalty_batch: images of a batch that the penalty is measured on; ``None`` for all.
    """

    def __init__(
        self,
        generator: ConditionalGenerator,
        discriminator: Discriminator,
        ctx: Context,
        *,
        objective: Objective,
        penalty_weight: float,
        penalty_batch: int | None,
    ) -> None:
        self._generator, self._discriminator = generator, discriminator
        self._ctx, self._objective = ctx, objective
        self._weight, self._penalised = penalty_weight, penalty_batch
        self._generate = passes.replayed("generator", self._of_generator, generator.buffers, ctx)
        plain, penalised = (partial(self._of_discriminator, penalised=p) for p in (False, True))
        self._without = passes.replayed("discriminator", plain, tuple, ctx)
        self._with_penalty = passes.replayed("penalised discriminator", penalised, tuple, ctx)
        self._added: tuple[object, float] | None = None

    def of_generator(self, latent: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Return the generator's loss, detached, and its gradient on each weight.

        Args:
            latent: float32 ``(N, noise_dim)``.
            labels: the classes in it, int64 ``(N,)``.
        """
        return self._generate(latent, labels)

    def of_generator_with(self, extra: Extra, latent: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Return what :meth:`of_generator` does for the sum of two losses.

        Returns:
            The sum, the weighted loss that was added, both detached, and the sum's gradient on
            each weight.
        """
        if self._added != (extra.loss, extra.weight):
            # A recorded step computes in the tensors of one loss.
            self._added = extra.loss, extra.weight
            step = partial(self._of_both, extra.loss, extra.weight)
            buffers, changed = self._generator.buffers, extra.changed
            self._match = passes.replayed(
                "generator while matching", step, lambda: chain(buffers(), changed()), self._ctx
            )
        return self._match(latent, labels, *extra.inputs)

    def _of_generator(self, latent: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        drawn = self._drawn(latent)
        loss, slope = self._opinion(drawn.detach().float(), labels)
        return loss, *self._on_weights(drawn, slope)

    def _of_both(
        self,
        added: Callable[..., tuple[Tensor, Tensor]],
        weight: float,
        latent: Tensor,
        labels: Tensor,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        drawn = self._drawn(latent)
        loss, slope = self._opinion(drawn.detach().float(), labels)
        more, further = (weight * x for x in added(drawn.detach().float(), *inputs))
        return loss + more, more, *self._on_weights(drawn, slope + further)

    def _drawn(self, latent: Tensor) -> Tensor:
        with torch.enable_grad(), passes.autocast(self._ctx):
            images: Tensor = self._generator(latent)
        return images

    def _on_weights(self, drawn: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient on each weight of the generator for one on its images."""
        weights = list(self._generator.parameters())
        return torch.autograd.grad(drawn, weights, slope.to(drawn.dtype))

    def _opinion(self, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the generator's loss and its gradient on the images."""
        self._discriminator.requires_grad_(False)

        def grade(part: slice) -> tuple[Tensor, Tensor]:
            images = fake[part].requires_grad_()
            with torch.enable_grad(), passes.autocast(self._ctx):
                loss = self._objective.generator(self._discriminator, images, labels[part])
                loss = loss * _share(part, fake)
            (slope,) = torch.autograd.grad(loss, images)
            return loss.detach(), slope

        losses, slopes = zip(*passes.parallel(grade, self._slices(fake), self._ctx), strict=True)
        self._discriminator.requires_grad_(True)
        return torch.stack(losses).sum(), torch.cat(slopes)

    def of_discriminator(
        self,
        real: Tensor,
        labels: Tensor,
        fake: Tensor,
        fake_labels: Tensor,
        mix: Tensor,
        *,
        penalised: bool,
    ) -> tuple[Tensor, ...]:
        """Return the discriminator's loss, detached, and its gradient on each weight.

        Args:
            real: real images in [-1, 1], float32 ``(N, C, H, W)``.
            labels: their classes, int64 ``(N,)``.
            fake: as many generated ones, float32.
            fake_labels: their classes.
            mix: see :meth:`penalised_images`, float32 ``(images, 1, 1, 1)``.
            penalised: whether the penalty counts.
        """
        discriminate = self._with_penalty if penalised else self._without
        return discriminate(real, labels, fake, fake_labels, mix)

    def penalised_images(self, batch: int) -> int:
        """Return on how many images of a batch the penalty is measured."""
        return batch if self._penalised is None else min(batch, self._penalised)

    def _of_discriminator(
        self,
        real: Tensor,
        labels: Tensor,
        fake: Tensor,
        fake_labels: Tensor,
        mix: Tensor,
        *,
        penalised: bool,
    ) -> tuple[Tensor, ...]:
        network, few = self._discriminator, real[: len(mix)]

        def tell_apart(part: slice) -> Tensor:
            loss = self._objective.discriminator(
                network, real[part], labels[part], fake[part], fake_labels[part]
            )
            return loss * _share(part, real)

        def penalise(part: slice) -> Tensor:
            penalty = self._objective.penalty(
                network, few[part], labels[part], fake[part], mix[part]
            )
            return penalty * (self._weight * _share(part, few))

        weights = list(network.parameters())

        def learn(work: tuple[Callable[[slice], Tensor], slice]) -> list[Tensor]:
            term, part = work
            with torch.enable_grad(), passes.autocast(self._ctx):
                loss = term(part)
            # The penalty does not reach the classifier, nor the score's bias.
            slopes = torch.autograd.grad(loss, weights, materialize_grads=True)
            return [loss.detach(), *slopes]

        work = [(penalise, part) for part in self._slices(few)] if penalised else []
        work += [(tell_apart, part) for part in self._slices(real)]
        return tuple(passes.parallel_sum(learn, work, self._ctx))

    def _slices(self, images: Tensor) -> list[slice]:
        """Cut a batch: the discriminator treats every sample alone.

        In half the usual slices, as real and generated images pass together.
        """
        return passes.even_slices(len(images), max(1, passes.slice_for(self._ctx) // 2))


def _share(part: slice, whole: Tensor) -> float:
    """Return which part of a batch a slice is."""
    count: int = part.stop - part.start
    return count / len(whole)
