"""An optimiser's state as flat tensors, to be kept in a checkpoint or beside an artefact."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """Return the state of every parameter as ``"INDEX.NAME"``; empty before the first step."""
    state: dict[int, dict[str, Tensor | None]] = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def load_optimiser_tensors(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Copy what :func:`optimiser_tensors` returned; learning rates and the like stay.

    Args:
        optimiser: of parameters in the same order.
        tensors: not shared with the optimiser afterwards.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".")
        # Adam reads its count of steps at every step, and would wait for a GPU that holds it.
        kept = value.cpu() if key == "step" else value
        state.setdefault(int(index), {})[key] = kept.clone()
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
