"""The order of feature maps in memory that a network is computed fastest in, on a GPU.

PyTorch stores an image channel by channel. Convolutions of a GPU prefer the channels of a pixel
side by side (``torch.channels_last``), but a normalisation layer may have to put them back, so that
it depends on the network, the batch, the precision and the GPU which order is faster. That is
measured once for each of these.

The order changes how sums are rounded, and so the last digits of a result. For a machine to compute
the same digits again, what was measured stays in the user's cache folder; and with ``bench run
--deterministic`` nothing is measured and channels come first.

An order is given to a network's weights; convolutions then give their results in that order.
"""

from __future__ import annotations

import copy
import hashlib
import json

import msgspec
import torch
from torch import Tensor, nn

from bench.networks.cpu_kernels import computing
from bench.networks.replay import WORTH, Outputs, Recorder, fastest
from bench.networks.step_reasons import failure_reason, note_reason
from bench.support.machine import device_model
from bench.support.seeds import global_seed
from bench.support.user_cache import read_cached, write_cached

_FIRST, _LAST = torch.contiguous_format, torch.channels_last


class _Measured(msgspec.Struct, frozen=True):
    """What was measured of one network, batch, precision and GPU."""

    channels_last: bool
    reason: str


_measured: dict[str, _Measured] = {}


def suit_memory_order(
    name: str,
    network: nn.Module,
    batch: tuple[int, ...],
    precision: str,
    recorder: Recorder | None,
) -> None:
    """Give a network's weights the order that it trains fastest in, and note the reason.

    Weights keep their values, and none is replaced by another object.

    Args:
        name: of the network, for the reason.
        network: in the mode that it trains in. Unchanged if it has no convolution.
        batch: the shape of what a training step gives it.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
        recorder: of :func:`bench.networks.replay.recorder_for`; ``None`` leaves the network as it
            is.
    """
    if recorder is None or all(weight.dim() != 4 for weight in network.parameters()):
        return
    found = _Measured(False, "channels first: --deterministic allows no choice by the clock")
    if not torch.are_deterministic_algorithms_enabled():
        found = _known(network, batch, precision, recorder)
    if found.channels_last:
        network.to(memory_format=_LAST)
    note_order(name, found.reason)


def note_order(name: str, reason: str) -> None:
    """Note which order a network has, and why, for the next record."""
    note_reason(f"memory order of {name}", reason)


def _known(
    network: nn.Module, batch: tuple[int, ...], precision: str, recorder: Recorder
) -> _Measured:
    """Return what was measured in this process, or earlier on this machine, or now."""
    device = next(network.parameters()).device
    key = _key(network, batch, precision, device)
    if key not in _measured:
        kept = read_cached(f"order-{key}", _Measured)
        if kept is None:
            images = torch.zeros(batch, device=device)
            kept = _measure(network, images, precision, recorder)
            write_cached(f"order-{key}", kept)
        _measured[key] = kept
    return _measured[key]


def _key(network: nn.Module, batch: tuple[int, ...], precision: str, device: torch.device) -> str:
    """Return a digest of all that the faster order depends on."""
    weights = [(name, list(weight.shape)) for name, weight in network.named_parameters()]
    machine = device_model(device), str(torch.__version__)
    facts = [repr(network), weights, batch, precision, *machine]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _measure(network: nn.Module, images: Tensor, precision: str, recorder: Recorder) -> _Measured:
    try:
        first, last = (
            1e3 * _seconds(network, images, precision, recorder, order) for order in (_FIRST, _LAST)
        )
    except RuntimeError as error:
        return _Measured(False, f"channels first: {failure_reason(error)}")
    if last <= WORTH * first:
        return _Measured(True, f"channels last: {last:.2f} ms a step, {first:.2f} channels first")
    return _Measured(False, f"channels first: {first:.2f} ms a step, {last:.2f} channels last")


def _seconds(
    network: nn.Module,
    images: Tensor,
    precision: str,
    recorder: Recorder,
    order: torch.memory_format,
) -> float:
    """Time forward and backward passes of a copy of the network, replayed where that works."""
    trial: nn.Module = copy.deepcopy(network).to(memory_format=order)
    weights = [weight for weight in trial.parameters() if weight.requires_grad]

    def step() -> Outputs:
        with torch.enable_grad(), computing(images.device, precision):
            outputs = trial(images)
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = torch.stack([part.float().square().mean() for part in parts]).sum()
        return torch.autograd.grad(loss, weights, materialize_grads=True)

    # Dropout must not draw from the streams that results depend on.
    with global_seed(0, images.device):
        try:
            run = recorder.record(step).replay
        except RuntimeError:
            run = step  # type: ignore[assignment]
        return fastest(run, recorder)
