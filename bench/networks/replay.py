"""Steps of fixed shape that are replayed on a GPU as one graph, where that is faster.

A small network leaves a GPU waiting for the host, which launches hundreds of kernels a step. A CUDA
graph launches them at once. It runs the very kernels that were recorded, so that results do not
depend on the choice, which is made by measuring both ways on the device.

Off CUDA nothing is recorded: the step is called as it is.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from bench.networks.step_reasons import failure_reason, note_reason

Outputs = tuple[Tensor, ...]
Step = Callable[..., Outputs]

# Calls of a shape before it is recorded: a shape that comes once an epoch may never pay.
_PLAIN_CALLS = 3
# Calls that are timed, each way.
_TIMED = 5
# What is chosen by measuring takes this share of the usual way's time at most: a recording costs
# memory, and a smaller gain may be chance.
WORTH = 0.9


class Recording(NamedTuple):
    """A recorded step.

    Attributes:
        replay: runs it again on what its input tensors hold by then.
        outputs: the tensors that a replay fills.
    """

    replay: Callable[[], None]
    outputs: Outputs


class Recorder(Protocol):
    """What records steps and measures time on a device."""

    def record(self, step: Callable[[], Outputs]) -> Recording:
        """Record a step, which may run several times for it.

        Raises:
            RuntimeError: it cannot be recorded.
        """

    def seconds(self, run: Callable[[], object]) -> float:
        """Return how long a call takes until the device is done."""


class CudaRecorder:
    """Records CUDA graphs on the current device."""

    def record(self, step: Callable[[], Outputs]) -> Recording:
        """See :class:`Recorder`."""
        # Networks of before, whose recordings hold much memory, may wait in cycles to be freed.
        gc.collect()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(here)
        with torch.cuda.stream(aside):  # libraries choose their algorithms before the recording
            for _ in range(3):
                step()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = step()
        return Recording(graph.replay, outputs)

    def seconds(self, run: Callable[[], object]) -> float:
        """See :class:`Recorder`."""
        torch.cuda.synchronize()
        started = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return time.perf_counter() - started


def recorder_for(device: torch.device) -> Recorder | None:
    """Return what records steps on a device; ``None`` where nothing does."""
    return CudaRecorder() if device.type == "cuda" else None


class _Choice(NamedTuple):
    """How steps of one shape run: by a recording into ``inputs``, or plainly for want of one."""

    inputs: Outputs = ()
    recording: Recording | None = None


def fastest(run: Callable[[], object], recorder: Recorder) -> float:
    """Return the seconds of the fastest of some calls."""
    return min(recorder.seconds(run) for _ in range(_TIMED))


class Replayed:
    """A step that is replayed where that is faster, and called where it is not.

    Args:
        name: of the step, for the reasons.
        step: returns its outputs for tensors; it draws no random numbers, reads no value back, and
            always uses the same weights. What it changes besides is in ``changed``.
        changed: returns the tensors that the step changes in place, such as running statistics;
            trials leave them as they were.
        recorder: of :func:`recorder_for`.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        changed: Callable[[], Iterable[Tensor]],
        recorder: Recorder | None,
    ) -> None:
        self._name, self._step, self._changed = name, step, changed
        self._recorder = recorder
        self._calls: dict[tuple[object, ...], int] = {}
        self._choices: dict[tuple[object, ...], _Choice] = {}

    def __call__(self, *inputs: Tensor) -> Outputs:
        """Return the outputs of the step.

        Args:
            *inputs: tensors on the recorder's device.

        Returns:
            The outputs, which the next call may overwrite.
        """
        if self._recorder is None:
            return self._step(*inputs)
        shape = tuple((x.shape, x.dtype) for x in inputs)
        self._calls[shape] = self._calls.get(shape, 0) + 1
        if self._calls[shape] <= _PLAIN_CALLS:
            return self._step(*inputs)
        if shape not in self._choices:
            self._choices[shape] = self._choose(self._recorder, inputs)
        choice = self._choices[shape]
        if choice.recording is None:
            return self._step(*inputs)
        _copy(inputs, choice.inputs)
        choice.recording.replay()
        return choice.recording.outputs

    def _choose(self, recorder: Recorder, inputs: Outputs) -> _Choice:
        """Record the step, compare both ways, and note what is faster."""
        live = list(self._changed())
        kept = [tensor.detach().clone() for tensor in live]
        mine = tuple(x.detach().clone() for x in inputs)
        try:
            recording = recorder.record(lambda: self._step(*mine))
            plain = fastest(lambda: self._step(*mine), recorder)
            again = fastest(recording.replay, recorder)
        except RuntimeError as error:
            note_reason(self._name, f"called: {failure_reason(error)}")
            return _Choice()
        finally:
            _copy(kept, live)
        pays = again <= WORTH * plain
        how, times = "replayed" if pays else "called", (1e3 * again, 1e3 * plain)
        note_reason(self._name, f"{how}: {times[0]:.2f} ms by replay, {times[1]:.2f} by call")
        return _Choice(mine, recording) if pays else _Choice()


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
