"""A generator and a discriminator in training: one step of either, and their whole state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bench.plugin import Context
from bench.plugin.compute import passes
from methods.gan.loss import discriminator_loss, generator_loss, gradient_penalty
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
        lr: learning rate of both optimisers.
        penalty_weight: factor of the gradient penalty.
        penalty_batch: images of a batch that the penalty is measured on; ``None`` for all.

    Attributes:
        generator_adam: the optimiser of the generator.
        discriminator_adam: the optimiser of the discriminator.
    """

    def __init__(
        self,
        generator: ConditionalGenerator,
        discriminator: Discriminator,
        ctx: Context,
        *,
        lr: float,
        penalty_weight: float,
        penalty_batch: int | None,
    ) -> None:
        self.generator = generator.train().requires_grad_(True)
        self.discriminator = discriminator.train().requires_grad_(True)
        self._ctx, self._weight, self._penalised = ctx, penalty_weight, penalty_batch
        self.generator_adam = _adam(generator, lr)
        self.discriminator_adam = _adam(discriminator, lr)

    def generator_step(
        self, labels: Tensor, extra: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    ) -> Tensor:
        """Update the generator once.

        Args:
            labels: the classes to draw, int64 ``(N,)``.
            extra: maps the drawn images, detached float32, to a loss that is added and to that
                loss's gradient on them.

        Returns:
            The loss, detached.
        """
        with passes.autocast(self._ctx):
            drawn = self.generator.sample(labels, self._ctx.generator("noise"))
        loss, slope = self._opinion(drawn.detach().float(), labels)
        if extra is not None:
            more, further = extra(drawn.detach().float())
            loss, slope = loss + more, slope + further
        drawn.backward(slope.to(drawn.dtype))  # type: ignore[no-untyped-call]
        _update(self.generator_adam)
        return loss

    def _opinion(self, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the generator's loss and its gradient on the images."""
        self.discriminator.requires_grad_(False)

        def grade(part: slice) -> tuple[Tensor, Tensor]:
            images = fake[part].requires_grad_()
            with torch.enable_grad(), passes.autocast(self._ctx):
                loss = generator_loss(self.discriminator, images, labels[part])
                loss = loss * _share(part, fake)
            (slope,) = torch.autograd.grad(loss, images)
            return loss.detach(), slope

        losses, slopes = zip(*passes.parallel(grade, self._slices(fake), self._ctx), strict=True)
        self.discriminator.requires_grad_(True)
        return torch.stack(losses).sum(), torch.cat(slopes)

    def discriminator_step(self, real: Tensor, labels: Tensor) -> Tensor:
        """Update the discriminator once, against as many fresh images of random classes.

        Args:
            real: real images in [-1, 1], float32 ``(N, C, H, W)``.
            labels: their classes.

        Returns:
            The loss, detached.
        """
        fake, fake_labels = self.draw(len(real))
        few = real[: self._penalised]
        mix = torch.rand(
            len(few), 1, 1, 1, generator=self._ctx.generator("penalty"), device=real.device
        )

        def tell_apart(part: slice) -> Tensor:
            loss = discriminator_loss(
                self.discriminator, real[part], labels[part], fake[part], fake_labels[part]
            )
            return loss * _share(part, real)

        def penalise(part: slice) -> Tensor:
            penalty = gradient_penalty(self.discriminator, few[part], fake[part], mix[part])
            return penalty * (self._weight * _share(part, few))

        weights = list(self.discriminator.parameters())

        def learn(work: tuple[Callable[[slice], Tensor], slice]) -> list[Tensor]:
            term, part = work
            with torch.enable_grad(), passes.autocast(self._ctx):
                loss = term(part)
            # The penalty does not reach the classifier, nor the score's bias.
            slopes = torch.autograd.grad(loss, weights, materialize_grads=True)
            return [loss.detach(), *slopes]

        work = [(penalise, part) for part in self._slices(few)]
        work += [(tell_apart, part) for part in self._slices(real)]
        loss, *gradient = passes.parallel_sum(learn, work, self._ctx)
        for weight, slope in zip(weights, gradient, strict=True):
            weight.grad = slope
        _update(self.discriminator_adam)
        return loss

    def set_lr(self, lr: float) -> None:
        """Give both optimisers another learning rate."""
        for optimiser in (self.generator_adam, self.discriminator_adam):
            for group in optimiser.param_groups:
                group["lr"] = lr

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
        return {**_prefixed("generator", self.generator.state_dict()), **self.byproducts()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        self.generator.load_state_dict(_own("generator", tensors))
        self.load_byproducts(tensors)

    def _slices(self, images: Tensor) -> list[slice]:
        """Cut a batch: the discriminator treats every sample alone.

        In half the usual slices, as real and generated images pass together.
        """
        return passes.even_slices(len(images), max(1, passes.slice_for(self._ctx) // 2))

    @torch.no_grad()
    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw ``n`` images of classes drawn uniformly; batch statistics are tracked.

        Returns:
            Images in [-1, 1], float32 ``(n, C, H, W)``, and their classes, int64 ``(n,)``.
        """
        ctx, generator = self._ctx, self.generator
        labels = torch.randint(
            generator.num_classes, (n,), generator=ctx.generator("fake-labels"), device=ctx.device
        )
        with passes.autocast(ctx):
            return generator.sample(labels, ctx.generator("noise")).float(), labels


def _adam(network: torch.nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr, _BETAS, foreach=True)


def _update(optimiser: torch.optim.Optimizer) -> None:
    optimiser.step()
    optimiser.zero_grad()


def _share(part: slice, whole: Tensor) -> float:
    """Return which part of a batch a slice is."""
    count: int = part.stop - part.start
    return count / len(whole)


def _prefixed(owner: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{owner}.{name}": value for name, value in tensors.items()}


def _own(owner: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{owner}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
