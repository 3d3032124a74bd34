"""The record of a cell: everything that is known about one distillation or one evaluation.

Schema, version 1. Times are in seconds, sizes in bytes, accuracies in percent.

    schema_version  1
    id              the cell's identity, hashed
    kind            "distil" | "evaluate"
    status          "ok" | "failed" | "skipped"
    reason          why it failed or was skipped; null if ok
    identity        what determines the result (see bench.grid)
    labels          for people: profile, parameters changed from it, protocol, dataset note
    result          distil: artefact sha256, kind, steps, last scalars; evaluate: accuracies, losses
    budget          nominal_ipc, stored_bytes, distinct_images, training_steps (evaluate only)
    cost            seconds, and of a distillation those of what it started from
    environment     versions, device, threads
    finished        UTC, ISO 8601
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 1
STATUSES = ("ok", "failed", "skipped")
_KINDS = ("distil", "evaluate")


@dataclass(frozen=True)
class Record:
    """One cell's record; see the module's docstring for each field."""

    id: str
    kind: str
    status: str
    identity: Mapping[str, Any]
    labels: Mapping[str, Any]
    reason: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Validate and rebuild a record.

        Raises:
            ValueError: naming the field that is missing or wrong.
        """
        if not isinstance(data, dict):
            raise ValueError("a record is a JSON object")
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {version!r}, this bench reads {SCHEMA_VERSION}")
        for name, kind in cls._types().items():
            if not isinstance(data.get(name), kind):
                raise ValueError(f"field '{name}' is missing or of the wrong type")
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        record = cls(**data)
        record._check_values()
        return record

    @staticmethod
    def _types() -> dict[str, Any]:
        texts = dict.fromkeys(("id", "kind", "status", "finished"), str)
        tables = dict.fromkeys(
            ("identity", "labels", "result", "budget", "cost", "environment"), dict
        )
        return {**texts, **tables, "reason": (str, type(None))}

    def _check_values(self) -> None:
        if self.kind not in _KINDS or self.status not in STATUSES:
            raise ValueError(f"kind '{self.kind}' or status '{self.status}' is not allowed")
        if self.status == "ok" and self.kind == "evaluate":
            accuracies = self.result.get("accuracies")
            if not isinstance(accuracies, list) or not accuracies:
                raise ValueError("result.accuracies is missing")
            if not all(isinstance(a, float) and 0 <= a <= 100 for a in accuracies):
                raise ValueError("result.accuracies holds what is no percentage")
        seconds = self.cost.get("seconds", 0.0)
        if not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ValueError("cost.seconds is no number")
