"""How a machine is divided among worker processes: a GPU each, or a share of its cores."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.grid.site import Site

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Slot:
    """Where a worker process computes.

    Attributes:
        site_text: the site as the worker receives it.
        environment: variables that the worker is started with.
    """

    site_text: str
    environment: dict[str, str]


def divide(site: Site, device: torch.device, workers: int) -> list[Slot]:
    """Return one slot per worker; with more workers than GPUs, some share one.

    Args:
        site: of the run.
        device: what its device means on this machine.
        workers: how many processes compute at once.
    """
    import torch

    threads = site.threads or max(1, torch.get_num_threads() // workers)
    # Other libraries' threads count as well.
    environment = {"OMP_NUM_THREADS": str(threads)}
    shared = replace(site.with_paths(), threads=threads)
    gpus = visible_gpus(device)
    if not gpus:
        return [Slot(shared.to_json(), environment)] * workers
    text = replace(shared, device="cuda").to_json()
    return [
        Slot(text, {**environment, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]})
        for i in range(workers)
    ]


def visible_gpus(device: torch.device) -> list[str]:
    """Return what ``CUDA_VISIBLE_DEVICES`` calls the GPUs that a device stands for.

    ``cuda`` stands for all that this process sees, ``cuda:1`` for one, others for none.
    """
    import torch

    if device.type != "cuda":
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = chosen.split(",") if chosen else list(map(str, range(torch.cuda.device_count())))
    return names if device.index is None else [names[device.index]]
