"""MTT's hyper-parameters: the authors' where they give them, a rule elsewhere.

The rows are those that the authors gave to DC-BENCH (justincui03/dc_benchmark, in its folder
methods/tm). The table beside the released code differs from them for CIFAR-10 at IPC 10, where it
has a typing error that they confirmed (mtt-distillation issue 31); see docs/methods/mtt.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from bench.plugin import by_task


@dataclass(frozen=True)
class Setting:
    """What depends on dataset and IPC; the fields are parameters of :class:`methods.mtt.MTT`."""

    syn_steps: int
    expert_epochs: int
    max_start_epoch: int
    batch_syn: int | None
    lr_img: float
    lr_lr: float
    step_size: float
    zca: bool


_SETTINGS = {
    "cifar10": {
        1: Setting(50, 2, 2, None, 100.0, 1e-7, 0.01, zca=True),
        10: Setting(30, 2, 20, None, 100.0, 1e-5, 0.001, zca=True),
        50: Setting(30, 2, 40, None, 1000.0, 1e-5, 0.001, zca=False),
    },
    "cifar100": {
        1: Setting(20, 3, 20, None, 1000.0, 1e-5, 0.01, zca=True),
        10: Setting(20, 2, 20, None, 1000.0, 1e-5, 0.01, zca=False),
        50: Setting(80, 2, 40, 125, 1000.0, 1e-5, 0.01, zca=True),
    },
    # The authors' images have 64x64 pixels.
    "tinyimagenet": {
        1: Setting(10, 2, 10, None, 10_000.0, 1e-4, 0.01, zca=False),
        10: Setting(20, 2, 40, 200, 10_000.0, 1e-4, 0.01, zca=False),
        50: Setting(20, 2, 40, 300, 10_000.0, 1e-4, 0.01, zca=False),
    },
}
_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "tinyimagenet": "Tiny ImageNet"}


def setting(dataset: str, ipc: int) -> Setting:
    """Return the row of the nearest IPC by ratio; other datasets take CIFAR-10's without ZCA."""
    rows = _SETTINGS.get(dataset, _SETTINGS["cifar10"])
    row = rows[min(rows, key=lambda listed: abs(math.log(ipc / listed)))]
    return row if dataset in _SETTINGS else replace(row, zca=False)


def unpublished(dataset: str, ipc: int) -> str | None:
    """Return for what the authors give no row; ``None`` where they do."""
    if dataset not in _SETTINGS:
        return f"{dataset} (that of CIFAR-10, without ZCA, is used)"
    return None if ipc in _SETTINGS[dataset] else f"IPC {ipc} (that of the nearest IPC is used)"


def authors(name: str) -> Any:
    """Declare a default that is the field ``name`` of :func:`setting`, and say its values."""
    values = [
        f"{_NAMES[dataset]}: " + ", ".join(_written(getattr(row, name)) for row in rows.values())
        for dataset, rows in _SETTINGS.items()
    ]
    text = f"{'; '.join(values)} (IPC 1, 10, 50)"
    return by_task(lambda dataset, ipc: getattr(setting(dataset, ipc), name), text)


def _written(value: float | bool | None) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else f"{value:g}"
