"""A real step of a cell's work, timed: for code whose work cannot be counted."""

from __future__ import annotations

import torch

from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import Stepper, begin_method, training_seconds
from bench.grid.site import OpenSite
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.precision import float32_mode
from bench.support.seeds import make_generator

# Real images that an evaluation is timed on.
_IMAGES = 64


def step_seconds(cell: Cell, site: OpenSite) -> float:
    """Return about how long a cell takes, by one step or one epoch of few images.

    Raises:
        Exception: whatever the code raises.
    """
    with float32_mode(site.device, cell.precision):
        if isinstance(cell, EvaluateCell):
            return _evaluation(cell, site)
        return _distillation(cell, site)


def _distillation(cell: DistilCell, site: OpenSite) -> float:
    real = site.split(cell.dataset, "train")
    method = begin_method(
        cell.method, cell.params, real, ipc=cell.ipc, arch=cell.arch, precision=cell.precision
    )
    steps = Stepper(method, site.device)
    return 0.0 if steps.total <= 1 else steps.run(1) * steps.total


def _evaluation(cell: EvaluateCell, site: OpenSite) -> float:
    real = site.split(cell.dataset, "train")
    protocol = get_protocol(cell.protocol)
    index = real.sample(_IMAGES, make_generator(0, site.device))
    nets = min(cell.nets, torch.get_num_threads()) if site.device.type == "cpu" else cell.nets
    seconds = training_seconds(
        index, real, cell.arch, protocol, nets=nets, epochs=1, precision=cell.precision
    )
    per_epoch = len(real) if cell.ipc is None else cell.ipc * real.spec.num_classes
    return seconds / (len(index) * nets) * per_epoch * protocol.epochs * cell.nets
