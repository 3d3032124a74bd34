"""The card of an exported set: a README.md with a YAML header, as the Hugging Face hub reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.distilled.base import DistilledSet
from bench.exchange.contents import (
    PICTURES,
    evaluation_command,
    exported_bytes,
    form_in_words,
    usage,
    values_in_words,
    what_is_lost,
)
from bench.ledger.cell import AS_MADE
from bench.ledger.record import Record
from bench.ledger.record_tables import EvaluationOutcome
from bench.support.markdown import escape

UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class Provenance:
    """What the ledger knows of a set.

    Attributes:
        record: of its distillation; ``None`` for a file alone.
        evaluations: of the set, as records.
    """

    record: Record | None = None
    evaluations: Sequence[Record] = ()


def card(
    name: str,
    distilled: DistilledSet,
    provenance: Provenance,
    *,
    licence: str,
    form: str,
    files: Mapping[str, str],
) -> str:
    """Return the text of the card.

    Args:
        name: of the set.
        distilled: the set as it was exported.
        provenance: what the ledger knows of it.
        licence: of the images, as the user says.
        form: the format, by name.
        files: the sha256 of each exported file, by name.
    """
    facts = _facts(name, distilled, provenance, licence, form)
    header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in facts.items())
    spec = distilled.spec
    lines = [
        "---", header, "---", "",
        f"# {name}", "",
        f"A distilled set of **{spec.name}** ({spec.num_classes} classes, "
        f"{spec.channels}x{spec.height}x{spec.width}), as {form_in_words(distilled, form)}. "
        f"{values_in_words(distilled, form)}.", "",
    ]  # fmt: skip
    lost = what_is_lost(distilled, form)
    if spec.note:
        lines += [f"Of the data: {spec.note}.", ""]
    if lost:
        lines += ["**Not in these files:**", "", *(f"- {each}" for each in lost), ""]
    lines += ["## How to load it", "", "```python", usage(distilled, form, name), "```", ""]
    lines += ["As bench evaluates it, in this folder:", "", "```bash"]
    lines += [evaluation_command(distilled, form), "```", ""]
    lines += _parameters(provenance) + _accuracies(provenance, form)
    lines += ["## Files", "", "| file | sha256 |", "|---|---|"]
    lines += [f"| {escape(file)} | `{sha256}` |" for file, sha256 in sorted(files.items())]
    return "\n".join(lines) + "\n"


def _facts(
    name: str, distilled: DistilledSet, provenance: Provenance, licence: str, form: str
) -> dict[str, Any]:
    spec, facts = distilled.spec, dict[str, Any]()
    facts["license"] = licence
    facts["tags"] = ["dataset-distillation", spec.name]
    facts["pretty_name"] = name
    facts["dataset"] = spec.name
    facts["normalisation"] = {"mean": list(spec.mean), "std": list(spec.std)}
    facts["whitened"] = distilled.zca is not None
    facts["labels"] = distilled.label_kind
    facts["stored_bytes"] = exported_bytes(distilled, form)
    if distilled.learning_rate is not None:
        facts["learning_rate"] = distilled.learning_rate
    record = provenance.record
    if record is not None:
        labels, identity = record.labels, dict[str, Any](record.identity)
        facts |= {
            "method": labels["method"], "method_version": labels.get("method_version"),
            "profile": labels["profile"], "seed": labels["seed"], "ipc": record.identity["ipc"],
            "distilled_with": labels.get("distil_arch") or None, "cell": record.id,
            "dataset_sha256": identity.get("sha256"),
            "versions": dict[str, Any](record.environment).get("packages", {}),
        }  # fmt: skip
    return facts


def _parameters(provenance: Provenance) -> list[str]:
    if provenance.record is None:
        return []
    identity: dict[str, Any] = dict(provenance.record.identity)
    rows = [f"| `{k}` | {escape(json.dumps(v))} |" for k, v in identity["params"].items()]
    if not rows:
        return []
    return [
        "## Parameters of the distillation",
        "",
        "| parameter | value |",
        "|---|---|",
        *rows,
        "",
    ]


def _accuracies(provenance: Provenance, form: str) -> list[str]:
    rows = []
    for record in provenance.evaluations:
        if not isinstance(record.outcome, EvaluationOutcome):
            continue
        result, budget = record.outcome.result, record.outcome.budget
        accuracies = ", ".join(f"{value:.2f}" for value in result.accuracies)
        rows.append(
            f"| {record.identity.get('arch')} | {record.labels.get('protocol')} | "
            f"{record.identity.get('mode')} | {record.identity['ipc'] or 'all'} | "
            f"{record.identity.get('precision')} | {record.identity.get('stored_as', AS_MADE)} | "
            f"{accuracies} | "
            f"{budget.training_steps:,} | {budget.distinct_images:,} |"
        )
    if not rows:
        return []
    titles = "network | protocol | mode | IPC | precision | stored as | accuracies (%) | steps"
    head = f"| {titles} | distinct images |"
    ruler = "|---|---|---|--:|---|---|---|--:|--:|"
    lossy = "The set as it was made; these files hold its images in 8 bits per channel."
    note = [lossy, ""] if form in PICTURES else []
    return ["## Measured with bench", "", *note, head, ruler, *rows, ""]
