"""Cells: what determines a result, as data that can travel, and the identity that follows from it.

A cell's id is the hash of the canonical JSON of its identity. Paths, device, executor and display
are not in it. Two cells with equal identities are one cell.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.support.seeds import distillation_seed

# Part of every identity: a change makes every cell a new one.
SCHEMA_VERSION = 1
# How an evaluation stores images that it leaves as the method made them.
AS_MADE = "made"
# The profile of a distilled set that was made elsewhere and imported.
IMPORTED = "imported"
# What an id looks like, as a regular expression; also the plain name of the cell's folder.
CELL_ID = r"^[0-9A-Za-z_-]{1,64}\Z"
_CELL_ID = re.compile(CELL_ID)


def is_cell_id(text: object) -> bool:
    """Return whether a value can be a cell's id, which is also the plain name of its folder."""
    return isinstance(text, str) and _CELL_ID.match(text) is not None


def hash_identity(identity: Mapping[str, Any]) -> str:
    """Return the first 80 bits of the identity's SHA-256, in hexadecimal."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def percent_mark(percent: int | None) -> str:
    """Return what tells a set after this percentage of the steps from the final one."""
    return "" if percent is None else f"after {percent} % of the steps"


@dataclass(frozen=True)
class DistilCell:
    """One distillation: a method, with parameters, on a dataset, for an IPC, with a seed index.

    Attributes:
        method: its registered name.
        method_version: raised by its author when its results change.
        params: every parameter by name, as plain JSON values.
        dataset: its registered name.
        sha256: names the dataset's content: ``content``, or what earlier versions called the same.
        ipc: images per class; ``None`` where one set serves every IPC.
        arch: the architecture to distil with; ``None`` where the method uses none.
        seed: the seed index, from 0 up.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        profile: a label for people, not part of the identity: it follows from the parameters.
        changed: likewise, the parameters that differ from the profile's.
        prerequisite: the distillation whose result the method starts from.
        content: of the dataset, see :mod:`bench.datasets.content`; empty for ``sha256``.
        sources: hashes of the plugins that it and its prerequisites depend on, by what they are;
            not part of the identity: where they change, the cell is computed again in its place.
        percent: the set as it is after this percentage of the steps; ``None`` after all of them.
        earlier: the same distillation after fewer steps, from whose state this one goes on if it
            is at hand; not part of the identity.
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
    content: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    percent: int | None = None
    earlier: DistilCell | None = None

    @property
    def kind(self) -> str:
        """The kind of cell, as records name it."""
        return "distil"

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the distilled set, as plain JSON values."""
        percent = {} if self.percent is None else {"percent": self.percent}
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
            **percent,
        }

    @property
    def dependency(self) -> DistilCell | None:
        """The cell that must be done, or have failed, before this one starts."""
        return self.earlier or self.prerequisite

    @property
    def depends_on(self) -> str | None:
        """The id of that cell."""
        return self.dependency.id if self.dependency else None

    @property
    def percent_mark(self) -> str:
        """What tells its set from the final one; empty for that."""
        return percent_mark(self.percent)

    @cached_property
    def id(self) -> str:
        """The identity, hashed."""
        return hash_identity(self.identity)

    @property
    def random_seed(self) -> int:
        """The seed of everything the method draws; an imported set brings its own, or 0."""
        if self.profile == IMPORTED:
            return int(self.params.get("random_seed", 0))
        return distillation_seed(self.method, self.dataset, self.ipc, self.arch, self.seed)

    @property
    def title(self) -> str:
        """One line for screens and logs."""
        ipc = "" if self.ipc is None else f" ipc {self.ipc}"
        return f"{self.method} on {self.dataset}{ipc} seed {self.seed}{_clause(self.percent_mark)}"


@dataclass(frozen=True)
class EvaluateCell:
    """One evaluation: networks of an architecture, trained on a distilled set at an IPC and mode.

    Attributes:
        distil: the distillation that makes the set.
        ipc: images per class; ``None`` where the set is evaluated as a whole.
        mode: ``stored``, ``stream`` or ``frozen``.
        arch: the architecture of the networks.
        protocol: the protocol's name.
        protocol_version: its version.
        nets: how many networks are trained.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        sources: as of a distillation; those of the distilled set are included.
        stored_as: the type in which the set's images are stored before they are trained on:
            ``made`` as the method makes them, ``float16`` or ``uint8``.
    """

    distil: DistilCell
    ipc: int | None
    mode: str
    arch: str
    protocol: str
    protocol_version: int
    nets: int
    precision: str
    sources: Mapping[str, str] = field(default_factory=dict)
    stored_as: str = AS_MADE

    @property
    def kind(self) -> str:
        """The kind of cell, as records name it."""
        return "evaluate"

    @property
    def dataset(self) -> str:
        """The registered name of the dataset."""
        return self.distil.dataset

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the accuracies, as plain JSON values."""
        stored = {} if self.stored_as == AS_MADE else {"stored_as": self.stored_as}
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
            **stored,
        }

    @property
    def dependency(self) -> DistilCell:
        """The cell that must be done before this one starts."""
        return self.distil

    @property
    def depends_on(self) -> str:
        """The id of that cell."""
        return self.distil.id

    @property
    def stored_mark(self) -> str:
        """What tells its result from that of the set as it was made; empty for that itself."""
        return "" if self.stored_as == AS_MADE else f"stored as {self.stored_as}"

    @cached_property
    def id(self) -> str:
        """The identity, hashed."""
        return hash_identity(self.identity)

    @property
    def title(self) -> str:
        """One line for screens and logs."""
        ipc = "" if self.ipc is None else f" ipc {self.ipc}"
        return (
            f"{self.distil.method} on {self.distil.dataset}{ipc} {self.mode}, {self.arch}, "
            f"{self.protocol}-v{self.protocol_version}, seed {self.distil.seed}"
            f"{_clause(self.distil.percent_mark)}"
            f"{_clause(self.stored_mark)}"
        )


def _clause(text: str) -> str:
    return f", {text}" if text else ""


Cell = DistilCell | EvaluateCell
