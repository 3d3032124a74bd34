"""Whether a cell fits into memory, known before it starts: the least bytes that it needs.

The bound counts what certainly lies in memory at one time: real images, the distilled set with
what its method says it needs, the weights of networks, and the largest output of a layer. What it
refuses cannot be computed; what it lets through may still run out of memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import torch

from bench.datasets.data_folder import DatasetInfo, info
from bench.distillation.tasks import load_method, make_task
from bench.evaluation.score import images_per_pass
from bench.grid.memory_bound import describe_lack
from bench.grid.site import OpenSite
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.footprint import count_weights, largest_output
from bench.support.memory import memory_for

_FLOAT = 4


def cells_too_large(cells: Iterable[Cell], site: OpenSite) -> dict[str, str]:
    """Return why cells cannot be computed in this process's memory, by cell id."""
    reasons: dict[object, str | None] = {}
    too_large = {}
    for cell in cells:
        kind = _kind(cell)
        if kind not in reasons:
            reasons[kind] = why_too_large(cell, site)
        if reason := reasons[kind]:
            too_large[cell.id] = reason
    return too_large


def why_too_large(cell: Cell, site: OpenSite) -> str | None:
    """Return why a cell cannot be computed in this process's memory; ``None`` if it may fit."""
    return describe_lack(least_bytes(cell, site), memory_for(site.device))


def least_bytes(cell: Cell, site: OpenSite) -> Mapping[str, int]:
    """Return the least bytes that a cell needs, by what they are for; nothing where unknown."""
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    try:
        data = info(distil.dataset, site.data_dir)
        if data is None:
            return {}
        if isinstance(cell, EvaluateCell):
            return _evaluation(cell, data, site.device)
        return _making(distil, data)
    except Exception:  # a plugin's, or damaged data: the cell itself fails, and says why
        return {}


def _kind(cell: Cell) -> object:
    """Return what the bound depends on; it is computed once for cells that have it in common."""
    if isinstance(cell, EvaluateCell):
        return cell.distil.dataset, cell.ipc, cell.arch, cell.nets, cell.precision
    params = json.dumps(cell.params, sort_keys=True)
    return cell.method, cell.dataset, cell.ipc, cell.arch, params


def _making(cell: DistilCell, data: DatasetInfo) -> Mapping[str, int]:
    """Return the least bytes of a distillation, by what they are for."""
    method = load_method(cell.method)
    task = make_task(method, data, cell.ipc, cell.arch, cell.params)
    return {
        "real images": data.n_train * data.spec.pixels,
        "the method": max(0, int(method.least_bytes(task))),
        "a network": 0 if task.arch is None else count_weights(task.arch, data.spec) * _FLOAT,
    }


def _evaluation(cell: EvaluateCell, data: DatasetInfo, device: torch.device) -> Mapping[str, int]:
    """Return the least bytes of an evaluation, by what they are for."""
    if cell.ipc is None:
        images = data.n_train * data.spec.pixels  # a whole set; real images are stored as bytes
    else:
        images = cell.ipc * data.spec.num_classes * data.spec.pixels
    # Weights of all networks; one of them is trained, with gradients and momentum.
    copies = cell.nets + 2
    output, width = largest_output(cell.arch, data.spec), 2 if cell.precision == "bf16" else _FLOAT
    tested = min(images_per_pass(device, output), data.n_test)
    return {
        "test images": data.n_test * data.spec.pixels,
        "the distilled set": images,
        "networks": copies * count_weights(cell.arch, data.spec) * _FLOAT,
        "a layer's output": tested * output * width,
    }
