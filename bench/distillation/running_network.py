"""A network that trains beside the pixels and is replaced now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from bench.distillation.method_state import Stateful

N = TypeVar("N", bound=Stateful)


class RunningNetwork(Generic[N]):
    """Holds a network from its initialisation until it is dropped; part of a method's state.

    A restored network is initialised from a stream of its own before its weights are overwritten:
    the stream of new networks must stay where it is, or all later networks would differ from those
    of a run that was not interrupted.

    Args:
        build: initialises a network, or an object that holds one, from the named stream of the
            context's generators, as :meth:`bench.plugin.Context.network` does.
    """

    def __init__(self, build: Callable[[str], N]) -> None:
        self._build = build
        self._network: N | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a network that training has begun with."""
        return self._network is not None

    def get(self) -> N:
        """Return the running network; initialise one from the stream ``network`` if needed."""
        if self._network is None:
            self._network = self._build("network")
        return self._network

    def drop(self) -> None:
        """Discard the network: the next :meth:`get` initialises another one."""
        self._network = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the network, or ``None`` in its place."""
        network = None if self._network is None else dict(self._network.state_dict())
        return {"network": network}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._network = None
        if state["network"] is not None:
            self._network = self._build("restored")
            self._network.load_state_dict(state["network"])
