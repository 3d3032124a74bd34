"""Whether the chosen methods have the modes of evaluation that a user asks for."""

from __future__ import annotations

from bench.distillation.method import Method
from bench.distillation.tasks import load_method
from bench.grid.request import Request
from bench.registry.registry import METHODS
from bench.support.errors import BenchError


def check_modes(request: Request) -> None:
    """Refuse modes that no chosen method has.

    Raises:
        BenchError: naming the modes, what each chosen method has, and which methods have them.
    """
    without = _without_modes(request)
    if not without or len(without) < len(set(request.methods)):
        return
    chosen = "; ".join(f"{method.name} has {', '.join(method.modes)}" for method in without)
    others = [
        entry.name for entry in METHODS.entries().values()
        if set(request.modes) & set(entry.declared("modes") or ())
    ]  # fmt: skip
    raise BenchError(
        f"mode {' or '.join(request.modes)} is not one of any chosen method: {chosen}. "
        f"Methods with it: {', '.join(others) or 'none'}."
    )


def describe_modes(request: Request) -> list[str]:
    """Return a line for the chosen methods that are evaluated in another mode than asked for."""
    names: dict[str, list[str]] = {}
    for method in _without_modes(request):
        names.setdefault(method.modes[0], []).append(method.name)
    asked = " or ".join(request.modes)
    return [
        f"mode {asked} does not exist for {', '.join(methods)}: evaluated as {mode}"
        for mode, methods in names.items()
    ]


def _without_modes(request: Request) -> list[type[Method]]:
    """Return the chosen methods that have none of the modes that are asked for."""
    if not request.modes:
        return []
    methods = [load_method(name) for name in dict.fromkeys(request.methods)]
    return [method for method in methods if not set(method.modes) & set(request.modes)]
