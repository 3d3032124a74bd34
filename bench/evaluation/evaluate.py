"""One evaluation: load the distilled set, train networks on it, test them, count the budget."""

from __future__ import annotations

import math
from typing import Any

import torch

from bench.datasets.real_set import RealSet
from bench.distilled.io import load
from bench.evaluation.engine import evaluate
from bench.evaluation.protocols import get_protocol
from bench.grid.control import Control
from bench.ledger.cell import EvaluateCell
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.store import Store
from bench.support.cost_meter import Meter
from bench.support.failure_reasons import UnfitStateError
from bench.support.seeds import derive_seed, make_generator


def evaluate_cell(
    cell: EvaluateCell,
    store: Store,
    test: RealSet,
    control: Control,
    device: torch.device,
) -> dict[str, Any]:
    """Judge a distilled set and return the parts of its record.

    Continues from the cell's checkpoint, if there is one that its networks take.

    Raises:
        Interrupted: it was time to end; what was done is kept.
    """
    checkpoint = store.checkpoint(cell.id, control)
    try:
        return _judge(cell, store, test, control, device, _Keeper(checkpoint, device))
    except UnfitStateError as error:
        checkpoint.set_aside(f"'{checkpoint.path}': {error}")
        return _judge(cell, store, test, control, device, _Keeper(checkpoint, device))


def _judge(
    cell: EvaluateCell,
    store: Store,
    test: RealSet,
    control: Control,
    device: torch.device,
    keeper: _Keeper,
) -> dict[str, Any]:
    distilled = load(store.artefact(cell.distil.id), device)
    distilled.check_made_for(test.spec)
    protocol = get_protocol(cell.protocol)
    # One draw for a frozen set: every network and architecture is trained on the same images.
    seed = derive_seed(cell.distil.random_seed, "freeze", cell.ipc)
    source = distilled.source(cell.mode, cell.ipc, make_generator(seed, device))
    epochs = protocol.epochs if distilled.epochs is None else distilled.epochs
    rate = protocol.lr if distilled.learning_rate is None else distilled.learning_rate
    trained = evaluate(
        source,
        test.spec,
        cell.arch,
        protocol,
        cell.net_seeds,
        test.whitened(distilled.zca),
        device=device,
        precision=cell.precision,
        learning_rate=rate,
        epochs=epochs,
        on_epoch=lambda done, total: control.view.progress(cell, done, total, "epochs", {}),
        keeper=keeper,
        stop=control.stop,
    )
    made = store.read(cell.distil.id)
    cost = made.cost if made is not None else {}
    return {
        "result": {
            "accuracies": list(trained.accuracies),
            # JSON knows no NaN: a network that diverged has no loss.
            "final_losses": [x if math.isfinite(x) else None for x in trained.final_losses],
            "selection": protocol.selection,
            "epochs": epochs,
            "learning_rate": rate,
        },
        "budget": {
            "nominal_ipc": cell.ipc,
            "stored_bytes": source.storage_bytes,
            "distinct_images": source.distinct_images(epochs),
            "training_steps": trained.training_steps,
        },
        "cost": {
            **keeper.meter.read(),
            "distil_seconds": cost.get("total_seconds", 0.0),
            "distil_steps": cost.get("total_steps", 0),
        },
    }


class _Keeper:
    """A checkpoint that remembers what earlier attempts have spent."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._checkpoint = checkpoint
        self._kept = checkpoint.load(device) or {}
        self.meter = Meter(device, self._kept.get("cost"))

    def due(self) -> bool:
        return self._checkpoint.due()

    def save(self, state: dict[str, Any]) -> bool:
        return self._checkpoint.save({"nets": state, "cost": self.meter.read()})

    def load(self, device: torch.device) -> dict[str, Any] | None:  # noqa: ARG002
        return self._kept.get("nets")
