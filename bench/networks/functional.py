"""A network as a function of its parameters, for methods that differentiate through training.

Gradient matching (DC, DSA) compares the gradients that real and distilled images give, and
trajectory matching (MTT) takes steps of gradient descent that it must see through: both need
gradients of gradients, with parameters that are plain tensors.

    net = FunctionalNetwork(ctx.network(arch))
    params = net.parameters()
    target = net.gradients(params, real, labels)
    matched = net.gradients(params, distilled, labels, create_graph=True)
    distance(matched, target).backward()  # reaches the distilled images

**Batch normalisation.** Each layer keeps the mode that it had when the network was handed over. In
``train()`` it normalises with the statistics of the images of one pass: one call, or in
:meth:`FunctionalNetwork.per_class_gradients` one class, as the field's code does. In ``eval()`` it
uses its running statistics of that moment (DC freezes them so). No pass writes running statistics.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Parameters = Mapping[str, Tensor]


def batches_classes(device: torch.device) -> bool:
    """Return whether the gradients of many classes are computed in one pass under ``vmap``.

    On a GPU, which a small batch leaves idle (expected, not measured). On a CPU ``vmap`` took twice
    as long as a loop (ConvNet-3, 10 classes of 10 images, gradients of gradients too). Not under
    autocast, which under ``vmap`` forgets some operations (pytorch issues 105442 and 192617).
    """
    return device.type == "cuda" and not torch.is_autocast_enabled("cuda")


class FunctionalNetwork:
    """Logits, losses and gradients of a network at parameters that are given in each call.

    Parameters are mappings from the network's names to tensors of its shapes, on its device; they
    may have any history. Images are float ``(N, C, H, W)``, normalised; labels are int64 ``(N,)``
    or float class probabilities ``(N, num_classes)``. Several threads may call one object.

    Args:
        network: on its device; its modes and buffers are copied, and it is not changed.
        slice_size: images per pass of a gradient, where classes are not batched; only for networks
            that treat every sample alone, to keep a CPU's cache warm. ``None`` never divides.
    """

    def __init__(self, network: nn.Module, *, slice_size: int | None = None) -> None:
        self._network = _without_writes(network)
        self._slice = slice_size
        self._idle: list[nn.Module] = []
        self._shapes = {name: p.shape for name, p in network.named_parameters()}

    def parameters(self) -> dict[str, Tensor]:
        """Return copies of the network's parameters: leaves that require a gradient."""
        named = self._network.named_parameters()
        return {name: p.detach().clone().requires_grad_() for name, p in named}

    def flatten(self, params: Parameters) -> Tensor:
        """Return all parameters (or gradients) as one vector ``(P,)``, in the network's order."""
        return torch.cat([params[name].reshape(-1) for name in self._shapes])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Return views of a vector ``(P,)``: the inverse of :meth:`flatten`, differentiable."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), torch.split(vector, sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def logits(self, params: Parameters, images: Tensor) -> Tensor:
        """Return ``(N, num_classes)``."""
        with self._borrowed() as network:
            logits: Tensor = torch.func.functional_call(network, dict(params), (images,))
        return logits

    def loss(self, params: Parameters, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, 0-d; float32 at least, also under autocast."""
        return self._part(params, images, labels, len(images))

    def gradients(
        self, params: Parameters, images: Tensor, labels: Tensor, *, create_graph: bool = False
    ) -> dict[str, Tensor]:
        """Return the gradient of :meth:`loss` for every parameter.

        Args:
            params: where; with ``create_graph``, what they were computed from is reached too.
            images: ``(N, C, H, W)``.
            labels: of the images.
            create_graph: whether the result can be differentiated for images, labels and
                parameters; otherwise it is detached.
        """
        size = self._slice or len(images)
        parts = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        at = {name: _leaf(p, create_graph) for name, p in params.items()}
        total: list[Tensor] = []
        for part, wanted in parts:
            with torch.enable_grad():
                loss = self._part(at, part, wanted, len(images))
            found = torch.autograd.grad(loss, list(at.values()), create_graph=create_graph)
            total = [a + b for a, b in zip(total, found, strict=True)] if total else list(found)
        return dict(zip(at, total, strict=True))

    def per_class_gradients(
        self, params: Parameters, images: Tensor, labels: Tensor, *, create_graph: bool = False
    ) -> dict[str, Tensor]:
        """Return :meth:`gradients` of each class on its own, stacked.

        Args:
            params: shared by all classes.
            images: ``(classes, N, C, H, W)``.
            labels: int64 ``(classes, N)`` or float ``(classes, N, num_classes)``.
            create_graph: as in :meth:`gradients`.

        Returns:
            Tensors ``(classes, *shape of the parameter)``.
        """
        if batches_classes(images.device):
            return self._batched(params, images, labels, create_graph)
        each = [
            self.gradients(params, x, y, create_graph=create_graph)
            for x, y in zip(images, labels, strict=True)
        ]
        return {name: torch.stack([one[name] for one in each]) for name in params}

    @staticmethod
    def descend(
        params: Parameters, gradients: Parameters, learning_rate: float | Tensor
    ) -> dict[str, Tensor]:
        """Return the parameters after a step of plain gradient descent, as new tensors.

        Differentiable for all three arguments: a chain of :meth:`gradients` with ``create_graph``
        and such steps is an unrolled inner loop.
        """
        return {name: p - learning_rate * gradients[name] for name, p in params.items()}

    def _batched(
        self, params: Parameters, images: Tensor, labels: Tensor, create_graph: bool
    ) -> dict[str, Tensor]:
        """Give every class parameters of its own, and differentiate for those outside ``vmap``.

        ``vmap`` of ``torch.func.grad`` would do with one set of parameters, but its gradients of
        gradients are wrong for batch and layer normalisation: it treats their statistics as
        constants (pytorch/functorch issue 534; 1 % off in a ResNet-10, torch 2.15).
        """
        stacked = {
            name: _leaf(p.expand(len(images), *p.shape), create_graph) for name, p in params.items()
        }
        with torch.enable_grad():
            total = torch.func.vmap(self.loss)(stacked, images, labels).sum()
        found = torch.autograd.grad(total, list(stacked.values()), create_graph=create_graph)
        return dict(zip(stacked, found, strict=True))

    def _part(self, params: Parameters, images: Tensor, labels: Tensor, total: int) -> Tensor:
        """Return the summed loss of images, divided by ``total``."""
        logits = self.logits(params, images)
        exact = logits.float() if logits.element_size() < 4 else logits
        return F.cross_entropy(exact, labels, reduction="sum") / total

    @contextmanager
    def _borrowed(self) -> Iterator[nn.Module]:
        """Lend a network that no other thread uses: a call puts parameters into it for a while."""
        try:
            network = self._idle.pop()
        except IndexError:
            network = _sharing_parameters(self._network)
        try:
            yield network
        finally:
            self._idle.append(network)


def _leaf(value: Tensor, create_graph: bool) -> Tensor:
    """Return a tensor to differentiate for; its history is kept only if a graph is wanted."""
    keep = create_graph and value.requires_grad
    return value if keep else value.detach().requires_grad_()


def _sharing_parameters(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network, {id(p): p for p in network.parameters()})


def _without_writes(network: nn.Module) -> nn.Module:
    """Return a copy whose batch norms write no running statistics, and read them in ``eval()``."""
    mine = _sharing_parameters(network)
    for module in mine.modules():
        if isinstance(module, _BatchNorm):
            # Untracked, one in train() ignores its buffers; one in eval() reads what it has.
            module.track_running_stats = False
    return mine
