"""Cells and their identities: what determines a result, and nothing else.

A cell's id is the hash of the canonical JSON of its identity. Paths, device, executor and display
are not in it. Two cells with equal identities are one cell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.ledger.record import SCHEMA_VERSION
from bench.support.seeds import derive_seed


def hash_identity(identity: Mapping[str, Any]) -> str:
    """Return the first 80 bits of the identity's SHA-256, in hexadecimal."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class DistilCell:
    """One distillation: a method, with parameters, on a dataset, for an IPC, with a seed index.

    ``profile`` and ``changed`` are labels for people; they follow from the parameters.
    """

    method: str
    method_version: int
    params: Mapping[str, Any]
    dataset: str
    sha256: str
    ipc: int | None
    arch: str | None
    seed: int
    precision: str
    profile: str
    changed: str = ""
    prerequisite: DistilCell | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the distilled set."""
        return {
            "schema": SCHEMA_VERSION,
            "kind": "distil",
            "method": self.method,
            "method_version": self.method_version,
            "params": dict(self.params),
            "dataset": self.dataset,
            "sha256": self.sha256,
            "ipc": self.ipc,
            "arch": self.arch,
            "seed": self.seed,
            "precision": self.precision,
            "prerequisite": self.prerequisite.id if self.prerequisite else None,
        }

    @cached_property
    def id(self) -> str:
        """The identity, hashed."""
        return hash_identity(self.identity)

    @property
    def random_seed(self) -> int:
        """The seed of everything the method draws.

        Parameters are left out on purpose: two settings of one method start from the same draw.
        """
        return derive_seed(
            "distil", self.method, self.dataset, self.ipc, self.arch or "", self.seed
        )

    @property
    def title(self) -> str:
        """One line for screens and logs."""
        ipc = "" if self.ipc is None else f" ipc {self.ipc}"
        return f"{self.method} on {self.dataset}{ipc} seed {self.seed}"


@dataclass(frozen=True)
class EvaluateCell:
    """One evaluation: a distilled set, at an IPC and mode, by networks of an architecture."""

    distil: DistilCell
    ipc: int | None
    mode: str
    arch: str
    protocol: str
    protocol_version: int
    nets: int
    precision: str

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the accuracies."""
        return {
            "schema": SCHEMA_VERSION,
            "kind": "evaluate",
            "distil": self.distil.id,
            "ipc": self.ipc,
            "mode": self.mode,
            "arch": self.arch,
            "protocol": self.protocol,
            "protocol_version": self.protocol_version,
            "nets": self.nets,
            "seed": self.distil.seed,
            "precision": self.precision,
        }

    @cached_property
    def id(self) -> str:
        """The identity, hashed."""
        return hash_identity(self.identity)

    @property
    def net_seeds(self) -> list[int]:
        """One seed per network.

        Neither the method nor the IPC is part of them, so comparisons are paired: every method's
        k-th network starts from the same weights.
        """
        base = ("evaluate", self.distil.dataset, self.arch, self.distil.seed)
        return [derive_seed(*base, net) for net in range(self.nets)]

    @property
    def title(self) -> str:
        """One line for screens and logs."""
        ipc = "" if self.ipc is None else f" ipc {self.ipc}"
        return (
            f"{self.distil.method} on {self.distil.dataset}{ipc} {self.mode}, {self.arch}, "
            f"{self.protocol}, seed {self.distil.seed}"
        )


Cell = DistilCell | EvaluateCell
