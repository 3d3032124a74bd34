"""The records of a store as rows: one per evaluation, and one per cell without a result.

These classes are the one description of what a report knows of a record. The columns of a frame
are their fields (:mod:`bench.ledger.frames`), and a result in a table pools evaluations that have
the same :class:`Setting` (:mod:`bench.report.aggregate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from bench.ledger.cell import AS_MADE, Cell, EvaluateCell
from bench.ledger.record import ARTEFACT, OTHER_SET, Record
from bench.ledger.record_tables import EvaluationOutcome
from bench.ledger.store import Store
from bench.registry.presentation import Presentation
from bench.support.safe_text import printable
from bench.support.untrusted import Limit


@dataclass(frozen=True)
class Conditions:
    """How an accuracy was measured; results under other conditions are in another table.

    Attributes:
        dataset: its registered name.
        dataset_note: what sets it apart from the official data; usually empty.
        dataset_sha256: names its content.
        n_test: how many test images there are.
        eval_arch: the architecture evaluated with.
        protocol: with its version, ``default-v1``.
        selection: which step's accuracy counts: ``last`` or ``test-oracle``.
        precision: ``fp32``, ``tf32`` or ``bf16``.
    """

    dataset: str
    dataset_note: str
    dataset_sha256: str
    n_test: int
    eval_arch: str
    protocol: str
    selection: str
    precision: str


@dataclass(frozen=True)
class Setting(Conditions):
    """What the evaluations of one result have in common: all but the seed.

    Attributes:
        method: its registered name.
        method_version: results of different versions are never pooled.
        profile: whose parameters: ``paper``, ``lite``, ..., ``any`` (they all agree) or ``custom``.
        changed: parameters that differ from the profile's.
        ipc: images per class; ``None`` where the distilled set has a size of its own.
        mode: how the distilled set was used: ``stored``, ``stream`` or ``frozen``.
        arch: the architecture distilled with; empty if the method uses none.
        labels: ``hard`` or ``soft``.
        origin: ``bench``, or ``imported`` for a distilled set that was made elsewhere.
        plugin_source: the source of the plugins that computed it, hashed; empty for those of bench
            itself, and where it was not recorded.
        percent: after how much of its distillation the set was taken, in percent of the steps;
            ``None`` for the final set. ``changed`` says so too.
    """

    method: str
    method_version: int
    profile: str
    changed: str
    ipc: int | None
    mode: str
    arch: str
    labels: str
    origin: str
    plugin_source: str
    percent: int | None


@dataclass(frozen=True)
class Evaluation(Setting):
    """One successful evaluation of one distilled set.

    Attributes:
        seed: the seed index of the distillation.
        accuracies: one per network that did not diverge, in percent.
        nets: how many networks were trained.
        stored_as: how the images were stored, see :class:`bench.ledger.cell.EvaluateCell`; other
            than as made, ``changed`` says so too, so that such results are never pooled.
        diverged: which of them diverged, counted from 0.
        distil_id: the cell of the distilled set.
        cell_id: the cell of this evaluation.
        distil_steps: of the distilled set and the sets that it depends on.
        distil_seconds: wall time of the distilled set, with shared work and what it depends on.
        eval_seconds: wall time of this evaluation.
        stored_bytes: what must be kept to train this way.
        distinct_images: different images shown to one network, before augmentation.
        training_steps: optimiser steps of one network.
        device: where the evaluation ran.
        threads: of the process that evaluated; 0 where the record does not say.
        distil_threads: of the process that made the distilled set; 0 where that is not known.
        artefact: the path of the distilled set, which need not exist here.
        presentation: what the method declared for reports when it ran; no column of a frame.
        num_classes: of the dataset; ``None`` in records that do not say it; no column of a frame.
    """

    seed: int
    accuracies: tuple[float, ...]
    nets: int
    stored_as: str
    diverged: tuple[int, ...]
    distil_id: str
    cell_id: str
    distil_steps: int
    distil_seconds: float
    eval_seconds: float
    stored_bytes: int
    distinct_images: int
    training_steps: int
    device: str
    threads: int
    distil_threads: int
    artefact: str
    presentation: Presentation = field(default=Presentation(), compare=False)
    num_classes: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Failure:
    """One cell that failed or was skipped.

    Attributes:
        dataset, method, profile, ipc, mode, eval_arch, seed: as in :class:`Evaluation`; mode and
            eval_arch are empty for a distillation.
        status: ``failed``, ``skipped``, ``busy`` if it was left to another run, ``missing`` if a
            request asks for it and the store does not hold it, or ``not available`` if its dataset
            is not on this machine.
        reason: why, in words; may be empty.
        cell_id: the cell.
        protocol: with its version; empty for a distillation, and where a record does not name it.
    """

    dataset: str
    method: str
    profile: str
    ipc: int | None
    mode: str
    eval_arch: str
    seed: int
    status: str
    reason: str
    cell_id: str
    protocol: str = ""


class Rows(NamedTuple):
    """What a report is made of."""

    evaluations: list[Evaluation]
    failures: list[Failure]


def load_rows(
    root: Path,
    ids: Iterable[str] | None = None,
    note: Callable[[str], None] | None = None,
    *,
    unfinished: bool = False,
) -> Rows:
    """Read a store.

    Args:
        root: the store's folder.
        ids: the cells to read, in this order; ``None`` reads all.
        note: receives a line about each record that could not be used.
        unfinished: also return evaluations of sets as they were before the last step of their
            distillation (``bench run --evaluate-at``).

    Raises:
        BenchError: if there is no store at ``root`` or it is not readable.
    """
    store = Store(root)
    store.check_readable()
    rows = Rows([], [])
    # Digests only: whole records of a large store would take a hundred megabytes.
    evaluated, recorded = list[tuple[str, str, str]](), dict[str, str | None]()
    artefacts: dict[str, str] = {}
    threads: dict[str, int] = {}
    for record in store.records() if ids is None else _records(store, list(ids)):
        outcome = record.outcome
        if outcome is None:
            rows.failures.append(failure_row(record))
        elif isinstance(outcome, EvaluationOutcome):
            if reason := outcome.result.why_nothing_counts:  # of an old bench, which said "ok"
                failed = replace(record, status="failed", reason=reason)
                rows.failures.append(failure_row(failed))
                continue
            distil = record.identity["distil"]
            if distil not in artefacts:
                artefacts[distil] = str(store.artefact(distil))
            if unfinished or record.labels.get("percent") is None:
                rows.evaluations.append(evaluation_row(record, outcome, artefacts[distil]))
            if sha256 := outcome.result.artefact_sha256:
                evaluated.append((record.id, distil, sha256))
        else:
            recorded[record.id] = record.files.get(ARTEFACT)
            threads[record.id] = _threads(record)
    rows.evaluations[:] = [
        replace(row, distil_threads=threads.get(row.distil_id, 0)) for row in rows.evaluations
    ]
    store.damaged += [
        f"cell {cell_id}: {OTHER_SET}"
        for cell_id, distil, sha256 in evaluated
        if recorded.get(distil) not in (None, sha256)
    ]
    if note is not None:
        for line in store.damaged:
            note(line)
    return rows


def _records(store: Store, ids: Sequence[str]) -> Iterator[Record]:
    with store.indexed(len(ids)):
        yield from filter(None, map(store.read, ids))


def evaluation_row(record: Record, outcome: EvaluationOutcome, artefact: str) -> Evaluation:
    """Return the row of a successful evaluation.

    Texts are made printable, for a record may come from another machine; paths stay as they are.
    """
    identity, labels = record.identity, record.labels
    result, budget, cost = outcome.result, outcome.budget, outcome.cost
    return Evaluation(
        dataset=printable(labels["dataset"]),
        dataset_note=printable(labels["dataset_note"]),
        dataset_sha256=printable(labels["dataset_sha256"]),
        n_test=labels["n_test"],
        eval_arch=printable(identity["arch"] or ""),
        protocol=printable(labels["protocol"]),
        selection=printable(result.selection),
        precision=printable(identity["precision"]),
        method=printable(labels["method"]),
        method_version=labels["method_version"],
        profile=printable(labels["profile"]),
        changed=printable(labels["changed"]),
        ipc=identity["ipc"],
        mode=printable(identity["mode"]),
        arch=printable(labels["distil_arch"]),
        plugin_source=record.source,
        labels=printable(result.labels or "hard"),
        origin=printable(str(labels.get("origin", "bench"))),
        seed=labels["seed"],
        accuracies=result.counted,
        nets=len(result.accuracies),
        stored_as=printable(str(identity.get("stored_as", AS_MADE))),
        diverged=result.diverged_nets,
        distil_id=identity["distil"],
        cell_id=record.id,
        distil_steps=cost.distil_steps,
        distil_seconds=cost.distil_seconds,
        eval_seconds=cost.seconds,
        stored_bytes=budget.stored_bytes,
        distinct_images=budget.distinct_images,
        training_steps=budget.training_steps,
        device=printable(record.environment["device"]),
        threads=_threads(record),
        distil_threads=0,
        artefact=artefact,
        percent=labels.get("percent"),
        presentation=Presentation.from_labels(labels),
        num_classes=labels.get("num_classes"),
    )


def _threads(record: Record) -> int:
    """Return how many threads a cell was computed with; 0 where its record does not say."""
    threads = dict(record.environment).get("threads")
    if not isinstance(threads, int) or isinstance(threads, bool):
        return 0
    return threads if 0 < threads <= Limit.THREADS else 0


def failure_row(record: Record) -> Failure:
    """Return the row of a cell that failed or was skipped, with printable texts."""
    identity, labels = record.identity, record.labels
    evaluated = record.kind == "evaluate"
    return Failure(
        dataset=printable(labels["dataset"]),
        method=printable(labels["method"]),
        profile=printable(labels["profile"]),
        ipc=identity["ipc"],
        mode=printable(identity.get("mode") or ""),
        eval_arch=printable(identity.get("arch") or "") if evaluated else "",
        seed=labels["seed"],
        status=record.status,
        reason=printable(record.reason or ""),
        cell_id=record.id,
        protocol=printable(str(labels.get("protocol", ""))) if evaluated else "",
    )


def cell_row(cell: Cell, status: str, reason: str) -> Failure:
    """Return the row of a cell without a record: left to another run, or not computed yet."""
    evaluated = cell if isinstance(cell, EvaluateCell) else None
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    return Failure(
        dataset=distil.dataset,
        method=distil.method,
        profile=distil.profile,
        ipc=cell.ipc,
        mode=evaluated.mode if evaluated else "",
        eval_arch=evaluated.arch if evaluated else "",
        seed=distil.seed,
        status=status,
        reason=reason,
        cell_id=cell.id,
        protocol=f"{evaluated.protocol}-v{evaluated.protocol_version}" if evaluated else "",
    )
