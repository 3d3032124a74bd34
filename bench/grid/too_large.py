"""Whether a cell fits into memory, known before it starts: the least bytes that it needs.

The bound counts what certainly lies in memory at one time: real images, the distilled set with
what its method says it needs, the weights of networks, and the largest output of a layer. What it
refuses cannot be computed; what it lets through may still run out of memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache

import torch
from torch import nn

from bench.datasets.library import DatasetInfo, info
from bench.datasets.spec import DatasetSpec
from bench.distillation.tasks import load_method, make_task
from bench.evaluation.score import images_per_pass
from bench.grid.site import OpenSite
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.architecture import build_network
from bench.support.failure_reasons import readable_bytes
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
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    try:
        data = info(distil.dataset, site.data_dir)
        if data is None:
            return None
        parts = (
            _evaluation(cell, data, site.device)
            if isinstance(cell, EvaluateCell)
            else _making(distil, data)
        )
    except Exception:  # a plugin's, or damaged data: the cell itself fails, and says why
        return None
    needed, limit = sum(parts.values()), memory_for(site.device)
    if needed <= limit:
        return None
    shares = ", ".join(f"{name} {readable_bytes(size)}" for name, size in parts.items() if size)
    return (
        f"it needs at least {readable_bytes(needed)} of memory ({shares}), and this process can "
        f"have {readable_bytes(limit)}"
    )


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
        "a network": 0 if task.arch is None else _weights(task.arch, data.spec) * _FLOAT,
    }


def _evaluation(cell: EvaluateCell, data: DatasetInfo, device: torch.device) -> Mapping[str, int]:
    """Return the least bytes of an evaluation, by what they are for."""
    if cell.ipc is None:
        images = data.n_train * data.spec.pixels  # a whole set; real images are stored as bytes
    else:
        images = cell.ipc * data.spec.num_classes * data.spec.pixels
    # Weights of all networks; one of them is trained, with gradients and momentum.
    copies = cell.nets + 2
    tested, width = min(images_per_pass(device), data.n_test), 2 if cell.precision == "bf16" else 4
    return {
        "test images": data.n_test * data.spec.pixels,
        "the distilled set": images,
        "networks": copies * _weights(cell.arch, data.spec) * _FLOAT,
        "a layer's output": tested * _largest_output(cell.arch, data.spec) * width,
    }


@cache
def _weights(arch: str, spec: DatasetSpec) -> int:
    """Return how many weights a network has, without making them."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(weight.numel() for weight in build_network(arch, spec).parameters())


@cache
def _largest_output(arch: str, spec: DatasetSpec) -> int:
    """Return the most numbers that a layer gives for one image; 0 if that takes real images."""
    sizes = [0]

    def measure(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            sizes.append(output.numel())

    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.inference_mode():
        network = build_network(arch, spec).eval()
        for module in network.modules():
            module.register_forward_hook(measure)
        with suppress(Exception):  # an operation that needs values, of a plugin for example
            network(torch.empty(1, *spec.shape))
    return max(sizes)
