"""Networks that are trained as one, for a GPU that one small network leaves idle.

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
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.evaluation.loss import summed_loss

State = dict[str, Tensor]


class StackedNets:
    """Networks of one architecture, computed at once.

    Running statistics of batch normalisation are stacked and updated like those of each network.

    Args:
        nets: in ``train()`` mode, on one device; unchanged until :meth:`hand_back`.
        temperature: see :func:`bench.evaluation.loss.summed_loss`.

    Attributes:
        parameters: by name, ``(nets, *shape)``: leaves that require a gradient.
    """

    def __init__(self, nets: Sequence[nn.Module], temperature: float | None = None) -> None:
        self._nets, self._temperature = list(nets), temperature
        self.parameters, self._buffers = torch.func.stack_module_state(self._nets)
        # Its structure is all that is needed of a network; the weights come with each call.
        self._structure = copy.deepcopy(self._nets[0]).to("meta")

    def weights(self) -> list[Tensor]:
        """See :class:`bench.evaluation.training.Networks`."""
        return list(self.parameters.values())

    def backward(self, images: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
        """See :class:`bench.evaluation.training.Networks`."""
        losses = self.losses(torch.stack(list(images)), torch.stack(list(labels)))
        for weight in self.parameters.values():
            weight.grad = None
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach()

    def losses(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return each network's mean loss on its own batch: float32 ``(nets,)``.

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

    def state_dict(self) -> dict[str, Any]:
        """Return the stacked weights and running statistics; the tensors are live."""
        return {"parameters": self.parameters, "buffers": self._buffers}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy what :meth:`state_dict` returned."""
        for mine, saved in (
            (self.parameters, state["parameters"]),
            (self._buffers, state["buffers"]),
        ):
            for name, value in mine.items():
                value.copy_(saved[name])

    def _loss(self, parameters: State, buffers: State, images: Tensor, labels: Tensor) -> Tensor:
        logits = torch.func.functional_call(self._structure, (parameters, buffers), (images,))
        if self._temperature is None:
            return F.cross_entropy(logits, labels)
        return summed_loss(logits, labels, self._temperature) / len(labels)


def stacking_pays(
    nets: Sequence[nn.Module], shape: tuple[int, int, int], device: torch.device, precision: str
) -> bool:
    """Return whether these networks are trained as one: by a rule, so that reruns are the same.

    Several networks on CUDA, but not in bf16, since ``vmap`` does not batch autocast, and not if
    they decide by values or draw random numbers (dropout). That is found by computing shapes only,
    which costs little.

    Args:
        nets: of one architecture, in ``train()`` mode.
        shape: ``(C, H, W)`` of an image.
        device: of the networks.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
    """
    if device.type != "cuda" or precision == "bf16" or len(nets) < 2:
        return False
    shapes = StackedNets([copy.deepcopy(net).to("meta") for net in nets[:2]])
    images = torch.empty(2, 4, *shape, device="meta")
    try:
        shapes.losses(images, torch.empty(2, 4, dtype=torch.int64, device="meta"))
    except RuntimeError:
        return False
    return True
