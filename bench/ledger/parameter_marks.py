"""What tells results apart that say the same profile, but were made with other parameters.

What a profile gives its method can change while the method computes as before, so that its version
stays. Older results then have the label of newer ones, and must not be pooled with them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.ledger.record import Record
from bench.ledger.rows import Evaluation
from bench.support.safe_text import printable

# A mark is read in a table; parameters beyond these are counted only.
_NAMED = 8


@dataclass(frozen=True)
class Made:
    """What a distilled set was made for and with.

    Attributes:
        ipc: images per class; ``None`` of a set that serves every IPC.
        parameters: of its method, as JSON; many sets share one text.
    """

    ipc: int | None
    parameters: str


def made_with(record: Record) -> Made | None:
    """Return what a distillation's record says of its parameters; ``None`` if it says nothing."""
    parameters = dict(record.identity).get("params")
    if not isinstance(parameters, dict):
        return None
    text = json.dumps(parameters, sort_keys=True)
    return Made(record.identity["ipc"], sys.intern(text))  # seeds of one setting share it


def mark_parameters(rows: Iterable[Evaluation], made: Mapping[str, Made]) -> None:
    """Add to ``changed`` the parameters in which rows differ that say the same of themselves.

    Args:
        rows: new ones, of the whole store; changed in place.
        made: what sets were made with, by the ids of their cells. A row of another set is left as
            it is.
    """
    alike: dict[tuple[object, ...], list[tuple[Evaluation, str]]] = {}
    for row in rows:
        if (own := made.get(row.distil_id)) is not None:
            said = (
                row.method, row.method_version, row.profile, row.changed_besides_steps,
                row.origin, row.arch, row.dataset, own.ipc,
            )  # fmt: skip
            alike.setdefault(said, []).append((row, own.parameters))
    for members in alike.values():
        texts = {parameters for _, parameters in members}
        if len(texts) > 1:
            marks = _marks(texts)
            for row, parameters in members:
                changed = ", ".join(filter(None, (row.changed, marks[parameters])))
                object.__setattr__(row, "changed", changed)


def _marks(texts: Iterable[str]) -> dict[str, str]:
    """Return for each text of parameters those that others have otherwise: ``width=32``."""
    values: dict[str, dict[str, Any]] = {text: json.loads(text) for text in texts}
    names = {name for each in values.values() for name in each}
    differ = sorted(
        name for name in names
        if len({json.dumps(each.get(name), sort_keys=True) for each in values.values()}) > 1
    )  # fmt: skip
    return {
        text: _mark({name: each.get(name, "its default") for name in differ})
        for text, each in values.items()
    }


def _mark(values: Mapping[str, Any]) -> str:
    named = [f"{name}={value}" for name, value in list(values.items())[:_NAMED]]
    more = [f"and {len(values) - _NAMED} more"] if len(values) > _NAMED else []
    return printable(", ".join([*named, *more]))
