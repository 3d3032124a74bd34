"""The training of evaluation networks: one, or several that take every step together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench.augment.dsa import DSA
from bench.augment.together import augment_together
from bench.distilled.base import TrainingSource
from bench.evaluation.epoch_order import by_class, shuffled
from bench.evaluation.gradients import Gradient
from bench.evaluation.recipe import Recipe
from bench.support.seeds import derive_seed, make_generator


class Networks(Protocol):
    """Networks that take every step together."""

    def weights(self) -> list[Tensor]:
        """Return the tensors that an optimiser changes."""

    def backward(self, images: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
        """Leave each network's gradient with its weights and return the losses, ``(nets,)``.

        Args:
            images: of each network, float32 ``(N, C, H, W)``.
            labels: of each network, int64 ``(N,)`` or float32 ``(N, num_classes)``.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return weights and running statistics; the tensors are live."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy what :meth:`state_dict` returned."""

    def hand_back(self) -> None:
        """Give the modules that were handed over their trained weights."""


class OneNetwork:
    """A single network, trained in place.

    Args:
        net: in ``train()`` mode.
        gradient: of that network, whole or sliced.
    """

    def __init__(self, net: nn.Module, gradient: Gradient) -> None:
        self._net, self._gradient = net, gradient

    def weights(self) -> list[Tensor]:
        """See :class:`Networks`."""
        return list(self._net.parameters())

    def backward(self, images: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
        """See :class:`Networks`."""
        return self._gradient(images[0], labels[0]).reshape(1)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Networks`."""
        return dict(self._net.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :class:`Networks`."""
        self._net.load_state_dict(state)

    def hand_back(self) -> None:
        """Do nothing: the network is trained in place."""


class Training:
    """Trains networks; everything random about each descends from its own seed.

    It can be stopped after any step and resumed: the state holds how far the epoch has come, and
    the epoch's images and order are drawn again from the generators' states at its start.

    Args:
        nets: one network, or several that are trained as one.
        source: gives the images of each epoch, on the networks' device.
        recipe: how to train.
        seeds: one per network.

    Raises:
        torch.OutOfMemoryError: if the networks do not fit together, here or in :meth:`run`; the
            modules that were handed over are then unchanged.
    """

    def __init__(
        self, nets: Networks, source: TrainingSource, recipe: Recipe, seeds: Sequence[int]
    ) -> None:
        protocol, weights = recipe.protocol, nets.weights()
        device = weights[0].device
        self._nets, self._source, self._recipe = nets, source, recipe
        self._draws, self._orders, self._noises = (
            [make_generator(derive_seed(seed, part), device) for seed in seeds]
            for part in ("draw", "order", "augment")
        )
        self._dsa = DSA.for_dataset(recipe.spec, protocol.augment, protocol.augment_mode)
        self._optimiser = torch.optim.SGD(
            weights,
            lr=recipe.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            fused=len(seeds) > 1 or None,
        )
        self._epoch = self._done = 0
        self._drawn = self._draw_states()
        self._losses = torch.zeros(len(seeds), device=device)
        # Zero, until a loss is not finite: NaN from then on.
        self._blemishes = torch.zeros(len(seeds), device=device)

    @property
    def always_finite(self) -> Tensor:
        """Whether each network's loss was finite in every step so far: bool ``(nets,)``."""
        return self._blemishes.isfinite()

    def run(
        self,
        after_step: Callable[[int], None],
        after_epoch: Callable[[int], None] = lambda _epochs: None,
    ) -> Tensor:
        """Train to the end.

        Args:
            after_step: called after every step with the number of epochs completed; an exception
                that it raises ends the training.
            after_epoch: called after every epoch with the number of epochs completed; called again
                if the training is resumed from the epoch's last step.

        Returns:
            Each network's mean loss of the last batch, ``(nets,)``, on the device.
        """
        while self._epoch < self._recipe.epochs:
            self._train_epoch(after_step)
            self._epoch, self._done = self._epoch + 1, 0
            after_epoch(self._epoch)
        after_step(self._epoch)
        self._nets.hand_back()
        return self._losses

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on; its tensors are live."""
        return {
            "epoch": self._epoch,
            "done": self._done,
            "drawn": self._drawn,
            "noises": [noise.get_state() for noise in self._noises],
            "nets": self._nets.state_dict(),
            "optimiser": self._optimiser.state_dict()["state"],
            "losses": self._losses,
            "blemishes": self._blemishes,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what :meth:`state_dict` returned."""
        self._epoch, self._done = state["epoch"], state["done"]
        for generators, values in (
            (self._draws, state["drawn"][0]),
            (self._orders, state["drawn"][1]),
            (self._noises, state["noises"]),
        ):
            for generator, value in zip(generators, values, strict=True):
                generator.set_state(value.cpu())
        self._nets.load_state_dict(state["nets"])
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        self._losses, self._blemishes = state["losses"], state["blemishes"]

    def _train_epoch(self, after_step: Callable[[int], None]) -> None:
        self._optimiser.param_groups[0]["lr"] = self._recipe.rate(self._epoch)
        self._drawn = self._draw_states()
        for images, labels in self._batches():
            augmented = augment_together(self._dsa, images, self._noises)
            self._losses = self._nets.backward(augmented, labels)
            self._optimiser.step()
            # Zero times a number is NaN where the number is not finite. Nothing waits for it.
            self._blemishes.add_(self._losses, alpha=0)
            self._done += 1
            after_step(self._epoch)

    def _batches(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Yield what is left of an epoch: images and labels of each network, in its own order."""
        epochs = [self._source.epoch(draw, self._epoch) for draw in self._draws]
        arrange = shuffled if self._recipe.protocol.batch_size else by_class
        orders = [
            arrange(labels, order) for (_, labels), order in zip(epochs, self._orders, strict=True)
        ]
        size = self._recipe.batch_size
        batches = zip(*(torch.split(order, size) for order in orders), strict=True)
        for chosen in itertools.islice(batches, self._done, None):
            pairs = list(zip(epochs, chosen, strict=True))
            yield [x[part] for (x, _), part in pairs], [y[part] for (_, y), part in pairs]

    def _draw_states(self) -> list[list[Tensor]]:
        """Return the states that the images and the orders of the coming epoch are drawn from."""
        return [[g.get_state() for g in each] for each in (self._draws, self._orders)]
