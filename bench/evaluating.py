"""One evaluation: load the distilled set, train networks on it, test them, count the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from bench.cells import EvaluateCell
from bench.datasets.real_set import RealSet
from bench.distilled.io import load
from bench.evaluation.engine import evaluate
from bench.evaluation.protocols import get_protocol
from bench.seeds import derive_seed, make_generator
from bench.store.store import Store
from bench.view import View


def evaluate_cell(
    cell: EvaluateCell,
    store: Store,
    split: Callable[[str, str], RealSet],
    view: View,
    device: torch.device,
) -> dict[str, Any]:
    """Judge a distilled set and return the parts of its record."""
    distilled = load(store.artefact(cell.distil.id), device)
    protocol = get_protocol(cell.protocol)
    # One draw for a frozen set: every network and architecture is trained on the same images.
    seed = derive_seed(cell.distil.random_seed, "freeze", cell.ipc)
    source = distilled.source(cell.mode, cell.ipc, make_generator(seed, device))
    epochs = protocol.epochs if distilled.epochs is None else distilled.epochs
    rate = protocol.lr if distilled.learning_rate is None else distilled.learning_rate
    test = split(cell.distil.dataset, "test").whitened(distilled.zca)
    trained = evaluate(
        source,
        distilled.spec,
        cell.arch,
        protocol,
        cell.net_seeds,
        test,
        device=device,
        precision=cell.precision,
        learning_rate=rate,
        epochs=epochs,
        on_epoch=lambda done, total: view.progress(done, total, "epochs", {}),
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
            "seconds": trained.train_seconds + trained.test_seconds,
            "distil_seconds": cost.get("total_seconds", 0.0),
            "distil_steps": cost.get("total_steps", 0),
        },
    }
