"""Plugins that only this process knows: no other process can compute with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.grid.site import RunSpec
from bench.networks.architecture import registered_name
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS, Registry
from bench.support.errors import BenchError


def registered_here(spec: RunSpec) -> list[str]:
    """Return what of a request was registered in this process by hand, as ``method 'x'``.

    Entry points and the run's plugin files are known to every process.
    """
    files = {str(Path(path).resolve()) for path in spec.plugins}
    request = spec.request
    archs = [_family(text) for text in (*request.archs, *request.eval_archs)]
    # Which generators a request uses is its methods' affair: any may be.
    asked: list[tuple[Registry[type[Any]], list[str]]] = [
        (METHODS, list(request.methods)), (ARCHITECTURES, archs),
        (DATASETS, list(request.datasets)), (GENERATORS, GENERATORS.names()),
    ]  # fmt: skip
    return [
        f"{registry.kind} '{name}'"
        for registry, names in asked
        for name in dict.fromkeys(names)
        if registry.is_by_hand(name, files)
    ]


def refuse_registered_here(spec: RunSpec) -> None:
    """Say clearly if other processes cannot compute a request.

    Raises:
        BenchError: naming the plugins.
    """
    here = registered_here(spec)
    if here:
        raise BenchError(
            f"{', '.join(here)} is known to this process only, not to those that compute: give "
            "its file as a plugin, or compute in this process"
        )


def _family(arch: str) -> str:
    return registered_name(arch.partition("(")[0].strip().lower())
