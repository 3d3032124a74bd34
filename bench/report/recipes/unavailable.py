"""Datasets of a recipe that this machine does not have: their cells are named, not computed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import product

from bench.distillation.method import Method
from bench.distillation.profiles import PROFILES, label_profile, resolve_profile
from bench.distillation.tasks import load_method
from bench.grid.request import Request
from bench.ledger.rows import Failure

NOT_AVAILABLE = "not available"


def without_datasets(requests: Sequence[Request], absent: Collection[str]) -> list[Request]:
    """Return requests for the other datasets; those that ask for nothing else are left out."""
    left = (
        replace(request, datasets=[name for name in request.datasets if name not in absent])
        for request in requests
    )
    return [request for request in left if request.datasets]


def unavailable_rows(requests: Sequence[Request], absent: Collection[str]) -> list[Failure]:
    """Return a row for each cell of a first seed whose dataset is absent.

    Args:
        requests: of a recipe.
        absent: names of datasets.
    """
    return [
        row
        for request in requests
        for dataset in request.datasets
        if dataset in absent
        for method in request.methods
        for row in _rows(request, dataset, method)
    ]


def import_command(dataset: str) -> str:
    """Return what a user types to have a dataset here."""
    return f"bench data import {dataset} FILE"


def _rows(request: Request, dataset: str, name: str) -> list[Failure]:
    method, protocol = load_method(name), request.chosen_protocol()
    ipcs: Sequence[int | None] = [None] if method.own_size else request.ipcs
    modes = [mode for mode in method.modes if mode in (request.modes or method.modes)]
    return [
        Failure(
            dataset=dataset,
            method=name,
            profile=_profile(request, method, ipc, dataset),
            ipc=ipc,
            mode=mode,
            eval_arch=arch,
            seed=0,
            status=NOT_AVAILABLE,
            reason=f"{dataset} is not on this machine: {import_command(dataset)}",
            cell_id="",
            protocol=f"{protocol.name}-v{protocol.version}",
        )
        for ipc, mode, arch in product(
            ipcs, modes or method.modes[:1], request.eval_archs or request.archs
        )
    ]


def _profile(request: Request, method: type[Method], ipc: int | None, dataset: str) -> str:
    """Return whose parameters a cell would have, as its record would say."""
    distilled_for = None if method.ipc_agnostic else ipc
    named = {name: resolve_profile(method, name, {}, distilled_for, dataset) for name in PROFILES}
    own = request.overrides.get(method.name, {})
    params = resolve_profile(method, request.profile, own, distilled_for, dataset)
    return label_profile(named, params, request.profile)[0]
