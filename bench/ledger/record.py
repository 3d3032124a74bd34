"""The record of a cell: everything that is known about one distillation or one evaluation.

Schema, version 1. Times are in seconds, sizes in bytes, accuracies in percent.

    schema_version  1
    id              the cell's identity, hashed
    kind            "distil" | "evaluate"
    status          "ok" | "failed" | "skipped"
    reason          why it failed or was skipped; null if ok
    identity        what determines the result (see bench.ledger.cell)
    labels          for people: profile, parameters changed from it, protocol, dataset note
    result          distil: artefact sha256, kind, steps, last scalars; evaluate: accuracies, losses
    budget          stored_bytes; evaluate: also nominal_ipc, distinct_images, training_steps
    cost            seconds, and of a distillation those of what it started from
    environment     versions, device, threads, git commit and whether dirty, command line
    finished        UTC, ISO 8601
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.ledger.cell import SCHEMA_VERSION, is_cell_id

# Of a name or a label; to draw one takes time.
_MOST_LETTERS = 4000
# A distilled set's file in its cell's folder, and the tensors for methods that start from it.
ARTEFACT, BYPRODUCTS = "artefact.safetensors", "byproducts.safetensors"
STATUSES = ("ok", "failed", "skipped")
_KINDS = ("distil", "evaluate")
_TOO_LARGE = 2**63  # for the 64-bit columns of a frame
_COUNT = (int, type(None))
# What readers of a store rely on, by the field that holds it; numbers are checked beside it.
_NEEDED: dict[str, dict[str, Any]] = {
    "labels": {"dataset": str, "method": str, "profile": str, "seed": int},
    "identity": {"ipc": _COUNT},
}
_NEEDED_OK: dict[str, dict[str, dict[str, Any]]] = {
    "distil": {
        "identity": {"arch": (str, type(None))},
        "budget": {"stored_bytes": int},
        "cost": {"seconds": float, "total_seconds": float, "total_steps": int},
    },
    "evaluate": {
        "identity": {"mode": str, "arch": str, "precision": str, "distil": str},
        "labels": {
            "dataset_note": str, "dataset_sha256": str, "n_test": int, "changed": str,
            "protocol": str, "distil_arch": str, "method_version": int,
        },
        "result": {"accuracies": list, "selection": str},
        "budget": {
            "nominal_ipc": _COUNT, "stored_bytes": int, "distinct_images": int,
            "training_steps": int,
        },
        "cost": {"seconds": float, "distil_seconds": float, "distil_steps": int},
        "environment": {"device": str},
    },
}  # fmt: skip


class OtherSchemaError(ValueError):
    """A record of another version of the schema: not damaged, but not for this bench."""


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

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each file that the record vouches for, by its name in the cell's folder."""
        if self.kind != "distil" or self.status != "ok":
            return {}
        files = {ARTEFACT: str(self.result.get("artefact_sha256"))}
        if "byproducts_sha256" in self.result:
            files[BYPRODUCTS] = str(self.result["byproducts_sha256"])
        return files

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Validate and rebuild a record.

        Raises:
            OtherSchemaError: it is of another version of the schema.
            ValueError: naming the field that is missing or wrong.
        """
        if not isinstance(data, dict):
            raise ValueError("a record is a JSON object")
        version = data.get("schema_version")
        if type(version) is not int:
            raise ValueError("field 'schema_version' is missing or of the wrong type")
        if version != SCHEMA_VERSION:
            raise OtherSchemaError(_what_to_do(version, data.get("environment")))
        _check_fields(data, cls._types())
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
        if (self.reason is None) != (self.status == "ok"):
            raise ValueError(f"reason {self.reason!r} does not go with status '{self.status}'")
        needed = [_NEEDED, _NEEDED_OK[self.kind]] if self.status == "ok" else [_NEEDED]
        for tables in needed:
            for table, fields in tables.items():
                _check_fields(getattr(self, table), fields, f"{table}.")
        self._check_identity()
        for name, value in {**self.cost, **self.budget}.items():
            if value is not None and not _is_amount(value):
                raise ValueError(f"cost or budget '{name}' is {value!r}, not a number from 0 up")
        if self.kind == "evaluate" and self.status == "ok":
            _check_accuracies(self.result["accuracies"])

    def _check_identity(self) -> None:
        for name in ("distil", "prerequisite"):
            value = self.identity.get(name)
            if value is not None and not is_cell_id(value):
                raise ValueError(f"identity.{name} is {value!r:.80}, not the id of a cell")
        for name in ("mode", "arch"):
            if not isinstance(self.identity.get(name, ""), str | None):
                raise ValueError(f"field 'identity.{name}' is of the wrong type")
        for name, value in {**self.identity, **self.labels}.items():
            if isinstance(value, str) and len(value) > _MOST_LETTERS:
                raise ValueError(f"'{name:.50}' has {len(value):,} letters")


def _what_to_do(version: int, environment: Any) -> str:
    packages = environment.get("packages") if isinstance(environment, dict) else None
    wrote = packages.get("distillation-bench") if isinstance(packages, dict) else None
    release = f" {wrote}" if isinstance(wrote, str) else ""
    text = f"schema_version {version}, this bench reads {SCHEMA_VERSION}"
    if version > SCHEMA_VERSION:
        return f"{text}: upgrade to bench{release or ' of a later release'} to read it"
    return (
        f"{text}: read it with bench{release or ' of an earlier release'}; this bench has cells of "
        "its own and computes them anew, best in another --store"
    )


def _check_fields(data: Mapping[str, Any], types: Mapping[str, Any], prefix: str = "") -> None:
    for name, kind in types.items():
        value = data.get(name, ...)
        if type(value) is kind and kind is not int:
            continue  # as nearly always; a store has many thousands of records
        right = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if not right or isinstance(value, bool):
            raise ValueError(f"field '{prefix}{name}' is missing or of the wrong type")
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise ValueError(f"field '{prefix}{name}' is out of range")


def _check_accuracies(accuracies: Sequence[Any]) -> None:
    if not accuracies:
        raise ValueError("result.accuracies is empty")
    for value in accuracies:
        if not _is_amount(value) or value > 100:
            raise ValueError(f"result.accuracies holds {value!r}, which is no percentage")


def _is_amount(value: Any) -> bool:
    if type(value) is float:
        return 0 <= value < _TOO_LARGE
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and 0 <= value < _TOO_LARGE
