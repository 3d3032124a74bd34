"""All networks of an evaluation trained as one, for a GPU that one small network leaves idle.

The weights of the networks are stacked along a new first axis and the forward pass is batched over
it by ``vmap``, so that a step of all networks launches about as many kernels as a step of one. Each
network sees the images, the order and the augmentation that its own seed gives, as in
:mod:`bench.evaluation.training`: its numbers do not depend on the others but for rounding. Nothing
waits for the device.

The backward pass is plain autograd around ``vmap``, not ``torch.func.grad`` inside it: the kernels
are the same, and no graph is kept for second derivatives. All is float32: autocast under ``vmap``
casts some operations and forgets others (pytorch issues 105442 and 192617).

**Measured so far**, on a CPU: losses and weights are those of networks trained one by one, and the
host's own work for a step of 5 networks is 2.0 to 3.3 times less than in turn (ConvNet-3 and
ResNet-18 of one channel, so that there is little else). Not measured: the speed on a GPU, for want
of one; large networks may well be faster in turn there, since convolutions with stacked weights are
grouped convolutions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.augment.dsa import DSA
from bench.augment.together import augment_together
from bench.distilled.base import TrainingSource
from bench.evaluation.training import Recipe
from bench.seeds import derive_seed, make_generator

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


def train_stacked(
    nets: Sequence[nn.Module],
    source: TrainingSource,
    recipe: Recipe,
    seeds: Sequence[int],
    after_step: Callable[[int], None],
) -> Tensor:
    """Train networks in place, as :func:`bench.evaluation.training.train` does each of them.

    Args:
        nets: of one architecture, in ``train()`` mode, on one device.
        source: gives the images of each epoch.
        recipe: how to train.
        seeds: one per network; everything random about it descends from its own.
        after_step: called after every step with the number of epochs completed; whatever it
            raises ends the training.

    Returns:
        Each network's mean loss of the last batch, ``(nets,)``, on the device.

    Raises:
        torch.OutOfMemoryError: if the networks do not fit together; they are then unchanged.
    """
    protocol, stacked = recipe.protocol, StackedNets(nets)
    device = next(nets[0].parameters()).device
    draws, orders, noises = (
        [make_generator(derive_seed(seed, part), device) for seed in seeds]
        for part in ("draw", "order", "augment")
    )
    dsa = DSA.for_dataset(recipe.spec, protocol.augment, protocol.augment_mode)
    optimiser = torch.optim.SGD(
        stacked.parameters.values(),
        lr=recipe.learning_rate,
        momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
        fused=True,
    )
    losses = torch.zeros(len(nets), device=device)
    for epoch in range(recipe.epochs):
        rate = protocol.rate(epoch, recipe.epochs, recipe.learning_rate)
        optimiser.param_groups[0]["lr"] = rate
        for images, labels in _batches(source, draws, orders, protocol.batch_size):
            augmented = torch.stack(augment_together(dsa, images, noises))
            losses = stacked.losses(augmented, torch.stack(labels))
            optimiser.zero_grad()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            after_step(epoch)
    after_step(recipe.epochs)
    stacked.hand_back()
    return losses.detach()


def _batches(
    source: TrainingSource,
    draws: Sequence[torch.Generator],
    orders: Sequence[torch.Generator],
    size: int,
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Yield one epoch's batches: images and labels of each network, in its own order."""
    epochs = [source.epoch(draw) for draw in draws]
    shuffled = [
        torch.randperm(len(labels), generator=order, device=labels.device)
        for (_, labels), order in zip(epochs, orders, strict=True)
    ]
    for chosen in zip(*(torch.split(order, size) for order in shuffled), strict=True):
        pairs = list(zip(epochs, chosen, strict=True))
        yield [x[part] for (x, _), part in pairs], [y[part] for (_, y), part in pairs]
