"""The embedding that the coresets choose in: a network trained on the whole real set.

The papers of the field say no more of it than that; the recipe is in
:mod:`methods.shared.real_training`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.plugin import Context, Profile, SelectionMethod, param
from bench.plugin.compute import passes
from methods.shared.real_training import train_on_real

_VERSION = 1


@dataclass(frozen=True)
class EmbeddingParams:
    """What the embedding's training leaves open; 20 epochs is this benchmark's own choice."""

    embedding_epochs: float = param(
        20.0, help="epochs of training on the whole real set; fractions allowed, 0 = untrained",
        min=0,
    )  # fmt: skip


def shared_embedding(arch: str, epochs: float, ctx: Context) -> nn.Module:
    """Return the trained network in ``eval()`` mode, made once and shared.

    There is one per dataset, architecture, number of epochs and seed index: every coreset method
    and every IPC uses the same, and repeated seeds differ by it, as choosing draws nothing.
    """
    key = {"what": "embedding", "version": _VERSION, "arch": arch, "epochs": epochs,
           "seed_index": ctx.seed_index}  # fmt: skip
    weights = ctx.shared(key, lambda inner: train_on_real(arch, epochs, inner).state_dict())
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
        return passes.embed(network, ctx.real.gather(part), ctx)

    parts = torch.split(ctx.real.class_indices[label], size)
    return torch.cat(passes.parallel(features, parts, ctx))


class EmbeddingSelection(SelectionMethod[EmbeddingParams]):
    """A coreset that chooses each class by itself, in the embedding; write :meth:`order` only."""

    Params = EmbeddingParams
    profiles = {
        "lite": Profile(
            {"embedding_epochs": 1.0},
            "an embedding trained for 1 epoch in place of 20",
        ),
        "smoke": Profile(
            {"embedding_epochs": 0.05},
            "an embedding trained for a twentieth of an epoch: shows only that the path works",
        ),
    }

    @staticmethod
    @abstractmethod
    def order(features: Tensor, n: int) -> Tensor:
        """Choose ``n`` of the rows ``(N, D)``: int64 ``(n,)``, distinct."""

    def select(self) -> Tensor:
        """Choose class by class, with one class's features in memory at a time."""
        network = shared_embedding(self.arch, self.params.embedding_epochs, self.ctx)
        chosen = []
        for label, pool in enumerate(self.ctx.real.class_indices):
            order = self.order(class_features(network, label, self.ctx), self.ipc)
            chosen.append(pool[order])
        return torch.cat(chosen)
