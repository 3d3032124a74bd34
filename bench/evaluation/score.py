"""The test of a network on the real test set."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from bench.datasets.real_set import RealSet
from bench.evaluation.cores import Crew
from bench.networks.cpu_kernels import computing

# Images per forward pass, at most: small enough for a core's cache, large enough to keep a GPU
# busy.
_SLICE = {"cpu": 32, "cuda": 2048}
# Bytes on a GPU or its like that the outputs of one layer may take, so that large images fit. A
# constant, not a share of the free memory: the same cell is cut in the same way on every GPU.
_OUTPUT_BYTES = 2 << 30


def images_per_pass(device: torch.device, output: int) -> int:
    """Return how many test images a network sees at once.

    Args:
        device: of the network.
        output: the most numbers that one of its layers gives for an image; 0 if that is not known.
    """
    most = _SLICE.get(device.type, 256)
    if device.type == "cpu":
        return most
    return max(1, min(most, _OUTPUT_BYTES // max(1, 4 * output)))


class Score(NamedTuple):
    """What a test found.

    Attributes:
        accuracy: the percentage of test images that the network classifies correctly; it means
            nothing where an output is not finite, for the largest of NaNs is the first class.
        is_finite: whether every output is finite.
    """

    accuracy: float
    is_finite: bool


def score(
    net: nn.Module, test: RealSet, precision: str, crew: Crew | None = None, *, output: int = 0
) -> Score:
    """Return how a network does on the test images.

    The network is left in ``eval()`` mode. Images are normalised exactly like training images.

    Args:
        net: on the test set's device.
        test: real images, never augmented.
        precision: ``fp32`` or ``bf16`` (autocast).
        crew: counts both halves of the set at the same time if a core is idle.
        output: see :func:`images_per_pass`.

    Raises:
        Stopped: another task of the crew failed, or the user interrupted.
    """
    net.eval()
    index = torch.arange(len(test), device=test.device)
    correct = [torch.zeros((), dtype=torch.int64, device=test.device)] * 2
    finite = [torch.ones((), dtype=torch.bool, device=test.device)] * 2

    @torch.inference_mode()
    def count(half: int) -> None:
        for part in torch.split(index, images_per_pass(test.device, output))[half::2]:
            if crew is not None:
                crew.check()
            with computing(test.device, precision):
                logits = net(test.gather(part))
            correct[half] = correct[half] + (logits.argmax(1) == test.labels[part]).sum()
            finite[half] = finite[half] & logits.isfinite().all()

    if crew is not None:
        crew.both(lambda: count(0), lambda: count(1))
    else:
        count(0)
        count(1)
    percent = 100.0 * int(correct[0] + correct[1]) / len(test)
    return Score(percent, bool(finite[0] & finite[1]))
