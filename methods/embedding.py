"""The embedding that the coresets choose in: a network trained on the whole real set.

The papers of the field say no more of it than that. Its recipe here is the evaluation's of Dataset
Condensation (SGD 0.01, momentum 0.9, weight decay 5e-4, batch 256) without augmentation.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import Context, SelectionMethod, Task, param
from methods.compute import autocast, embed, parallel, slice_size

_VERSION = 1
_BATCH = 256


@dataclass(frozen=True)
class EmbeddingParams:
    """What the embedding's training leaves open; 20 epochs is this benchmark's own choice."""

    embedding_epochs: float = param(
        20.0, help="epochs of training on the whole real set; fractions allowed, 0 = untrained",
        min=0,
    )  # fmt: skip


def epoch_batches(n: int, epochs: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of at most 256 indices below ``n``, for ``epochs`` (rounded up)."""
    steps = math.ceil(epochs * math.ceil(n / _BATCH))
    while steps > 0:
        order = torch.randperm(n, generator=generator, device=generator.device)
        batches = torch.split(order, _BATCH)[:steps]
        yield from batches
        steps -= len(batches)


def train_embedding(arch: str, epochs: float, ctx: Context) -> dict[str, Tensor]:
    """Train a fresh network on the whole real set and return its weights and buffers."""
    network = ctx.network(arch).train()
    weights = list(network.parameters())
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=5e-4)
    size = slice_size(arch, ctx) or _BATCH
    for batch in epoch_batches(len(ctx.real), epochs, ctx.generator("batches")):

        def gradient(part: Tensor, n: int = len(batch)) -> tuple[Tensor, ...]:
            with torch.enable_grad(), autocast(ctx):
                logits = network(ctx.real.gather(part))
            loss = F.cross_entropy(logits.float(), ctx.real.labels[part], reduction="sum") / n
            return torch.autograd.grad(loss, weights)

        slices = parallel(gradient, torch.split(batch, size), ctx)
        for weight, parts in zip(weights, zip(*slices, strict=True), strict=True):
            weight.grad = torch.stack(parts).sum(0)
        optimizer.step()
    return network.state_dict()


def shared_embedding(arch: str, epochs: float, ctx: Context) -> nn.Module:
    """Return the trained network in ``eval()`` mode, made once and shared.

    There is one per dataset, architecture, number of epochs and seed index: every coreset method
    and every IPC uses the same, and repeated seeds differ by it, as choosing draws nothing.
    """
    key = {"what": "embedding", "version": _VERSION, "arch": arch, "epochs": epochs,
           "seed_index": ctx.seed_index}  # fmt: skip
    weights = ctx.shared(key, lambda inner: train_embedding(arch, epochs, inner))
    network = ctx.network(arch, "embedding").eval().requires_grad_(False)
    network.load_state_dict(weights)
    return network


def class_features(network: nn.Module, label: int, ctx: Context) -> Tensor:
    """Embed every real image of one class, in ascending order of index: float32 ``(N, D)``.

    Slices are valid for every architecture, as the network is in ``eval()`` mode.
    """
    size = 64 if ctx.device.type == "cpu" else 2048

    @torch.no_grad()
    def features(part: Tensor) -> Tensor:
        return embed(network, ctx.real.gather(part), ctx)

    parts = torch.split(ctx.real.class_indices[label], size)
    return torch.cat(parallel(features, parts, ctx))


class EmbeddingSelection(SelectionMethod):
    """A coreset that chooses each class by itself, in the embedding; write :meth:`order` only."""

    Params: ClassVar[type] = EmbeddingParams
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "lite": {"embedding_epochs": 1.0},
        "smoke": {"embedding_epochs": 0.05},
    }
    gives_up: ClassVar[Mapping[str, str]] = {
        "lite": "an embedding trained for 1 epoch in place of 20",
        "smoke": "an embedding trained for a twentieth of an epoch: shows only that the path works",
    }

    @staticmethod
    @abstractmethod
    def order(features: Tensor, n: int) -> Tensor:
        """Choose ``n`` of the rows ``(N, D)``: int64 ``(n,)``, distinct."""

    def select(self, task: Task, ctx: Context) -> Tensor:
        """Choose class by class, with one class's features in memory at a time."""
        assert task.arch is not None
        assert task.ipc is not None
        network = shared_embedding(task.arch, task.params.embedding_epochs, ctx)
        chosen = []
        for label, pool in enumerate(ctx.real.class_indices):
            order = self.order(class_features(network, label, ctx), task.ipc)
            chosen.append(pool[order])
        return torch.cat(chosen)
