"""The rows of a store: made from its records, and of cells that have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bench.ledger.cell import AS_MADE, Cell, EvaluateCell, percent_mark
from bench.ledger.parameter_marks import Made, made_with, mark_parameters
from bench.ledger.record import ARTEFACT, OTHER_SET, Record
from bench.ledger.record_tables import EvaluationOutcome
from bench.ledger.rows import Evaluation, Failure, Rows, newest_versions
from bench.ledger.store import Store
from bench.registry.presentation import Presentation, installed_version
from bench.support.safe_text import printable
from bench.support.untrusted import Limit


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
    made: dict[str, _Making] = {}
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
            device = printable(str(dict(record.environment).get("device", "")))
            made[record.id] = _Making(_threads(record), device, made_with(record))
    _complete(rows.evaluations, made)
    store.damaged += [
        f"cell {cell_id}: {OTHER_SET}"
        for cell_id, distil, sha256 in evaluated
        if recorded.get(distil) not in (None, sha256)
    ]
    if note is not None:
        for line in store.damaged:
            note(line)
    return rows


class _Making(NamedTuple):
    """Where a distilled set was made, and with which parameters if its record says so."""

    threads: int = 0
    device: str = ""
    parameters: Made | None = None


def _complete(rows: Sequence[Evaluation], made: Mapping[str, _Making]) -> None:
    """Complete new rows when all records are read: a set can come after its evaluation."""
    newest, unknown = newest_versions(rows), _Making()
    # A set that was made elsewhere may have the name of a method, but none of its versions.
    for method in {row.method for row in rows if row.origin == "bench"}:
        newest[method] = max(newest[method], installed_version(method))
    for row in rows:
        making = made.get(row.distil_id, unknown)
        # A copy of each would take a tenth of the time of a table.
        object.__setattr__(row, "distil_threads", making.threads)
        object.__setattr__(row, "distil_device", making.device)
        version = newest[row.method] if row.origin == "bench" else row.method_version
        object.__setattr__(row, "newest_version", version)
    mark_parameters(rows, {name: own for name, each in made.items() if (own := each.parameters)})


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
    """Return the row of a cell that failed or was skipped, with printable texts.

    The reason names the steps after which a set was evaluated: the final one may be in a table.
    """
    identity, labels = record.identity, record.labels
    evaluated = record.kind == "evaluate"
    percent = labels.get("percent", identity.get("percent"))
    mark = percent_mark(percent) if isinstance(percent, int) else ""
    return Failure(
        dataset=printable(labels["dataset"]),
        method=printable(labels["method"]),
        profile=printable(labels["profile"]),
        ipc=identity["ipc"],
        mode=printable(identity.get("mode") or ""),
        eval_arch=printable(identity.get("arch") or "") if evaluated else "",
        seed=labels["seed"],
        status=record.status,
        reason=printable(": ".join(filter(None, (mark, record.reason)))),
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
