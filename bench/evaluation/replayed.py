"""Networks of an evaluation whose steps are replayed on a GPU where that is faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from bench.evaluation.training import Networks
from bench.networks.replay import Outputs, Recorder, Replayed


class ReplayedNetworks:
    """Networks whose gradients come from :class:`bench.networks.replay.Replayed`.

    Args:
        nets: whose weights stay where they are in memory.
        recorder: of the device of the networks; ``None`` calls every step.
    """

    def __init__(self, nets: Networks, recorder: Recorder | None) -> None:
        self._nets, self._weights = nets, nets.weights()
        self._learning: list[Tensor] = []
        self._step = Replayed("evaluation step", self._compute, self._live, recorder)

    def weights(self) -> list[Tensor]:
        """See :class:`bench.evaluation.training.Networks`."""
        return self._weights

    def backward(self, images: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
        """See :class:`bench.evaluation.training.Networks`."""
        losses, *gradients = self._step(*images, *labels)
        for weight, gradient in zip(self._learning, gradients, strict=True):
            weight.grad = gradient
        return losses

    def state_dict(self) -> dict[str, Any]:
        """See :class:`bench.evaluation.training.Networks`."""
        return self._nets.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :class:`bench.evaluation.training.Networks`."""
        self._nets.load_state_dict(state)

    def hand_back(self) -> None:
        """See :class:`bench.evaluation.training.Networks`."""
        self._nets.hand_back()

    def _compute(self, *inputs: Tensor) -> Outputs:
        half = len(inputs) // 2
        losses = self._nets.backward(inputs[:half], inputs[half:])
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        self._learning = [weight for weight in self._weights if weight.grad is not None]
        return (losses, *gradients)

    def _live(self) -> Iterator[Tensor]:
        return _tensors(self._nets.state_dict())


def _tensors(state: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors of a state, those of its tables among them."""
    for value in state.values():
        if isinstance(value, Mapping):
            yield from _tensors(value)
        elif isinstance(value, Tensor):
            yield value
