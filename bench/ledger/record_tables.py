"""The tables of a record, each key with its type and bounds; see :mod:`bench.ledger.record`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import msgspec

from bench.ledger.cell import CELL_ID
from bench.support.outcomes import (
    DistilBudget,
    DistilCost,
    DistilResult,
    EvaluationBudget,
    EvaluationCost,
    EvaluationResult,
    GeneratorDiagnostics,
    diverged_text,
)
from bench.support.untrusted import Limit

Status = Literal["ok", "failed", "skipped"]
Kind = Literal["distil", "evaluate"]
Text = Annotated[str, msgspec.Meta(max_length=Limit.RECORD_TEXT_LETTERS)]
CellId = Annotated[str, msgspec.Meta(pattern=CELL_ID)]
Whole = Annotated[int, msgspec.Meta(ge=-Limit.AMOUNT, le=Limit.AMOUNT - 1)]

Percent = Annotated[int, msgspec.Meta(ge=1, le=99)]


class Identity(TypedDict):
    """What determines the result, see :mod:`bench.ledger.cell`; hashed, it is the cell's id."""

    ipc: Whole | None
    arch: NotRequired[Text | None]
    precision: NotRequired[Text]
    # Of a distillation; its method, dataset and seed are not read from here, and its parameters
    # only to tell results apart, whatever they are (:mod:`bench.ledger.parameter_marks`).
    prerequisite: NotRequired[CellId | None]
    # Of an evaluation.
    distil: NotRequired[CellId]
    mode: NotRequired[Text]


class Labels(TypedDict):
    """What people read of a cell. Methods may add labels of their own; none determines a result."""

    method: Text
    dataset: Text
    profile: Text
    seed: Whole
    title: NotRequired[Text]
    method_version: NotRequired[Whole]
    dataset_sha256: NotRequired[Text]
    dataset_note: NotRequired[Text]
    n_test: NotRequired[Whole]  # test images of the dataset
    num_classes: NotRequired[Whole]  # of the dataset; older records do not say it
    changed: NotRequired[Text]  # parameters that differ from the profile's
    distil_arch: NotRequired[Text]  # empty where the method uses none
    protocol: NotRequired[Text]  # with its version; of an evaluation
    percent: NotRequired[Percent]  # of the steps of its set's distillation, if not all; likewise
    sources: NotRequired[dict[str, Text]]  # hashes of plugins; where they are not part of bench


class Environment(TypedDict):
    """The machine and the versions, see :func:`bench.support.machine.describe_environment`."""

    device: NotRequired[str]
    device_name: NotRequired[str]


@dataclass(frozen=True, kw_only=True)
class StoredDistilResult(DistilResult):
    """What a distillation came to, and the files that hold it.

    Attributes:
        artefact_sha256: of the distilled set's file.
        byproducts_sha256: of the by-products' file; ``None`` where there are none.
        diagnostics: of a generator's images; ``None`` for other sets and in old records.
    """

    artefact_sha256: str
    byproducts_sha256: str | None = None
    diagnostics: GeneratorDiagnostics | None = None


@dataclass(frozen=True, kw_only=True)
class StoredEvaluationResult(EvaluationResult):
    """What an evaluation came to, and of which file.

    Attributes:
        artefact_sha256: of the distilled set that it evaluated; ``None`` in old records.
    """

    artefact_sha256: str | None = None


@dataclass(frozen=True)
class DistilOutcome:
    """A distillation that succeeded."""

    result: StoredDistilResult
    budget: DistilBudget
    cost: DistilCost

    @property
    def summary(self) -> str:
        """The outcome in a few words: ``20 steps``."""
        return f"{self.result.steps} steps"


@dataclass(frozen=True)
class EvaluationOutcome:
    """An evaluation that succeeded."""

    result: StoredEvaluationResult
    budget: EvaluationBudget
    cost: EvaluationCost

    @property
    def summary(self) -> str:
        """The outcome in a few words: ``91.5 %``, or ``91.5 % (1 of 5 networks diverged)``."""
        counted, diverged = self.result.counted, len(self.result.diverged_nets)
        if not counted:
            return self.result.why_nothing_counts or ""
        mean = f"{sum(counted) / len(counted):.1f} %"
        nets = len(self.result.accuracies)
        return f"{mean} ({diverged_text(diverged, nets)})" if diverged else mean


Outcome = DistilOutcome | EvaluationOutcome

_T = TypeVar("_T")


def convert(data: Any, kind: type[_T]) -> _T:
    """Return plain JSON values as a type of this module.

    Raises:
        ValueError: naming the field that is missing or wrong.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(str(error))) from error


def _explain(text: str) -> str:
    """Return what msgspec finds wrong as a sentence about a field of the record."""
    what, _, path = text.partition(" - at `$.")
    missing = re.search(r"missing required field `(\w+)`", what)
    name = ".".join(filter(None, [path.rstrip("`"), missing[1] if missing else ""]))
    if missing or ", got `" in what:
        return f"field '{name}' is missing or of the wrong type"
    return f"field '{name}' is out of range: {what[0].lower()}{what[1:]}"
