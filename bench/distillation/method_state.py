"""The state of a method, read from its attributes and written back to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

_PLAIN = (bool, int, float, str)


@runtime_checkable
class Stateful(Protocol):
    """An object that saves and restores itself: a network, an optimiser, a method's helper."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return everything that later steps depend on."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Continue from what :meth:`state_dict` returned."""


def saved(value: Any) -> Any:
    """Return an attribute's state: nested dicts and lists of tensors and plain values.

    Raises:
        TypeError: such an attribute cannot be saved.
    """
    if isinstance(value, Stateful):
        return dict(value.state_dict())
    if isinstance(value, Mapping):
        return {key: saved(each) for key, each in value.items()}
    if isinstance(value, list):
        return [saved(each) for each in value]
    if value is None or isinstance(value, (Tensor, *_PLAIN)):
        return value
    raise TypeError(f"a method's state must not hold {type(value).__name__}")


def restored(own: Any, state: Any, name: str) -> Any:
    """Return what an attribute becomes: itself, where it can be restored in place.

    Args:
        own: the attribute of a method that was just constructed. Where it is ``None``, or an empty
            list or dictionary, it says nothing of what it may become: the state is taken as it is.
        state: what :func:`saved` returned for it.
        name: of the attribute, for messages.

    Raises:
        ValueError: the state has another type or shape than the attribute.
    """
    if isinstance(own, Stateful):
        own.load_state_dict(state)
        return own
    if own is None or (isinstance(own, list | dict) and not own):
        return _copied(state)
    if isinstance(own, Tensor):
        return _restored_tensor(own, state, name)
    if type(own) is not type(state):
        raise ValueError(f"{name} is a {type(own).__name__}, its state a {type(state).__name__}")
    if isinstance(own, dict):
        if own.keys() != state.keys():
            raise ValueError(f"{name} has other keys than its state")
        return {key: restored(own[key], state[key], f"{name}.{key}") for key in own}
    if isinstance(own, list):
        if len(own) != len(state):
            raise ValueError(f"{name} has {len(own)} entries, its state {len(state)}")
        pairs = zip(own, state, strict=True)
        return [restored(mine, each, f"{name}.{i}") for i, (mine, each) in enumerate(pairs)]
    return state


def _restored_tensor(own: Tensor, state: Any, name: str) -> Tensor:
    shape = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
    if shape != own.shape:
        raise ValueError(f"{name} has the shape {tuple(own.shape)}, its state {shape}")
    with torch.no_grad():
        own.copy_(state)
    return own


def _copied(state: Any) -> Any:
    """Return the state with its tensors copied, so that steps do not change what was loaded."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(each) for key, each in state.items()}
    return [_copied(each) for each in state] if isinstance(state, list) else state
