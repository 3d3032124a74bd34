"""One distillation, from its checkpoint or from the start, to an artefact and a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.distillation.context import Context, Start
from bench.distillation.loop import Loop
from bench.distillation.method import Method, Task
from bench.distilled.base import DistilledSet
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.grid.control import Control
from bench.ledger.cell import DistilCell
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.shared import SharedFolder
from bench.ledger.store import Store
from bench.registry.params import resolve
from bench.registry.registry import METHODS
from bench.support.atomic_files import writing
from bench.support.cost_meter import Meter
from bench.support.failure_reasons import UnfitStateError
from bench.support.files import file_sha256


def distil(cell: DistilCell, store: Store, real: RealSet, control: Control) -> dict[str, Any]:
    """Run a method, keep its artefact, and return the parts of its record.

    Continues from the cell's checkpoint, if there is one that the method takes.

    Raises:
        NotFiniteError: if a scalar that the method shows is NaN or infinite; the checkpoint is
            that of a step before.
        Interrupted: it was time to end; the checkpoint is that of the last step.
        CannotWriteError: the artefact cannot be written.
    """
    checkpoint = store.checkpoint(cell.id, control)
    kept = checkpoint.load(real.device) or {}
    try:
        return _distil(cell, store, real, control, checkpoint, kept)
    except UnfitStateError as error:
        checkpoint.set_aside(f"'{checkpoint.path}': {error}")
        return _distil(cell, store, real, control, checkpoint, {})


def _distil(
    cell: DistilCell,
    store: Store,
    real: RealSet,
    control: Control,
    checkpoint: Checkpoint,
    kept: Mapping[str, Any],
) -> dict[str, Any]:
    meter = Meter(real.device, kept.get("cost"))
    start, before = _start(cell, store, real.device)
    shared = SharedFolder(store.root, control)
    ctx = Context(
        real, cell.random_seed, cell.seed, start, shared, cell.precision,
        begin_work=lambda key: shared.work(key, real.device),
    )  # fmt: skip
    method, task = make_method(cell, real)
    method.setup(task, ctx)
    loop = Loop(cell, method, ctx, control, checkpoint, meter)
    if kept:
        loop.load_state_dict(kept)
    last = loop.run()
    distilled = method.result()
    distilled.provenance = {"cell": cell.identity, "id": cell.id}
    files = _keep(distilled, method.byproducts(), cell, store)
    cost = meter.read()
    return {
        "result": {
            "kind": distilled.kind,
            "steps": method.steps(),
            "scalars": last,
            **files,
        },
        "budget": {"stored_bytes": distilled.storage_bytes},
        "cost": {
            **cost,
            "shared_seconds": ctx.shared_seconds,
            # What this artefact costs whoever has nothing yet.
            "total_seconds": cost["seconds"] + _uncounted(ctx) + before["seconds"],
            "total_steps": method.steps() + before["steps"],
        },
    }


def make_method(cell: DistilCell, real: RealSet) -> tuple[Method, Task]:
    """Return a fresh method and its task."""
    cls: type[Method] = METHODS.get(cell.method)
    params = resolve(cls.Params, cell.params, owner=cell.method, ipc=cell.ipc)
    counts = tuple(len(i) for i in real.class_indices)
    return cls(), Task(real.spec, counts, cell.ipc, cell.arch, params)


def load_start(cell: DistilCell, store: Store, device: torch.device) -> Start:
    """Read a finished distil cell as the start of another."""
    byproducts: dict[str, Tensor] = {}
    if store.byproducts(cell.id).exists():
        byproducts, _ = load_tensors(store.byproducts(cell.id), device)
    return Start(load(store.artefact(cell.id), device), byproducts)


def _start(
    cell: DistilCell, store: Store, device: torch.device
) -> tuple[Start | None, dict[str, Any]]:
    if cell.prerequisite is None:
        return None, {"seconds": 0.0, "steps": 0}
    record = store.read(cell.prerequisite.id)
    cost = record.cost if record is not None else {}
    before = {"seconds": cost.get("total_seconds", 0.0), "steps": cost.get("total_steps", 0)}
    return load_start(cell.prerequisite, store, device), before


def _uncounted(ctx: Context) -> float:
    """Seconds of shared work that another cell did before this one."""
    return ctx.shared_seconds - ctx.made_seconds


def _keep(
    distilled: DistilledSet, byproducts: dict[str, Tensor], cell: DistilCell, store: Store
) -> dict[str, str]:
    """Write the artefact, and by-products if there are any; return their sha256 by name."""
    path, beside = store.artefact(cell.id), store.byproducts(cell.id)
    with writing(path):
        save(distilled, path)
    found = {"artefact_sha256": file_sha256(path)}
    if byproducts:
        with writing(beside):
            save_tensors(byproducts, {"id": cell.id}, beside)
        found["byproducts_sha256"] = file_sha256(beside)
    return found
