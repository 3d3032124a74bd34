"""Foreign sets in the ledger: each becomes a distillation that is done, then it is evaluated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from bench.datasets.library import ensure
from bench.datasets.source import Progress, no_progress
from bench.distilled.base import DistilledSet
from bench.distilled.digest import tensors_digest
from bench.distilled.labels import hard_labels
from bench.exchange.layouts import check_exists
from bench.exchange.made_with import compare_networks
from bench.exchange.opened import open_sets
from bench.exchange.reading import Reading
from bench.exchange.request import ImportRequest, default_name
from bench.grid.cell_records import write_record
from bench.grid.compute import is_done
from bench.grid.data_names import DataNames
from bench.grid.expand import Grid
from bench.grid.plugin_sources import evaluation_sources
from bench.grid.reporter import Control
from bench.grid.runner import Runner
from bench.grid.site import OpenSite, Site
from bench.ledger.artefacts import write_artefact
from bench.ledger.cell import IMPORTED, DistilCell, EvaluateCell
from bench.ledger.lock import cell_lock
from bench.ledger.record_rows import load_rows
from bench.ledger.record_tables import DistilOutcome, StoredDistilResult
from bench.ledger.rows import Rows
from bench.ledger.store import Store
from bench.networks.architecture import canonical_name
from bench.support.errors import BenchError
from bench.support.outcomes import DistilBudget, DistilCost

# What a set without provenance took to make; tables print that it is not known.
_UNKNOWN_COST = DistilCost(seconds=0.0, total_seconds=0.0, total_steps=0)


@dataclass
class ImportSession:
    """A source that was read, and the cells that evaluate it.

    Attributes:
        readings: how each set was read; one per seed index.
        shown: the same, with the norm layers of the networks that evaluate it here.
        cells: the distillation that stands for each set.
        grid: what is to be computed.
        runner: computes it.
    """

    readings: Sequence[Reading]
    shown: Sequence[Reading]
    cells: Sequence[DistilCell]
    grid: Grid
    runner: Runner

    def run(self) -> int:
        """Store the sets and evaluate them; return how many cells failed.

        Raises:
            BenchError: the store cannot be written, or another set has the name.
            Interrupted: a signal asked for it; the next call continues.
        """
        self.runner.store.prepare()
        for cell, reading in zip(self.cells, self.readings, strict=True):
            self._keep(cell, reading)
        control = self.runner.control
        with control.stop.catching(control.reporter.note):
            outcome = self.runner.run(self.grid)
        return outcome.counts.get("failed", 0)

    def rows(self) -> Rows:
        """Return the results of this request."""
        return load_rows(self.runner.store.root, [cell.id for cell in self.grid.evaluate])

    def _keep(self, cell: DistilCell, reading: Reading) -> None:
        """Write a set and its record into the store, unless they are there."""
        store, site = self.runner.store, self.runner.site
        if is_done(store, cell):
            return
        with cell_lock(store.folder(cell.id)) as held:
            if not held or is_done(store, cell):
                return
            distilled = reading.distilled
            distilled.provenance = {
                "cell": cell.identity, "id": cell.id, "random_seed": cell.random_seed,
            }  # fmt: skip
            store.write_request(cell.id, cell.identity)
            artefact, _ = write_artefact(store, cell.id, distilled, {})
            result = StoredDistilResult(kind=distilled.kind, steps=0, artefact_sha256=artefact)
            budget = DistilBudget(stored_bytes=distilled.storage_bytes)
            outcome = DistilOutcome(result, budget, _UNKNOWN_COST)
            extra = {"read_as": reading.to_json()}
            write_record(cell, "ok", None, store, site, outcome=outcome, labels=extra)


def open_import(
    source: str,
    request: ImportRequest,
    site: Site,
    control: Control | None = None,
    progress: Progress = no_progress,
) -> ImportSession:
    """Read a foreign set and make the cells that evaluate it; computes nothing.

    Args:
        source: a file, a folder or ``hf:OWNER/NAME``.
        request: how to read and evaluate it.
        site: where the store and the data are; its plugins are loaded first.
        control: hears of the run, and may stop it.
        progress: receives the bytes of a download.

    Raises:
        BenchError: for anything wrong with the plugins, the source, the request, the data or the
            store.
    """
    # First: a plugin can change the working directory, and the store must not split in two.
    site = site.with_paths()
    site.load_plugins()
    request.check()
    check_exists(source)
    name = request.name or default_name(source)
    opened, store = OpenSite(site), Store(Path(site.store))
    info = ensure(request.dataset, opened.data_dir, progress)
    real = opened.split(request.dataset, "train")
    readings = open_sets(
        source, real, request.given,
        image_column=request.image_column, label_column=request.label_column,
    )  # fmt: skip
    if request.seeds is not None and request.seeds > len(readings):
        holds = "1 set" if len(readings) == 1 else f"{len(readings)} sets"
        raise BenchError(f"'{source}' holds {holds}, not --seeds {request.seeds}")
    readings = readings[: request.seeds]
    names = DataNames(store)
    cells = [
        names.make(info, lambda sha256, i=i, r=r: DistilCell(  # type: ignore[misc]
            name, 1, _contents(r.distilled), request.dataset, sha256, None, None, i,
            "fp32", IMPORTED, content=info.content or info.sha256,
        ))
        for i, r in enumerate(readings)
    ]  # fmt: skip
    pairs = zip(cells, readings, strict=True)
    evaluate = [e for cell, r in pairs for e in _evaluations(cell, r.distilled, request, source)]
    _check_name_is_free(store, name, cells)
    runner = Runner(store, opened, control or Control())
    archs = list(dict.fromkeys(map(canonical_name, request.eval_archs)))
    shown = [r.beside(compare_networks(r.made_with, archs, real.spec)) for r in readings]
    return ImportSession(readings, shown, cells, Grid(tuple(cells), tuple(evaluate), ()), runner)


def _evaluations(
    cell: DistilCell, distilled: DistilledSet, request: ImportRequest, source: str
) -> list[EvaluateCell]:
    ipc, protocol = _ipc(distilled, request.ipc, source), request.chosen_protocol
    modes = [m for m in distilled.modes if m in (request.modes or distilled.modes)]
    if not modes:
        raise BenchError(
            f"mode {' or '.join(request.modes)} is not one of '{source}': "
            f"its {distilled.kind} set has {', '.join(distilled.modes)}"
        )
    return [
        EvaluateCell(
            cell, ipc, mode, arch, protocol.name, protocol.version,
            request.eval_nets or protocol.nets, request.precision,
            evaluation_sources(arch, protocol.name), kind,
        )
        for mode, arch, kind in product(
            modes, dict.fromkeys(map(canonical_name, request.eval_archs)),
            dict.fromkeys(request.stored_as),
        )
    ]  # fmt: skip


def _ipc(distilled: DistilledSet, asked: int | None, source: str) -> int | None:
    """Return the images per class; ``None`` for an unbalanced set, which is used as a whole."""
    if "stream" in distilled.modes:
        if asked is None:
            raise BenchError(
                f"'{source}' is a {distilled.kind} set, which draws images: say how many per class "
                "with --ipc"
            )
        return asked
    labels = hard_labels(distilled.tensors()["labels"])
    counts = torch.bincount(labels, minlength=distilled.spec.num_classes)
    low, high = int(counts.min()), int(counts.max())
    own = low if low == high else None
    if asked is not None and asked != own:
        holds = f"{low}" if low == high else f"{low} to {high}"
        raise BenchError(f"'{source}' holds {holds} images per class, not --ipc {asked}")
    return own


def _contents(distilled: DistilledSet) -> dict[str, str | int]:
    """Return what determines a set's results: its tensors, how to use them, what it draws from."""
    facts = {"kind": distilled.kind, "config": distilled.config()}
    digest = tensors_digest(json.dumps(facts, sort_keys=True), distilled.tensors())
    seed = {"random_seed": distilled.random_seed} if "frozen" in distilled.modes else {}
    return {"content": digest, **seed}


def _check_name_is_free(store: Store, name: str, cells: Sequence[DistilCell]) -> None:
    """Raise an error if the store has another set of that name: tables would pool the two."""
    if not (store.root / "cells").is_dir():  # nothing was computed yet
        return
    ours: dict[tuple[Any, ...], Any] = {(c.dataset, c.seed): c.params for c in cells}
    for record in store.records():
        labels = record.labels
        if record.kind != "distil" or (labels["method"], labels["profile"]) != (name, IMPORTED):
            continue
        identity: dict[str, Any] = dict(record.identity)
        contents = identity.get("params", {})
        if ours.get((labels["dataset"], labels["seed"]), contents) != contents:
            raise BenchError(
                f"'{store.root}' has another set that is called '{name}': give this one a --name"
            )
