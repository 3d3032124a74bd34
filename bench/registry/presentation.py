"""What a method declares about itself for tables and plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bench.registry.registry import METHODS
from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.untrusted import Limit

# The markers of matplotlib that can be filled or are a stroke; not its "$...$", which is a formula.
MARKERS = frozenset("os^v<>dDpPhH8*Xx+_|")
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
# What a method declares that knows of no difference; to declare nothing leaves it open.
NO_DIFFERENCES = "none"
CORESET = "coreset"
WHOLE = "whole"
_LABEL_PREFIX = "method_"


@dataclass(frozen=True)
class Presentation:
    """How a method asks to be shown; a method declares each as a literal class attribute.

    An attribute that is empty, or that a report could not use, counts as not declared.

    Attributes:
        label: the method's name as papers write it.
        colour: of its line and markers, as ``#RRGGBB``.
        marker: one of :data:`MARKERS`.
        published_protocol: the protocol that its published accuracies were measured under.
        table_order: its place in tables and legends; smaller comes first.
        published_differences: how this implementation differs from the one behind the method's
            published accuracies, beyond what a cell says; :data:`NO_DIFFERENCES` if in nothing
            that is known to change an accuracy.
        family: what kind of method it is: :data:`CORESET` for one that chooses real images, with
            the best of which reports compare the others; :data:`WHOLE` for one that returns the
            same set for every seed.
    """

    label: str = ""
    colour: str = ""
    marker: str = ""
    published_protocol: str = ""
    table_order: int | None = None
    published_differences: str = ""
    family: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Presentation:
        """Return what is usable of ``values``, by the names of the fields."""
        label, protocol = (_text(values.get(name)) for name in ("label", "published_protocol"))
        colour, marker = values.get("colour"), values.get("marker")
        order = values.get("table_order")
        return cls(
            label=label,
            colour=colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else "",
            marker=marker if isinstance(marker, str) and marker in MARKERS else "",
            published_protocol=protocol,
            published_differences=_text(
                values.get("published_differences"), Limit.DIFFERENCES_LETTERS
            ),
            family=_text(values.get("family")),
            table_order=order if type(order) is int and abs(order) <= Limit.TABLE_ORDER else None,
        )

    @classmethod
    def from_labels(cls, labels: Mapping[str, Any]) -> Presentation:
        """Return what the labels of a record carry; the inverse of :meth:`to_labels`."""
        values = {name: labels[key] for name, key in _LABEL_KEYS.items() if key in labels}
        return cls.from_values(values) if values else cls()

    def to_labels(self) -> dict[str, Any]:
        """Return what is declared, as labels of a record."""
        values = {key: getattr(self, name) for name, key in _LABEL_KEYS.items()}
        return {key: value for key, value in values.items() if value not in ("", None)}


_LABEL_KEYS = {f.name: f"{_LABEL_PREFIX}{f.name}" for f in fields(Presentation)}


def declared_by(method: str) -> Presentation:
    """Return what a method declares, without importing it; empty if it is not installed."""
    try:
        entry = METHODS.entries().get(method)
    except BenchError:  # two distributions claim a name, which ends a run but no report
        return Presentation()
    if entry is None:
        return Presentation()
    return Presentation.from_values({name: entry.declared(name) for name in _LABEL_KEYS})


def installed_version(method: str) -> int:
    """Return the version of a method that is installed, without importing it; 0 if not known."""
    try:
        entry = METHODS.entries().get(method)
    except BenchError:  # as in declared_by
        return 0
    version = entry.declared("version") if entry is not None else 0
    return version if type(version) is int else 0


def _text(value: Any, letters: int = Limit.LABEL_LETTERS) -> str:
    return printable(value) if isinstance(value, str) and len(value) <= letters else ""
