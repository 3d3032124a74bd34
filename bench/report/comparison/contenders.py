"""What is compared: methods in all cells of a store, and the words that select them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from bench.ledger.rows import Conditions, Evaluation, Rows
from bench.ledger.short_id import complete_id
from bench.report.aggregate import collect
from bench.report.comparison.difference import by_networks
from bench.report.filters import select
from bench.report.number_formats import ipc_order
from bench.report.result_tables import data_name
from bench.report.row import Row
from bench.support.errors import BenchError, UnknownNameError

COLUMNS = ("dataset", "ipc", "eval_arch", "profile", "protocol", "mode", "arch", "changed",
           "precision", "selection", "labels", "origin", "stored_as", "version")  # fmt: skip
# What tells contenders of one method apart, each with a word for it where the value needs one.
_DISTINCT = {"profile": "", "changed": "", "arch": "distilled with ", "labels": "labels ",
             "origin": "", "method_version": "version ", "plugin_source": "source "}  # fmt: skip
_FILTER = re.compile(":(?=[a-z_]+=)")


class Place(NamedTuple):
    """Where results can be compared: measured alike, and with as many images per class."""

    conditions: Conditions
    ipc: int | None


@dataclass(frozen=True)
class Contender:
    """One method with one way to use it, wherever it was measured.

    Attributes:
        label: for tables; no two contenders of a comparison share one.
        method: its registered name.
        family: what kind of method it declares to be.
        rows: its results by place.
        evaluations: by the ids of their cells, those of the results among them.
    """

    label: str
    method: str
    family: str
    rows: Mapping[Place, Row]
    evaluations: Mapping[str, Evaluation]

    @cached_property
    def accuracies(self) -> dict[Place, dict[int, dict[int, float]]]:
        """The accuracies of each place, by seed and network, in percent."""
        return {place: by_networks(row, self.evaluations) for place, row in self.rows.items()}


def find_contenders(evaluations: Sequence[Evaluation]) -> list[Contender]:
    """Return every contender among evaluations, in the order in which tables show methods.

    A set that has a size of its own, such as the whole dataset, stands at each IPC of the others.
    """
    rows = _told_apart(collect(evaluations))
    return _contenders(rows, rows, rows, evaluations)


def select_contenders(
    evaluations: Sequence[Evaluation], words: Iterable[str]
) -> list[list[Contender]]:
    """Return the contenders that each word selects, with those of their results that it does.

    Args:
        evaluations: of the store.
        words: each ``METHOD``, ``METHOD:COLUMN=VALUE:...``, or the id of a cell, which stands for
            the result that it is part of; an id may be cut short while it is one cell's only.

    Raises:
        UnknownNameError: if the store has no such method, cell, column or value.
        BenchError: if two words select the same results, or one the ids of several cells.
    """
    rows = _told_apart(collect(evaluations))
    named, groups = dict[str, Contender](), list[list[Contender]]()
    chosen = []
    for word in words:
        ids = _select(evaluations, word)
        chosen.append((word, [row for row in rows if ids.intersection(row.cell_ids)]))
    beside = [row for _, selected in chosen for row in selected]
    for word, selected in chosen:
        groups.append([])
        for one in _contenders(selected, rows, beside, evaluations):
            other = named.get(one.label)
            if other is not None and not one.rows.keys().isdisjoint(other.rows):
                raise BenchError(
                    f"'{word}' selects {one.label} once more: every word needs its own"
                )
            label = one.label if other is None else f"{one.label} [{word}]"
            named[label] = replace(one, label=label)
            groups[-1].append(named[label])
    return groups


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Return rows whose dataset is called ``svhn [656dd886]`` where others have its name."""
    blocks = dict.fromkeys(row.conditions for row in rows)
    names = {block: data_name(block, blocks) for block in blocks}
    if all(name == block.dataset for block, name in names.items()):
        return list(rows)  # as nearly always: no row need be copied
    return [replace(row, dataset=names[row.conditions]) for row in rows]


def _select(evaluations: Sequence[Evaluation], word: str) -> set[str]:
    """Return the ids of the evaluations that a word selects."""
    methods = {one.method for one in evaluations}
    method, *filters = _FILTER.split(word)
    if method not in methods:
        ids = [(one.cell_id, one.distil_id) for one in evaluations]
        cell = complete_id(word, (each for pair in ids for each in pair))
        if cell is None:
            raise UnknownNameError("method or cell in the store", method, methods)
        return {pair[0] for pair in ids if cell in pair}
    values = {"method": [method]}
    for column, _, value in (text.partition("=") for text in filters):
        if column not in COLUMNS:
            raise UnknownNameError(f"column in '{word}'", column, COLUMNS)
        name = "method_version" if column == "version" else column  # as tables call it
        if name in values:
            raise BenchError(f"'{word}' gives {column} twice: name one value")
        values[name] = [value]
    return {one.cell_id for one in select(Rows(list(evaluations), []), values).evaluations}


def _contenders(
    rows: Sequence[Row],
    every: Sequence[Row],
    beside: Sequence[Row],
    evaluations: Sequence[Evaluation],
) -> list[Contender]:
    """Return the contenders of rows, whose labels differ among the rows that stand beside them."""
    by_id = {one.cell_id: one for one in evaluations}
    ipcs: dict[Conditions, set[int | None]] = {}
    for row in every:
        if row.ipc is not None:
            ipcs.setdefault(row.conditions, set()).add(row.ipc)
    groups: dict[tuple[object, ...], dict[Place, Row]] = {}
    for row in rows:
        places = {row.ipc} if row.ipc is not None else ipcs.get(row.conditions, {None})
        identity = (row.method, row.mode, *(getattr(row, name) for name in _DISTINCT))
        group = groups.setdefault(identity, {})
        group |= {Place(row.conditions, ipc): row for ipc in sorted(places, key=ipc_order)}
    firsts = [next(iter(group.values())) for group in groups.values()]
    return [
        Contender(_label(first, beside), first.method, first.style.family, group, by_id)
        for first, group in zip(firsts, groups.values(), strict=True)
    ]


def _label(row: Row, others: Sequence[Row]) -> str:
    """Return the method's label with what sets it apart from others that have the same."""
    same = [one for one in others if (one.style.label, one.mode) == (row.style.label, row.mode)]
    parts = [row.mode] if row.mode != "stored" else []
    shared = set.intersection(*(set(one.changed.split(", ")) for one in same))
    for name, before in _DISTINCT.items():
        own = getattr(row, name)
        if name == "changed":  # parameters that all of them have set none apart
            own = ", ".join(part for part in own.split(", ") if part not in shared)
        part = f"{before}{own}"
        said = ", ".join(parts).split(", ")  # what is changed can name the version and the source
        if own and part not in said and any(getattr(one, name) != own for one in same):
            parts.append(part)
    if len({one.method for one in same}) > 1:
        parts.insert(0, row.method)
    return f"{row.style.label} ({', '.join(parts)})" if parts else row.style.label
