"""All networks of an evaluation trained as one, for a GPU that one small network leaves idle.

The weights of the networks are stacked along a new first axis and the forward pass is batched over
it by ``vmap``, so that a step of all networks launches about as many kernels as a step of one. Each
network sees the images, the order and the augmentation that its own seed gives, as in
:mod:`bench.evaluation.training`: its numbers do not depend on the others but for rounding. Nothing
waits for the device.

The backward pass is plain autograd around ``vmap``, not ``torch.func.grad`` inside it: the kernels
are the same, and no graph is kept for second derivatives. All is float32: autocast under ``vmap``
casts some operations and forgets others (pytorch issues 105442 and 192617).

Networks of other cells never join a stack, though a GPU may have room for them: how a sum is
rounded depends on how many are stacked, and a cell's numbers must not depend on which others are
missing. Several cells at once are several workers on one GPU (``bench run --workers``).

**Measured so far**, on a CPU and on a simulated GPU (``tests/simulated_gpu.py``): losses and
weights are those of networks trained one by one, and the host's own work for a step of 5 networks
is 2.0 to 3.3 times less than in turn (ConvNet-3 and ResNet-18 of one channel, so that there is
little else). Not measured: the speed on a GPU, for want of one; large networks may well be faster
in turn there, since convolutions with stacked weights are grouped convolutions.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.augment.dsa import DSA
from bench.augment.together import augment_together
from bench.distilled.base import TrainingSource
from bench.evaluation.training import Recipe
from bench.support.seeds import derive_seed, make_generator

State = dict[str, Tensor]


class StackedNets:
    """Networks of one architecture, computed at once.

    Running statistics of batch normalisation are stacked and updated like those of each network.

    Args:
        nets: in ``train()`` mode, on one device; unchanged until :meth:`hand_back`.

    Attributes:
        parameters: by name, ``(nets, *shape)``: leaves that require a gradient.
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        self._nets = list(nets)
        self.parameters, self._buffers = torch.func.stack_module_state(self._nets)
        # Its structure is all that is needed of a network; the weights come with each call.
        self._structure = copy.deepcopy(self._nets[0]).to("meta")

    def losses(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return each network's mean cross-entropy on its own batch: float32 ``(nets,)``.

        Args:
            images: float32 ``(nets, N, C, H, W)``.
            labels: int64 ``(nets, N)``, or float32 probabilities ``(nets, N, num_classes)``.

        Raises:
            RuntimeError: if ``vmap`` cannot batch the architecture.
        """
        losses: Tensor = torch.func.vmap(self._loss)(self.parameters, self._buffers, images, labels)
        return losses

    @torch.no_grad()
    def hand_back(self) -> None:
        """Give every network its weights and running statistics."""
        for i, net in enumerate(self._nets):
            for stacked, own in (
                (self.parameters, net.named_parameters()),
                (self._buffers, net.named_buffers()),
            ):
                for name, value in own:
                    value.copy_(stacked[name][i])

    def state_dict(self) -> dict[str, State]:
        """Return the stacked weights and running statistics; the tensors are live."""
        return {"parameters": self.parameters, "buffers": self._buffers}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, State]) -> None:
        """Copy what :meth:`state_dict` returned."""
        for mine, kept in (
            (self.parameters, state["parameters"]),
            (self._buffers, state["buffers"]),
        ):
            for name, value in mine.items():
                value.copy_(kept[name])

    def _loss(self, parameters: State, buffers: State, images: Tensor, labels: Tensor) -> Tensor:
        logits = torch.func.functional_call(self._structure, (parameters, buffers), (images,))
        return F.cross_entropy(logits, labels)


def stacking_pays(
    nets: Sequence[nn.Module], shape: tuple[int, int, int], device: torch.device, precision: str
) -> bool:
    """Whether these networks are trained as one, by rule: so that reruns give the same numbers.

    Several networks on CUDA in fp32, unless ``vmap`` cannot batch them: if they decide by values or
    draw random numbers (dropout). That is found by computing shapes only, which costs little.

    Args:
        nets: of one architecture, in ``train()`` mode.
        shape: ``(C, H, W)`` of an image.
        device: of the networks.
        precision: ``fp32`` or ``bf16``.
    """
    if device.type != "cuda" or precision != "fp32" or len(nets) < 2:
        return False
    shapes = StackedNets([copy.deepcopy(net).to("meta") for net in nets[:2]])
    images = torch.empty(2, 4, *shape, device="meta")
    try:
        shapes.losses(images, torch.empty(2, 4, dtype=torch.int64, device="meta"))
    except RuntimeError:
        return False
    return True


class StackedTraining:
    """Trains networks in place, as :class:`bench.evaluation.training.Training` does each of them.

    Args:
        nets: of one architecture, in ``train()`` mode, on one device.
        source: gives the images of each epoch.
        recipe: how to train.
        seeds: one per network; everything random about it descends from its own.

    Raises:
        torch.OutOfMemoryError: if the networks do not fit together, here or in :meth:`run`; they
            are then unchanged.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        source: TrainingSource,
        recipe: Recipe,
        seeds: Sequence[int],
    ) -> None:
        protocol, device = recipe.protocol, next(nets[0].parameters()).device
        self._nets, self._source, self._recipe = StackedNets(nets), source, recipe
        self._draws, self._orders, self._noises = (
            [make_generator(derive_seed(seed, part), device) for seed in seeds]
            for part in ("draw", "order", "augment")
        )
        self._dsa = DSA.for_dataset(recipe.spec, protocol.augment, protocol.augment_mode)
        self._optimiser = torch.optim.SGD(
            self._nets.parameters.values(),
            lr=recipe.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            fused=True,
        )
        self._epoch = self._done = 0
        self._drawn = self._drawn_from()
        self._losses = torch.zeros(len(nets), device=device)

    def run(self, after_step: Callable[[int], None]) -> Tensor:
        """Train to the end and give every network its weights.

        Args:
            after_step: called after every step with the number of epochs completed; whatever it
                raises ends the training.

        Returns:
            Each network's mean loss of the last batch, ``(nets,)``, on the device.
        """
        while self._epoch < self._recipe.epochs:
            self._train_epoch(after_step)
            self._epoch, self._done = self._epoch + 1, 0
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
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._epoch, self._done = state["epoch"], state["done"]
        for generators, kept in (
            (self._draws, state["drawn"][0]),
            (self._orders, state["drawn"][1]),
            (self._noises, state["noises"]),
        ):
            for generator, value in zip(generators, kept, strict=True):
                generator.set_state(value.cpu())
        self._nets.load_state_dict(state["nets"])
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        self._losses = state["losses"]

    def _train_epoch(self, after_step: Callable[[int], None]) -> None:
        recipe = self._recipe
        rate = recipe.protocol.rate(self._epoch, recipe.epochs, recipe.learning_rate)
        self._optimiser.param_groups[0]["lr"] = rate
        self._drawn = self._drawn_from()
        for images, labels in self._batches():
            augmented = torch.stack(augment_together(self._dsa, images, self._noises))
            losses = self._nets.losses(augmented, torch.stack(labels))
            self._optimiser.zero_grad()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            self._losses = losses.detach()
            self._done += 1
            after_step(self._epoch)

    def _batches(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Yield what is left of an epoch: images and labels of each network, in its own order."""
        epochs = [self._source.epoch(draw) for draw in self._draws]
        shuffled = [
            torch.randperm(len(labels), generator=order, device=labels.device)
            for (_, labels), order in zip(epochs, self._orders, strict=True)
        ]
        parts = zip(
            *(torch.split(order, self._recipe.protocol.batch_size) for order in shuffled),
            strict=True,
        )
        for chosen in itertools.islice(parts, self._done, None):
            pairs = list(zip(epochs, chosen, strict=True))
            yield [x[part] for (x, _), part in pairs], [y[part] for (_, y), part in pairs]

    def _drawn_from(self) -> list[list[Tensor]]:
        """Return what the images and the orders of the coming epoch are drawn from."""
        return [[g.get_state() for g in each] for each in (self._draws, self._orders)]
