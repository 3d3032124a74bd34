"""The work of a distillation, counted from one of its steps on made-up data of a dataset's shape.

Shared work, such as training experts, and methods of one step count nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import torch

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.real_set import RealSet
from bench.distillation.method import Method
from bench.distillation.tasks import load_method
from bench.grid.rehearsal import begin_method
from bench.grid.step_work import counted
from bench.grid.work import CountedWork, Work
from bench.ledger.cell import DistilCell
from bench.support.time_limit import TimeLimitError

# After a first step that was counted within these seconds, the second one is counted in its place:
# the first may prepare what later ones use.
_QUICK = 1.0
# The repetitions of an inner loop at which a step is counted, if it has so many that counting all
# would take long.
_FEW, _SOME, MANY = 2, 4, 8


def count_distillation(cell: DistilCell, info: DatasetInfo) -> CountedWork:
    """Return the work of a distillation, in steps.

    Raises:
        Exception: its code does not run on stand-ins, or fails anyway.
    """
    with counted():
        method = begun(cell, info)
    steps = method.steps()
    if steps <= 1:
        return CountedWork(Work(), 0.0)
    repeated = getattr(method.params, method.inner_loop) if method.inner_loop else 0
    if repeated > MANY:
        step, is_partial = _extrapolated(cell, info, repeated)
    else:
        step, is_partial = _counted_step(method)
    return CountedWork(step, float(steps), is_partial)


def begun(cell: DistilCell, info: DatasetInfo, **changes: Any) -> Method:
    """Return the method of a cell, set up on made-up data; to be called where work is counted.

    Args:
        cell: which.
        info: its dataset.
        **changes: parameters that are another's.
    """
    counts = torch.tensor(info.class_counts)
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    images = torch.empty(len(labels), *info.spec.shape, dtype=torch.uint8)
    real = RealSet(info.spec, images, labels, "0" * 64)
    return begin_method(
        cell.method, {**cell.params, **changes}, real, ipc=cell.ipc, arch=cell.arch,
        precision=cell.precision,
    )  # fmt: skip


def _extrapolated(cell: DistilCell, info: DatasetInfo, repeated: int) -> tuple[Work, bool]:
    """Return the work of a step from those with fewer repetitions of its inner loop."""
    name, found = load_method(cell.method).inner_loop, list[Work]()
    for few in (_FEW, _SOME):
        with counted():
            method = begun(cell, info, **{name: few})
        step, is_partial = _first_step(method)
        if is_partial:
            return (found or [step])[0], True
        found.append(step)
    times, work = (repeated - _FEW) / (_SOME - _FEW), Work()
    for step, factor in zip(found, (1 - times, times), strict=True):
        work.add(step, factor)
    return work, False


def _counted_step(method: Method) -> tuple[Work, bool]:
    """Return the work of a step, and whether there was time for a part of it only."""
    started = time.perf_counter()
    work, is_partial = _first_step(method)
    if not is_partial and time.perf_counter() - started < _QUICK:
        with suppress(TimeLimitError):  # then the first step counts
            with counted() as second:
                method.step(1)
            work = second
    return work, is_partial


def _first_step(method: Method) -> tuple[Work, bool]:
    try:
        with counted() as work:
            method.step(0)
    except TimeLimitError:
        return work, True
    return work, False
