"""Expert trajectories: the weights of networks trained on real data, after each of their epochs.

Cazenavette et al., 2022, section 3.1: plain SGD without momentum or weight decay, so that distilled
images can follow. Each epoch of each expert is shared work of its own, kept by content of its key
and made from the epoch before. So a method trains only as far as it looks, a longer one goes on
from there, an interrupted one keeps every finished epoch, and no more than two epochs of one
expert are in memory. Experts depend on neither IPC nor seed: all runs on a dataset and an
architecture use the same, as in the paper.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from bench.plugin import DSA, Context
from bench.plugin.compute import passes
from bench.plugin.datasets import ZCA
from methods.shared.network_training import descend
from methods.shared.real_training import epoch_batches

_VERSION = 1


@dataclass(frozen=True)
class ExpertRecipe:
    """How experts are trained, in plain values that are part of their key.

    Attributes:
        arch: their architecture.
        lr: learning rate, constant.
        dsa: augmentations joined by ``_``, or ``none``.
        batches: per epoch, of 256 images at most; ``None`` for the whole real set.
        epsilon: of the ZCA whitening of their images; ``None`` for mean and std.
    """

    arch: str
    lr: float
    dsa: str
    batches: int | None
    epsilon: float | None


class ExpertTrajectories:
    """Gives the weights of any expert after any of its epochs, training it that far if need be.

    Args:
        recipe: how they are trained.
        ctx: the running cell's.

    Attributes:
        zca: what their images are whitened with; ``None`` if the recipe has no ``epsilon``.
    """

    def __init__(self, recipe: ExpertRecipe, ctx: Context) -> None:
        self._recipe, self._ctx = recipe, ctx
        self.zca = _shared_zca(recipe.epsilon, ctx)

    def weights(self, expert: int, epoch: int) -> dict[str, Tensor]:
        """Return an expert's parameters by name, on the device.

        Args:
            expert: counted from 0.
            epoch: how many it has been trained for; 0 for none.
        """
        if self._ctx.rehearsal:  # untrained ones take as long to match
            return _parameters(self._ctx.network(self._recipe.arch))
        key = {"what": "expert", "version": _VERSION, **asdict(self._recipe),
               "expert": expert, "epoch": epoch}  # fmt: skip

        def make(inner: Context) -> dict[str, Tensor]:
            network = inner.network(self._recipe.arch).train()
            if epoch > 0:
                _load(network, self.weights(expert, epoch - 1))
                self._train_epoch(network, inner)
            return _parameters(network)

        return self._ctx.shared(key, make)

    def _train_epoch(self, network: nn.Module, inner: Context) -> None:
        """Pass over the real images once, in the order and augmentation that the key decides."""
        real, recipe = inner.real.whitened(self.zca), self._recipe
        dsa, noise = DSA.for_dataset(real.spec, recipe.dsa), inner.generator("augmentation")
        size = passes.slice_size(recipe.arch, inner)
        batches = epoch_batches(len(real), 1, inner.generator("batches"))
        for batch in islice(batches, recipe.batches):
            images = dsa(real.gather(batch), noise)
            descend(network, images, real.labels[batch], lr=recipe.lr, slice_size=size, ctx=inner)


def _shared_zca(epsilon: float | None, ctx: Context) -> ZCA | None:
    if epsilon is None:
        return None
    key = {"what": "zca", "version": _VERSION, "epsilon": epsilon}

    def make(inner: Context) -> dict[str, Tensor]:
        return ZCA.fit(inner.real.images, epsilon).tensors()

    return ZCA.from_tensors(ctx.shared(key, make))


def _parameters(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in network.named_parameters()}


@torch.no_grad()
def _load(network: nn.Module, weights: dict[str, Tensor]) -> None:
    for name, parameter in network.named_parameters():
        parameter.copy_(weights[name])
