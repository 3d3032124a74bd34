"""DiM's matching: generated images should mean to a network what real ones of their class mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.plugin import DSA, Context
from bench.plugin.compute import passes
from methods.dim.siamese_loss import SiameseLoss
from methods.gan.gradients import Extra
from methods.shared.batch_gradient import batch_gradient
from methods.shared.optimiser_state import load_optimiser_tensors, optimiser_tensors

# SGD of the pool's networks in DiM's released code; the learning rate is a parameter.
_MOMENTUM = 0.9
_WEIGHT_DECAY = 5e-4
# Left out when a network of the pool trains on real images, as in the released code.
_NOT_IN_TRAINING = "cutout"


class LogitMatcher:
    """A network drawn from a pool, trained on real images in step with the generator.

    Randomness comes from the context's generators ``pool`` (host), ``network``,
    ``matcher-order``, ``matcher-augmentation`` and ``siamese-augmentation``.

    Args:
        ctx: real set, generators, device, precision.
        pool: architectures by name.
        strategy: the siamese augmentation; without cutout, the one for training on real images.
        batch: real images per training step of the network.
        train_steps: such steps before every matching; at most an epoch.
        lr: learning rate of the network.

    Attributes:
        network: the one that was drawn last.
        optimiser: the SGD of its training.
        loss: of the matching in that network.

    Raises:
        BenchError: for an unknown architecture or augmentation.
    """

    def __init__(
        self,
        ctx: Context,
        pool: Sequence[str],
        strategy: str,
        *,
        batch: int,
        train_steps: int,
        lr: float,
    ) -> None:
        self._ctx, self._pool, self._lr = ctx, tuple(pool), lr
        self._batch = min(batch, len(ctx.real))
        self._train_steps = min(train_steps, len(ctx.real) // self._batch)
        self._siamese = DSA.for_dataset(ctx.real.spec, strategy, mode="all")
        names = [n for n in self._siamese.operations if n != _NOT_IN_TRAINING]
        self._augment = DSA("_".join(names), mode="all")
        self._arch: str | None = None

    def renew(self) -> None:
        """Draw an architecture from the pool and initialise it afresh."""
        arch = self._pool[self._ctx.draw_int(len(self._pool), "pool")]
        self._install(arch, self._ctx.network(arch))

    def train(self) -> None:
        """Take the training steps, each on other real images."""
        ctx, real = self._ctx, self._ctx.real
        order = torch.randperm(
            len(real), generator=ctx.generator("matcher-order"), device=ctx.device
        )
        # An empty tensor would still be split into one part, and weight decay be a step.
        parts = torch.split(order[: self._train_steps * self._batch], self._batch)
        for chosen in parts if self._train_steps else ():
            images = self._augment(real.gather(chosen), ctx.generator("matcher-augmentation"))
            gradient = self._learn(images, real.labels[chosen])
            for weight, slope in zip(self.network.parameters(), gradient, strict=True):
                weight.grad = slope
            self.optimiser.step()

    def extra(self, real: Tensor, weight: float) -> Extra:
        """Return the matching with a real batch, under one augmentation that all images share.

        Args:
            real: images in [-1, 1], float32 ``(N, C, H, W)``; generated ones of the same classes
                are compared with them.
            weight: factor of the loss.
        """
        inputs = self.loss.inputs(real, self._ctx.generator("siamese-augmentation"))
        return Extra(self.loss, weight, inputs, self.loss.changed)

    def state_dict(self) -> dict[str, Any]:
        """Return the network's name, weights and momentum; only the name (``None``) before any."""
        if self._arch is None:
            return {"arch": None}
        momentum = optimiser_tensors(self.optimiser)
        return {"arch": self._arch, "network": self.network.state_dict(), "sgd": momentum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        if state["arch"] is None:
            return
        # Its initial weights are overwritten: the stream of new networks must not move on.
        self._install(state["arch"], self._ctx.network(state["arch"], stream="restored"))
        self.network.load_state_dict(state["network"])
        load_optimiser_tensors(self.optimiser, state["sgd"])

    def _install(self, arch: str, network: nn.Module) -> None:
        self._arch, self.network = arch, network.train()
        self._slice = passes.slice_size(arch, self._ctx)
        batch = self._batch, *self._ctx.real.spec.shape
        passes.suit_memory_order(f"{arch} of the pool", network, batch, self._ctx)
        self._learn = passes.replayed(
            "network of the pool", self._gradient, network.buffers, self._ctx
        )
        self.loss = SiameseLoss(network, self._siamese, self._slice, self._ctx)
        self.optimiser = torch.optim.SGD(
            network.parameters(), self._lr, _MOMENTUM, weight_decay=_WEIGHT_DECAY
        )

    def _gradient(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of the mean cross-entropy on each weight."""
        _, gradient = batch_gradient(self.network, images, labels, size=self._slice, ctx=self._ctx)
        return tuple(gradient)
