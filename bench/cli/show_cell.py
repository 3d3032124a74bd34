"""What ``bench show`` prints of a cell: its record, and in words how good a generator is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.ledger.cell import is_cell_id

if TYPE_CHECKING:
    from bench.ledger.record import Record
    from bench.support.outcomes import GeneratorDiagnostics


def describe_cell(name: str, store: Path, *, shortened: bool = False) -> Record | None:
    """Return the record of a cell; ``None`` if the store has none of that name.

    Args:
        name: the id of the cell.
        store: the folder of the store.
        shortened: whether the name may be the beginning of an id.

    Raises:
        BenchError: the ids of several cells start so, or the store cannot be read.
    """
    from bench.ledger.short_id import find_id
    from bench.ledger.store import Store

    if not is_cell_id(name) or not store.exists():
        return None
    opened = Store(store)
    opened.check_readable()
    cell_id = find_id(name, opened) if shortened else name
    return None if cell_id is None else opened.read(cell_id)


def print_cell(record: Record) -> None:
    """Print a record: what the cell is, and a line for each value that it came to."""
    from bench.support.safe_text import printable

    for line in _lines(record):
        click.echo(printable(line))


def _lines(record: Record) -> Iterator[str]:
    labels: dict[str, Any] = dict(record.labels)
    yield f"{record.id}  ({record.kind})"
    yield f"  status: {record.status}" + (f": {record.reason}" if record.reason else "")
    for key in ("method", "method_version", "dataset", "profile", "changed", "protocol", "seed"):
        if labels.get(key) not in (None, ""):
            yield f"  {key}: {labels[key]}"
    identity: dict[str, Any] = dict(record.identity)
    for key in ("ipc", "mode", "arch", "precision", "distil", "prerequisite", "percent", "params"):
        if identity.get(key) is not None:
            yield f"  {key}: {_text(identity[key])}"
    data = record.to_json()
    for table in ("result", "budget", "cost"):
        for key, value in data[table].items():
            if value is not None and key != "diagnostics":
                yield f"  {key}: {_text(value)}"
    if record.finished:
        yield f"  finished: {record.finished}"
    found = getattr(record.outcome.result, "diagnostics", None) if record.outcome else None
    if found is not None:
        yield from _diagnostics(found)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}={_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _diagnostics(found: GeneratorDiagnostics) -> Iterator[str]:
    """Yield what diagnostics say, a line each."""
    yield f"  diagnostics of {found.per_class} images of each class, in the embedding of a network"
    yield "  that was trained on real images for some seconds:"
    yield (
        f"    accuracy on drawn images: {found.accuracy:.1f} % "
        f"(on real ones: {found.real_accuracy:.1f} %)"
    )
    yield f"    precision: {found.precision:.3f}  (drawn images that lie among real ones)"
    yield f"    recall: {found.recall:.3f}  (real images that lie among drawn ones)"
    yield f"    coverage: {found.coverage:.3f}  (real images with a drawn one beside them)"
    if found.diversity is not None:
        yield (
            f"    diversity: {found.diversity:.3f}  (distance of drawn images of a class, as a "
            "multiple of that of real ones)"
        )
