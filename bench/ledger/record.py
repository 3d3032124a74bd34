"""The record of a cell: everything that is known about one distillation or one evaluation.

On disk it is a JSON object with the fields of :class:`Record`, except that its outcome stands there
as three tables, ``result``, ``budget`` and ``cost``; all are empty, but for the seconds of a
failure, where the cell has no outcome. The types in :mod:`bench.ledger.record_tables` and
:mod:`bench.support.outcomes` are the only description of the schema: records are validated against
them before they are written and after they are read. Times are in seconds, sizes in bytes,
accuracies in percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from bench.ledger.cell import SCHEMA_VERSION, hash_identity
from bench.ledger.record_tables import (
    DistilOutcome,
    Environment,
    EvaluationOutcome,
    Identity,
    Kind,
    Labels,
    Outcome,
    Status,
    convert,
)
from bench.support.outcomes import Seconds, plain

# A distilled set's file in its cell's folder, and the tensors for methods that start from it.
ARTEFACT, BYPRODUCTS = "artefact.safetensors", "byproducts.safetensors"
# What is wrong with an evaluation of another file than the distillation recorded.
OTHER_SET = "it evaluated another distilled set than the one that the store records"
_OUTCOMES: dict[str, type[Outcome]] = {"distil": DistilOutcome, "evaluate": EvaluationOutcome}
_TABLES = tuple(each.name for each in fields(DistilOutcome))
# What readers of a cell that succeeded rely on, beside what every record has.
_NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "distil": {"identity": ("arch",)},
    "evaluate": {
        "identity": ("distil", "mode", "arch", "precision"),
        "labels": (
            "method_version", "dataset_sha256", "dataset_note", "n_test", "changed",
            "distil_arch", "protocol",
        ),
        "environment": ("device",),
        "cost": ("distil_seconds", "distil_steps"),
    },
}  # fmt: skip


class OtherSchemaError(ValueError):
    """A record of another version of the schema: not damaged, but not for this bench."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One cell's record.

    Attributes:
        id: the cell's identity, hashed.
        kind: ``distil`` or ``evaluate``.
        status: ``ok``, ``failed`` or ``skipped``.
        reason: why it failed or was skipped; ``None`` if it is ok.
        identity: what determines the result.
        labels: what people read of the cell.
        outcome: what the cell came to; ``None`` unless it is ok.
        seconds: wall time of a cell that failed, if it is known.
        environment: the machine and the versions.
        finished: when the cell ended; UTC, ISO 8601.
    """

    id: str
    kind: Kind
    status: Status
    reason: str | None
    identity: Identity
    labels: Labels
    outcome: Outcome | None = None
    seconds: Seconds | None = None
    environment: Environment = field(default_factory=Environment)
    finished: str = ""

    @property
    def wall_seconds(self) -> float:
        """The wall time of the cell, 0 where it is not known."""
        return self.outcome.cost.seconds if self.outcome is not None else self.seconds or 0.0

    @property
    def sources(self) -> Mapping[str, str] | None:
        """The hashes of the plugins that computed it; ``None`` where they were not recorded."""
        return self.labels.get("sources")

    @property
    def source(self) -> str:
        """All of these hashes as one, of 8 digits; empty where there are none."""
        return hash_identity(self.sources)[:8] if self.sources else ""

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each file that the record vouches for, by its name in the cell's folder."""
        if not isinstance(self.outcome, DistilOutcome):
            return {}
        result = self.outcome.result
        files = {ARTEFACT: result.artefact_sha256}
        if result.byproducts_sha256 is not None:
            files[BYPRODUCTS] = result.byproducts_sha256
        return files

    def evaluates_another_than(self, distilled: Record) -> bool:
        """Return whether it evaluated another file than the one that a distillation recorded."""
        if not isinstance(self.outcome, EvaluationOutcome):
            return False
        evaluated, recorded = self.outcome.result.artefact_sha256, distilled.files.get(ARTEFACT)
        return evaluated is not None and recorded is not None and evaluated != recorded

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        tables: dict[str, Any] = {name: {} for name in _TABLES}
        if self.outcome is not None:
            tables = {name: plain(getattr(self.outcome, name)) for name in _TABLES}
        elif self.seconds is not None:
            tables["cost"] = {"seconds": self.seconds}
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["outcome"], values["seconds"]
        return {"schema_version": SCHEMA_VERSION, **values, **tables}

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Validate and rebuild a record; keys that the schema does not have are left out.

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
        disk = convert(data, _Disk)
        unknown = data.keys() - _FIELDS
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        if (disk.reason is None) != (disk.status == "ok"):
            raise ValueError(f"reason {disk.reason!r} does not go with status '{disk.status}'")
        outcome, seconds = None, None
        if disk.status == "ok":
            _check_needed(data, disk.kind)
            outcome = convert({name: data[name] for name in _TABLES}, _OUTCOMES[disk.kind])
        else:
            seconds = convert(disk.cost, _FailureCost).seconds
        # These keep what they hold beyond the schema: the identity is hashed, labels are open.
        return cls(
            id=disk.id, kind=disk.kind, status=disk.status, reason=disk.reason,
            identity=data["identity"], labels=data["labels"], outcome=outcome, seconds=seconds,
            environment=data["environment"], finished=disk.finished,
        )  # fmt: skip


class _Disk(msgspec.Struct):
    """The fields of a record's file."""

    schema_version: int
    id: str
    kind: Kind
    status: Status
    reason: str | None
    identity: Identity
    labels: Labels
    result: dict[str, Any]
    budget: dict[str, Any]
    cost: dict[str, Any]
    environment: Environment
    finished: str


_FIELDS = frozenset(_Disk.__struct_fields__)


class _FailureCost(msgspec.Struct):
    seconds: Seconds | None = None


def _check_needed(data: Mapping[str, Any], kind: str) -> None:
    """Raise ValueError where a cell that succeeded lacks what its readers rely on."""
    # Where a distillation has no architecture, its identity says null.
    nothing = None if kind == "evaluate" else ...
    for table, names in _NEEDED[kind].items():
        values = data[table]
        for name in names:
            if values.get(name, nothing) is nothing:
                raise ValueError(f"field '{table}.{name}' is missing or of the wrong type")


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
