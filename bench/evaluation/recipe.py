"""A protocol as it is applied to one distilled set and one architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from bench.datasets.spec import DatasetSpec
from bench.evaluation import protocols
from bench.networks.architecture import build_network
from bench.networks.precision import PRECISIONS
from bench.support.errors import BenchError, UnknownNameError
from bench.support.seeds import derive_seed, global_seed


@dataclass(frozen=True)
class Recipe:
    """A protocol as it is applied to one distilled set and architecture.

    Attributes:
        spec: the dataset.
        arch: an architecture as users write it.
        protocol: the named recipe.
        learning_rate: the protocol's, or the one that was learned with the set.
        epochs: the protocol's, or those that the set asks for.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
        temperature: at which soft labels are matched; ``None`` for plain cross-entropy.

    Raises:
        BenchError: for an unknown precision, or fewer than 1 epoch.
    """

    spec: DatasetSpec
    arch: str
    protocol: protocols.Protocol
    learning_rate: float
    epochs: int
    precision: str
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)
        if self.epochs < 1:
            raise BenchError(f"an evaluation needs at least 1 epoch, {self.epochs} were asked for")

    @classmethod
    def of(
        cls,
        spec: DatasetSpec,
        arch: str,
        protocol: protocols.Protocol,
        *,
        learning_rate: float | None = None,
        epochs: int | None = None,
        precision: str = "fp32",
        temperature: float | None = None,
    ) -> Self:
        """Return a recipe; what is ``None`` is the protocol's."""
        rate = protocol.lr if learning_rate is None else learning_rate
        passes = protocol.epochs if epochs is None else epochs
        return cls(spec, arch, protocol, rate, passes, precision, temperature)

    @property
    def batch_size(self) -> int:
        """Return the images of a step: the protocol's, or one of each class."""
        return self.protocol.batch_size or self.spec.num_classes

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        return self.protocol.rate(epoch, self.epochs, self.learning_rate)

    def initial_network(self, seed: int, device: torch.device) -> nn.Module:
        """Build the network that ``seed`` stands for, in ``train()`` mode.

        It is initialised on the CPU, so that every device starts from the same weights.
        """
        with global_seed(derive_seed(seed, "init")):
            return build_network(self.arch, self.spec).to(device).train()
