"""Merging of stores from several machines into one, by the identity of cells.

What only one of them has is copied; a result takes the place of a failure. Two results of one cell
that differ are a conflict: both are reported, and the destination keeps its own. The source is only
read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.ledger.cell import hash_identity
from bench.ledger.checkpoint import CHECKPOINT
from bench.ledger.hashed_copy import blocks, copy_hashed
from bench.ledger.lock import cell_lock
from bench.ledger.private_paths import request_without_paths, without_paths
from bench.ledger.record import ARTEFACT, BYPRODUCTS, Record
from bench.ledger.record_file import load_record
from bench.ledger.record_tables import EvaluationOutcome
from bench.ledger.requests import load_requests, save_request
from bench.ledger.store import Store
from bench.support.atomic_files import replacing, writing
from bench.support.errors import BenchError

# What a merge counts, in the order in which people read it.
COUNTS = ("copied", "replaced", "completed", "equal", "kept", "conflicts", "unfinished", "shared")


@dataclass
class Merged:
    """How the merge of one store went.

    Attributes:
        counts: cells ``copied`` (the destination had no record), ``replaced`` (it had a failure),
            ``completed`` (it had the record but not the artefact), ``equal``, ``kept`` (it has a
            result or the same failure), ``conflicts``, ``unfinished`` (the source has no record);
            and ``shared`` files that were copied.
        problems: a line for each conflict and for each thing that could not be copied.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def merge_store(source: Path, destination: Path) -> Merged:
    """Copy into a store what another one has and it lacks.

    Raises:
        BenchError: if there is no store at ``source``, it is the destination itself, or the
            destination cannot be written.
    """
    old, new, merged = Store(source), Store(destination), Merged()
    old.check_readable()
    new.prepare()
    if os.path.samefile(source, destination):
        raise BenchError(f"store '{source}' cannot be merged into itself")
    for name in old.cell_ids(merged.problems.append):
        _merge_cell(old, new, name, merged)
    for path in sorted((source / "shared").glob("*.safetensors")):
        target = destination / "shared" / path.name
        if not os.path.lexists(target) and ".checkpoint" not in path.name:
            merged.counts["shared"] += _copy(path, target, None, merged)
    for request in load_requests(source, merged.problems.append):
        save_request(destination, request_without_paths(request))
    return merged


def _merge_cell(old: Store, new: Store, cell_id: str, merged: Merged) -> None:
    path = old.folder(cell_id) / "record.json"
    try:
        record = load_record(path, cell_id)
        if hash_identity(record.identity) != cell_id:
            raise ValueError("its identity is that of another cell")
    except FileNotFoundError:
        merged.counts["unfinished"] += path.with_name("request.json").exists()
        return
    except (OSError, ValueError) as error:
        merged.problems.append(f"'{path}' is left out: {error}")
        return
    with cell_lock(new.folder(cell_id)) as held:
        if held:
            outcome = _merge_record(old, new, record, merged)
            merged.counts[outcome] += 1
        else:
            merged.problems.append(f"{_title(record)} is left out: '{new.root}' is computing it")


def _merge_record(old: Store, new: Store, record: Record, merged: Merged) -> str:
    """Copy a cell if it is needed, while its lock is held; return what to count it as."""
    mine = new.read(record.id)
    if mine is not None and mine.status == "ok":
        if record.status != "ok":
            return "kept"
        differs = _difference(mine, record)
        if differs:
            theirs = "; evaluations copied from there used theirs" * (record.kind == "distil")
            merged.problems.append(f"conflict: {_title(record)}: {differs}{theirs}")
            return "conflicts"
        missing = [p for p, _ in new.hashed_files(mine) if not os.path.lexists(p)]
        names = {path.name for path in missing}
        return "completed" if _copy_files(old, new, record, names, merged) else "equal"
    if mine is not None and record.status != "ok":
        return "kept"
    # What a killed process may have left in their place is of no record.
    _copy_files(old, new, record, {ARTEFACT, BYPRODUCTS}, merged)
    target = new.folder(record.id) / "request.json"
    if not os.path.lexists(target) and (old.folder(record.id) / "request.json").is_file():
        _copy(old.folder(record.id) / "request.json", target, None, merged)
    _copy_log(old.folder(record.id) / "log.txt", new.folder(record.id) / "log.txt", merged)
    # As a file: another version of bench may have added what this one does not know.
    _copy(
        old.folder(record.id) / "record.json", new.folder(record.id) / "record.json", None, merged
    )
    if record.status == "ok":
        with suppress(OSError):
            (new.folder(record.id) / CHECKPOINT).unlink(missing_ok=True)
    return "copied" if mine is None else "replaced"


def _difference(mine: Record, theirs: Record) -> str:
    """Return in what two results of one cell differ; times and machines do not count."""
    (name, first), (_, second) = _content(mine), _content(theirs)
    if first == second:
        return ""
    return (
        f"{name} {_short(first)} here ({_machine(mine)}), "
        f"{_short(second)} there ({_machine(theirs)}); kept ours"
    )


def _content(record: Record) -> tuple[str, str | tuple[float, ...]]:
    """Return the name and value of what must be equal in two results of one cell."""
    if isinstance(record.outcome, EvaluationOutcome):
        return "accuracies", record.outcome.result.accuracies
    return "artefact_sha256", record.files.get(ARTEFACT, "")


def _short(value: str | tuple[float, ...]) -> str:
    if isinstance(value, str):
        return f"{value[:12]}..."
    return ", ".join(f"{each:.2f}" for each in value[:8]) + (", ..." if value[8:] else "")


def _machine(record: Record) -> str:
    return f"{record.environment.get('device_name', 'machine unknown')}, {record.finished[:10]}"


def _copy_files(
    old: Store, new: Store, record: Record, names: Container[str], merged: Merged
) -> bool:
    """Copy those of the files that a record vouches for; return whether any was."""
    copied = False
    for path, sha256 in old.hashed_files(record):
        if path.name in names and path.exists():
            copied |= _copy(path, new.folder(record.id) / path.name, sha256, merged)
    return copied


def _copy(path: Path, target: Path, sha256: str | None, merged: Merged) -> bool:
    """Copy a file, atomically; return whether it was what its record says."""
    try:
        with (
            writing(target),
            replacing(target) as temporary,
            temporary.open("wb") as file,
        ):
            copy_hashed(path, file, sha256)
    except ValueError as error:
        merged.problems.append(f"'{path}' is left out: {error}")
        return False
    return True


def _copy_log(path: Path, target: Path, merged: Merged) -> None:
    """Copy a log without absolute paths, which name users and machines."""
    if os.path.lexists(target) or not path.is_file():
        return
    try:
        text = b"".join(blocks(path)).decode("utf-8", errors="replace")
    except ValueError as error:
        merged.problems.append(f"'{path}' is left out: {error}")
        return
    with writing(target), replacing(target) as temporary:
        temporary.write_text(without_paths(text), encoding="utf-8")


def _title(record: Record) -> str:
    return f"{record.labels.get('title', record.kind)} ({record.id})"
