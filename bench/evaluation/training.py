"""The training of one evaluation network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.augment.dsa import DSA
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import TrainingSource
from bench.evaluation.gradients import Gradient
from bench.evaluation.protocols import Protocol
from bench.networks.architecture import build_network
from bench.support.seeds import derive_seed, global_seed, make_generator


@dataclass(frozen=True)
class Recipe:
    """A protocol as it is applied to one distilled set.

    Attributes:
        protocol: the named recipe.
        spec: the dataset.
        learning_rate: the protocol's, or the one that was learned with the set.
        epochs: the protocol's, or those that the set asks for.
    """

    protocol: Protocol
    spec: DatasetSpec
    learning_rate: float
    epochs: int


def initial_network(arch: str, spec: DatasetSpec, seed: int, device: torch.device) -> nn.Module:
    """Build the network that ``seed`` stands for, in ``train()`` mode.

    It is initialised on the CPU, so that every device starts from the same weights.
    """
    with global_seed(derive_seed(seed, "init")):
        return build_network(arch, spec).to(device).train()


class Training:
    """Trains a network in place; everything random descends from ``seed``.

    It can be stopped after any step and continued: the state says how far its epoch has come, and
    the epoch's images and order are drawn again from where they were drawn.

    Args:
        net: the network that ``gradient`` fills with gradients.
        gradient: whole or sliced.
        source: gives the images of each epoch.
        recipe: how to train.
        seed: of this network.
    """

    def __init__(
        self,
        net: nn.Module,
        gradient: Gradient,
        source: TrainingSource,
        recipe: Recipe,
        seed: int,
    ) -> None:
        protocol, device = recipe.protocol, next(net.parameters()).device
        self._net, self._gradient, self._source, self._recipe = net, gradient, source, recipe
        self._draw, self._order, self._noise = (
            make_generator(derive_seed(seed, part), device) for part in ("draw", "order", "augment")
        )
        self._dsa = DSA.for_dataset(recipe.spec, protocol.augment, protocol.augment_mode)
        self._optimiser = torch.optim.SGD(
            net.parameters(),
            lr=recipe.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
        )
        self._epoch = self._done = 0
        self._drawn = self._draws()
        self._loss = torch.zeros((), device=device)

    def run(self, after_step: Callable[[int], None]) -> Tensor:
        """Train to the end.

        Args:
            after_step: called after every step with the number of epochs completed; whatever it
                raises ends the training.

        Returns:
            The mean loss of the last batch, a 0-d tensor.
        """
        while self._epoch < self._recipe.epochs:
            self._train_epoch(after_step)
            self._epoch, self._done = self._epoch + 1, 0
        after_step(self._epoch)
        return self._loss

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on; its tensors are live."""
        return {
            "epoch": self._epoch,
            "done": self._done,
            "drawn": self._drawn,
            "noise": self._noise.get_state(),
            "net": dict(self._net.state_dict()),
            "optimiser": self._optimiser.state_dict()["state"],
            "loss": self._loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._epoch, self._done = state["epoch"], state["done"]
        for generator, kept in zip((self._draw, self._order), state["drawn"], strict=True):
            generator.set_state(kept.cpu())
        self._noise.set_state(state["noise"].cpu())
        self._net.load_state_dict(state["net"])
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        self._loss = state["loss"]

    def _train_epoch(self, after_step: Callable[[int], None]) -> None:
        recipe, protocol = self._recipe, self._recipe.protocol
        rate = protocol.rate(self._epoch, recipe.epochs, recipe.learning_rate)
        self._optimiser.param_groups[0]["lr"] = rate
        self._drawn = self._draws()
        images, labels = self._source.epoch(self._draw)
        shuffled = torch.randperm(len(labels), generator=self._order, device=labels.device)
        for batch in torch.split(shuffled, protocol.batch_size)[self._done :]:
            self._loss = self._gradient(self._dsa(images[batch], self._noise), labels[batch])
            self._optimiser.step()
            self._done += 1
            after_step(self._epoch)

    def _draws(self) -> list[Tensor]:
        """Return what the images and the order of the coming epoch are drawn from."""
        return [self._draw.get_state(), self._order.get_state()]
